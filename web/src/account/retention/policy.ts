/** The retention policy while it is edited, and what saving it would delete. */

import { count, counted } from "../../format";
import type { components } from "../../openapi";

export type Policy = components["schemas"]["RetentionPolicyView"];
export type Rule = components["schemas"]["RetentionRuleView"];
export type Preview = components["schemas"]["RetentionPreviewView"];

/** What is wrong with a rule, by its field; `form` is for what belongs to none of them. */
export type Problems = Readonly<
  Partial<Record<"agent_id" | "environment_id" | "purpose" | "days" | "form", string>>
>;

/** Whether two lists have the same rules in the same order. */
export function areSame(some: readonly Rule[], others: readonly Rule[]): boolean {
  const text = (rules: readonly Rule[]): string =>
    JSON.stringify(rules.map((one) => [one.agent_id, one.environment_id, one.purpose, one.days]));
  return text(some) === text(others);
}

/** Return how long something is kept, in words. */
export function howLong(days: number | null): string {
  return days === null ? "forever" : counted(days, "day");
}

/** Return what a rule is for, in words. Ids that have no name are shown themselves. */
export function runsOf(rule: Rule, nameOf: (id: string) => string): string {
  const named = (kind: string, id: string | null): string =>
    id === null ? "" : `${kind} ${nameOf(id) || id}`;
  const parts = [
    named("agent", rule.agent_id),
    named("environment", rule.environment_id),
    rule.purpose === null ? "" : `purpose ${rule.purpose}`,
  ];
  return parts.filter(Boolean).join(", ") || "all runs";
}

/** Return how many runs and spans a policy would delete now, and how many runs a hold keeps. */
export function totalOf(preview: Preview): { runs: number; spans: number; held: number } {
  const total = { runs: 0, spans: 0, held: 0 };
  for (const rule of preview.rules) {
    total.runs += rule.runs;
    total.spans += rule.spans;
    total.held += rule.held_runs;
  }
  return total;
}

/** Whether saving a policy may delete runs. An incomplete count of zero does not rule it out. */
export function deletes(preview: Preview): boolean {
  return totalOf(preview).runs > 0 || !preview.is_complete;
}

/** Return what saving a policy would delete, as a sentence. */
export function forecast(preview: Preview): string {
  const { runs, spans, held } = totalOf(preview);
  const holds =
    held === 0
      ? ""
      : ` Legal holds keep ${atLeast(preview)}${counted(held, "run")} that would be deleted.`;
  if (!deletes(preview)) return `These rules would delete nothing now.${holds}`;
  const lost = `${counted(runs, "run")} and ${counted(spans, "span")}`;
  return `These rules would delete ${atLeast(preview)}${lost} now.${holds}`;
}

/** Return what the button says that saves a policy and thereby deletes runs. */
export function saveLabel(preview: Preview): string {
  return `Save and delete ${atLeast(preview)}${counted(totalOf(preview).runs, "run")}`;
}

function atLeast(preview: Preview): string {
  return preview.is_complete ? "" : "at least ";
}

/** Return what the button says that shortens the audit log. */
export function auditLabel(entries: number, isExact: boolean): string {
  const noun = entries === 1 ? "entry" : "entries";
  return `Save and delete ${isExact ? "" : "more than "}${count(entries)} ${noun}`;
}

/** Return the API's errors for the rule at a place in the sent list. */
export function problemsOf(error: unknown, place: number): Problems {
  const problems: Record<string, string> = {};
  for (const { path, message } of leavesOf(error)) {
    const [field, index, name] = path;
    if (field !== "rules") continue;
    if (index === String(place)) problems[name ?? "form"] = message;
    else problems.form = index === undefined ? message : `rule ${Number(index) + 1}: ${message}`;
  }
  return problems;
}

/** Return the API's error for the days of the audit log; empty without one. */
export function auditProblem(error: unknown): string {
  return leavesOf(error).find(({ path }) => path.join(".") === "audit_days")?.message ?? "";
}

interface Leaf {
  path: readonly string[];
  message: string;
}

/** Return the errors of fields in an answer, below `details` if that is where they are. */
function leavesOf(error: unknown): readonly Leaf[] {
  if (!isObject(error) || !isObject(error.errors)) return [];
  const { details } = error.errors;
  return within(isObject(details) ? details : error.errors, []);
}

function within(errors: Readonly<Record<string, unknown>>, path: readonly string[]): Leaf[] {
  if (typeof errors.message === "string") return [{ path, message: errors.message }];
  return Object.entries(errors).flatMap(([name, one]) =>
    isObject(one) ? within(one, [...path, name]) : [],
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
