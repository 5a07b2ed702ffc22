/** The details of a webhook and its deliveries. */

import { duration } from "../../format";
import type { components } from "../../openapi";

export type Webhook = components["schemas"]["WebhookView"];
export type Delivery = components["schemas"]["DeliverySummary"];
export type EventName = components["schemas"]["WebhookFields"]["events"][number];
export type Purpose = NonNullable<components["schemas"]["WebhookFields"]["purposes"]>[number];

export interface State {
  text: string;
  tone: "good" | "warn" | "bad" | "plain";
}

/** The events, in the order in which they are offered, and when each is sent. */
export const EVENTS: readonly (readonly [EventName, string])[] = [
  ["run.failed", "A run failed."],
  ["run.terminated", "A run was stopped from outside."],
  ["run.finished", "A run ended, however it did."],
  ["risk.exceeded", "The risk of a run is above what its profile agrees to."],
  ["cost.exceeded", "A run has cost more than its agent's limit."],
  ["quality.recorded", "An evaluation of a run was recorded."],
];
export const TEST_EVENT = "webhook.test";
export const PURPOSES: readonly Purpose[] = ["live", "smoke_test", "eval"];
export const DELIVERY_STATUSES = ["pending", "delivered", "failed"] as const;

/** Return what to call a webhook: its description, or the host that it is sent to. */
export function webhookName(webhook: Pick<Webhook, "url" | "description">): string {
  return (
    webhook.description ?? (URL.canParse(webhook.url) ? new URL(webhook.url).host : webhook.url)
  );
}

/** Return the state of a webhook in a word. */
export function webhookState(
  webhook: Pick<Webhook, "status" | "disabled_reason" | "failing_since">,
): State {
  if (webhook.status === "disabled") {
    return webhook.disabled_reason === null
      ? { text: "disabled", tone: "plain" }
      : { text: "switched off", tone: "bad" };
  }
  return webhook.failing_since === null
    ? { text: "enabled", tone: "good" }
    : { text: "failing", tone: "warn" };
}

/** Return the state of a delivery in a word. */
export function deliveryState(delivery: Pick<Delivery, "status" | "attempts">): State {
  if (delivery.status === "delivered") return { text: "delivered", tone: "good" };
  if (delivery.status === "failed") return { text: "failed", tone: "bad" };
  return delivery.attempts === 0
    ? { text: "waiting", tone: "plain" }
    : { text: "retrying", tone: "warn" };
}

/** Return what the receiver said to the last attempt, or why there was no answer. */
export function answerOf(
  delivery: Pick<Delivery, "attempts" | "response_status" | "error">,
): string {
  if (delivery.error !== null) return sentence(delivery.error);
  if (delivery.response_status !== null) return `The receiver answered ${delivery.response_status}`;
  return delivery.attempts === 0 ? "Not sent yet" : "No answer";
}

/** Return a text with a capital letter at its beginning. */
export function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Return how long it is until a moment; both in milliseconds since 1970. */
export function until(moment: number, now: number): string {
  const seconds = Math.ceil((moment - now) / 1000);
  if (seconds <= 0) return "now";
  return seconds < 60 ? `in ${seconds} s` : `in ${duration(seconds * 1e6)}`;
}

/** Return the names of rows by their ids. */
export function namesById(
  rows: readonly { id: string; name: string }[],
): ReadonlyMap<string, string> {
  return new Map(rows.map((row) => [row.id, row.name]));
}

/** Return the text of a filter: everything, or the names in it. */
export function passes(
  ids: readonly string[] | null,
  plural: string,
  names: ReadonlyMap<string, string> = new Map(),
): string {
  return ids === null ? `all ${plural}` : ids.map((id) => names.get(id) ?? id).join(", ");
}

/** Return a body of a delivery as a person reads it. */
export function laidOut(body: unknown): string {
  return JSON.stringify(body, null, 2);
}
