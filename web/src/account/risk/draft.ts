/** A risk profile while it is edited: plain fields, and what the API takes and shows of them. */

import type { components } from "../../openapi";

export type Profile = components["schemas"]["RiskProfileView"];
export type Level = "low" | "medium" | "high" | "critical";

export const LEVELS: readonly Level[] = ["low", "medium", "high", "critical"];
export const THRESHOLDS = ["medium", "high", "critical"] as const;

/** A field that is a number; null while what is typed is not one. */
type Figure = number | null;

export interface Draft {
  name: string;
  description: string;
  agreed: Level | "";
  weights: Record<string, { weight: Figure; included: boolean }>;
  multipliers: Record<string, Figure>;
  thresholds: Record<string, Figure>;
}

interface Rules {
  category_weights: Readonly<Record<string, number>>;
  action_multipliers: Readonly<Record<string, number>>;
  thresholds: Readonly<Record<string, number>>;
}

/** Return the draft of a profile that exists. */
export function draftOf(profile: Profile): Draft {
  return {
    name: profile.name,
    description: profile.description ?? "",
    agreed: profile.agreed_risk ?? "",
    weights: Object.fromEntries(
      Object.entries(profile.category_weights).map(([name, { weight, included }]) => [
        name,
        { weight, included },
      ]),
    ),
    multipliers: { ...profile.action_multipliers },
    thresholds: { ...profile.thresholds },
  };
}

/** Return the draft of a new profile, which begins as a template. */
export function draftFrom(template: Rules): Draft {
  return {
    name: "",
    description: "",
    agreed: "",
    weights: Object.fromEntries(
      Object.entries(template.category_weights).map(([name, weight]) => [
        name,
        { weight, included: true },
      ]),
    ),
    multipliers: { ...template.action_multipliers },
    thresholds: { ...template.thresholds },
  };
}

/** Return the rules as the API takes them, to save or to preview. */
export function rulesOf(draft: Draft): {
  category_weights: Record<string, { weight: number; included: boolean }>;
  action_multipliers: Record<string, number>;
  thresholds: Record<string, number>;
  agreed_risk: Level | null;
  ruleset: null;
} {
  return {
    category_weights: Object.fromEntries(
      Object.entries(draft.weights).map(([name, { weight, included }]) => [
        name,
        { weight: weight ?? 0, included },
      ]),
    ),
    action_multipliers: figures(draft.multipliers, 1),
    thresholds: figures(draft.thresholds, 0),
    agreed_risk: draft.agreed || null,
    ruleset: null,
  };
}

function figures(given: Readonly<Record<string, Figure>>, empty: number): Record<string, number> {
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, value ?? empty]));
}

/** Return why a draft's rules cannot be saved; empty if they can. */
export function problemOf(draft: Draft): string {
  for (const [name, { weight, included }] of Object.entries(draft.weights)) {
    if (included && !isWithin(weight, 0, 10)) return `${words(name)}: write a weight from 0 to 10.`;
  }
  for (const [name, factor] of Object.entries(draft.multipliers)) {
    if (!isWithin(factor, 1, 100)) return `${words(name)}: write a factor from 1 to 100.`;
  }
  const [medium, high, critical] = THRESHOLDS.map((name) => draft.thresholds[name] ?? null);
  for (const bound of [medium, high, critical]) {
    if (!isWithin(bound, 0, 1e12)) return "Levels: write a score of 0 or more for each.";
  }
  if (!(medium! < high! && high! < critical!)) {
    return "Levels: the scores must rise from medium to critical.";
  }
  return "";
}

function isWithin(value: Figure | undefined, least: number, most: number): boolean {
  return typeof value === "number" && value >= least && value <= most;
}

/** Return the name of a category or an action as words; GDPR keeps its capitals. */
export function words(name: string): string {
  const text = name.replace(/^gdpr_/, "").replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Whether a category is one of the special categories of the GDPR. */
export function isSpecial(name: string): boolean {
  return name.startsWith("gdpr_");
}
