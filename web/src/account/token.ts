/** The details of a token. */

import type { components } from "../openapi";
import { moment } from "../format";

export type Token = Omit<components["schemas"]["ApiTokenView"], "created_by_admin_user_id">;

export interface TokenState {
  text: string;
  tone: "good" | "warn" | "bad" | "plain";
}

/** Return what to call a token: how it begins, or the id of one whose text the operator chose. */
export function tokenName(token: Pick<Token, "id" | "token_start">): string {
  return token.token_start ? `${token.token_start}…` : token.id;
}

/** Return a token's state: its status, unless an active one has expired. */
export function tokenState(token: Pick<Token, "status" | "expires_at">, now: number): TokenState {
  if (token.status === "revoked") return { text: "revoked", tone: "plain" };
  if (token.expires_at !== null && Date.parse(token.expires_at) <= now) {
    return { text: "expired", tone: "bad" };
  }
  return token.status === "suspended"
    ? { text: "suspended", tone: "warn" }
    : { text: "active", tone: "good" };
}

/** Return until when a token works. */
export function tokenExpiry(token: Pick<Token, "expires_at">, now: number): string {
  if (token.expires_at === null) return "never expires";
  const end = Date.parse(token.expires_at);
  return `${end <= now ? "expired" : "expires"} ${moment(end)}`;
}

/** Return the moment after a number of days, as the API takes it; null for no days. */
export function afterDays(days: number, now: number): string | null {
  return days > 0 ? new Date(now + days * 86_400_000).toISOString() : null;
}
