/** Readable texts for entries of the audit log. */

import type { components } from "../../openapi";
import { formatRoute } from "../../routes";

export type Entry = components["schemas"]["AuditEntryView"];

const NOUNS: Readonly<Record<string, string>> = {
  admin_user_invites: "invitation",
  admin_users: "person",
  api_tokens: "token",
  agent_instances: "run",
  agent_spans: "span",
  agent_schema_versions: "schema version",
  agent_versions: "version",
  agent_deployments: "deployment",
  legal_holds: "legal hold of run",
  retention_policies: "retention policy of account",
  sign_in_links: "sign-in link for person",
  webhook_deliveries: "delivery",
};

const VERBS: Readonly<Record<string, string>> = {
  accept: "accepted",
  activate: "activated",
  add: "added",
  apply: "applied",
  clear: "cleared",
  connect: "connected",
  create: "created",
  delete: "deleted",
  disable: "switched off",
  discard_sensitive: "discarded sensitive values of",
  prune: "pruned",
  reinstate: "reinstated",
  remove: "removed",
  resend: "sent again",
  retire: "retired",
  revoke: "revoked",
  rotate_secret: "rotated the secret of",
  suspend: "suspended",
  terminate: "terminated",
  test: "tested",
  update: "changed",
};

/** The actions that people filter by most. Any other name can be typed. */
export const ACTIONS: readonly string[] = [
  "accounts.update",
  "admin_user_invites.accept",
  "admin_user_invites.create",
  "admin_user_invites.revoke",
  "admin_users.delete",
  "admin_users.update",
  "agent_deployments.create",
  "agent_deployments.update",
  "agent_instances.prune",
  "agent_instances.terminate",
  "agent_schema_versions.create",
  "agent_spans.discard_sensitive",
  "agent_versions.create",
  "agents.create",
  "agents.delete",
  "agents.retire",
  "agents.update",
  "alerts.clear",
  "api_tokens.create",
  "api_tokens.delete",
  "api_tokens.revoke",
  "api_tokens.suspend",
  "environments.create",
  "environments.delete",
  "environments.update",
  "legal_holds.add",
  "legal_holds.remove",
  "retention_policies.apply",
  "retention_policies.update",
  "risk_profiles.create",
  "risk_profiles.delete",
  "risk_profiles.update",
  "sessions.change_password",
  "sessions.create",
  "sessions.revoke",
  "webhooks.create",
  "webhooks.delete",
  "webhooks.disable",
  "webhooks.rotate_secret",
  "webhooks.update",
];

/** Return what was done, and to what kind of thing: `revoked token`, `terminated run`. */
export function sentence(action: string): string {
  if (action === "sessions.create") return "signed in with";
  if (action === "sessions.change_password") return "changed their password";
  const dot = action.indexOf(".");
  const [nouns, verb] = [action.slice(0, dot), action.slice(dot + 1)];
  const noun = NOUNS[nouns] ?? nouns.replace(/s$/, "").replaceAll("_", " ");
  return `${VERBS[verb] ?? verb.replaceAll("_", " ")} ${noun}`;
}

/** Return the address of what an entry is about, where there is a page for it. */
export function subject(entry: Pick<Entry, "action" | "resource_id">): string | null {
  if (/^(agent_instances|legal_holds)\./.test(entry.action)) {
    return formatRoute("run", entry.resource_id);
  }
  if (/^retention_policies\./.test(entry.action)) return formatRoute("account", "retention");
  if (/^agents\./.test(entry.action)) return formatRoute("agent", entry.resource_id);
  if (/^risk_profiles\.(create|update)/.test(entry.action)) {
    return formatRoute("account", "risk", { profile: entry.resource_id });
  }
  if (/^webhooks\.(?!delete$)/.test(entry.action)) {
    return formatRoute("account", "webhooks", { webhook: entry.resource_id });
  }
  return null;
}

/** Return the start and the end of a range of whole local days, in the form of the API. */
export function between(from: string, to: string): { since?: string; before?: string } {
  const [start, end] = [midnight(from, 0), midnight(to, 1)];
  return { ...(start ? { since: start } : {}), ...(end ? { before: end } : {}) };
}

function midnight(day: string, later: number): string | null {
  const [year, month, date] = day.split("-").map(Number);
  if (!/^\d{4}-\d\d-\d\d$/.test(day)) return null;
  return new Date(year!, month! - 1, date! + later).toISOString();
}
