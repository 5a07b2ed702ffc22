/** The difference of two schema versions: which span types were added, removed or changed. */

import type { components } from "../openapi";

type Details = components["schemas"]["AgentSchemaVersionDetails"];
export type SpanType = Details["span_type_schemas"][string];

export interface TypeChange {
  name: string;
  change: "same" | "changed" | "added" | "removed";
  before: SpanType | undefined;
  after: SpanType | undefined;
}

/** The parts of a span type that authors write, in the order they are shown in. */
export const PARTS = [
  ["params_schema", "Payload schema"],
  ["result_schema", "Result schema"],
  ["template", "Summary template"],
  ["result_template", "Summary template with result"],
  ["description", "Description"],
  ["data_risk", "Data risk"],
] as const;

/** Compare the span types of two schema versions by name; without `before`, list those of `after`. */
export function compareTypes(before: Details | null, after: Details): TypeChange[] {
  const old = before?.span_type_schemas ?? {};
  const now = after.span_type_schemas;
  const names = [...new Set([...Object.keys(now), ...Object.keys(old)])].sort();
  return names.map((name) => ({
    name,
    change: before === null ? "same" : changeOf(old[name], now[name]),
    before: old[name],
    after: now[name],
  }));
}

function changeOf(before?: SpanType, after?: SpanType): TypeChange["change"] {
  if (!before || !after) return before ? "removed" : "added";
  const written = (type: SpanType): string =>
    canonical([type.title, ...PARTS.map(([part]) => type[part])]);
  return written(before) === written(after) ? "same" : "changed";
}

/** Return a value as JSON with its members in a fixed order. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    typeof member === "object" && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}
