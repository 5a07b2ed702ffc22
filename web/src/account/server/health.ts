/** Readable texts for the figures of a server. */

import type { components } from "../../openapi";

type Consumer = components["schemas"]["ConsumerView"];

/** What the consumers of the change feed derive, in words. */
export const CONSUMERS: Readonly<Record<string, string>> = {
  alerts: "Alerts that the server raises",
  run_totals: "Tokens, cost and risk of runs",
  search: "Words to search for",
  series: "Charts over time",
  span_types: "Types of spans in runs",
};

const LATE_SECONDS = 60;

/** Return the part of a limit that is used, from 0 to 1; 0 without a limit. */
export function share(now: number, limit: number | null): number {
  return limit === null || limit <= 0 ? 0 : Math.min(now / limit, 1);
}

/** Return the state of a consumer. */
export function consumerState(one: Pick<Consumer, "behind" | "behind_seconds" | "complete">): {
  text: string;
  tone: "good" | "warn" | "bad" | "accent";
} {
  if (one.behind_seconds >= LATE_SECONDS) return { text: "late", tone: "bad" };
  if (!one.complete) return { text: "filling in", tone: "accent" };
  return one.behind > 0
    ? { text: "catching up", tone: "warn" }
    : { text: "up to date", tone: "good" };
}
