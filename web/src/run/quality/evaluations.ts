/** What evaluations and people said of a run, from its quality. */

import type { components } from "../../openapi";
import { isFields } from "./schema";

type Details = components["schemas"]["AgentInstanceDetails"];
type QualitySchema = components["schemas"]["QualitySchemaView"];

// A comment is quality under a name of its own: people who write at once lose nothing.
const COMMENT = "comment:";

export interface Evaluation {
  name: string;
  title: string;
  /** Undefined until there is a result. */
  payload: unknown;
  summary: string;
  /** Why it does not match its schema; empty when it does, or nothing was checked. */
  problem: string;
  schema: QualitySchema | null;
}

export interface Comment {
  name: string;
  /** Milliseconds since 1970; NaN when the name does not say. */
  at: number;
  by: string;
  text: string;
}

/** Return the evaluations of a run: those with a result, then those that are only declared. */
export function evaluationsOf(
  details: Details,
  schemas: Readonly<Record<string, QualitySchema>>,
): Evaluation[] {
  const payloads: Readonly<Record<string, unknown>> = details.quality_payloads ?? {};
  const said = Object.keys(payloads).filter((name) => !isComment(name));
  const declared = Object.keys(schemas).filter((name) => !said.includes(name) && !isComment(name));
  return [...said, ...declared].map((name) => {
    const validation = details.quality_payload_validations?.[name];
    return {
      name,
      title: schemas[name]?.title ?? name,
      payload: payloads[name],
      summary: details.quality_summaries?.[name] ?? "",
      problem: validation?.status === "error" ? (validation.message ?? "") : "",
      schema: schemas[name] ?? null,
    };
  });
}

/** Return the comments on a run, the oldest first. */
export function commentsOf(details: Details): Comment[] {
  return Object.entries(details.quality_payloads ?? {})
    .filter(([name]) => isComment(name))
    .map(([name, payload]: [string, unknown]) => {
      const { text, by } = isFields(payload) ? payload : {};
      return {
        name,
        at: Date.parse(name.slice(COMMENT.length, COMMENT.length + 24)),
        by: typeof by === "string" ? by : "",
        text: typeof text === "string" ? text : JSON.stringify(payload),
      };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function isComment(name: string): boolean {
  return name.startsWith(COMMENT);
}

/** Return a name for a new comment, after all earlier ones. */
export function commentName(now: number, random: string): string {
  return `${COMMENT}${new Date(now).toISOString()}:${random}`;
}

/** Return a run with the quality of an answer that knows nothing else of it. */
export function withQuality(details: Details, answer: Details): Details {
  return {
    ...details,
    quality_payload: answer.quality_payload ?? null,
    quality_summary: answer.quality_summary ?? null,
    quality_payload_validation: answer.quality_payload_validation ?? null,
    quality_payloads: answer.quality_payloads ?? {},
    quality_summaries: answer.quality_summaries ?? {},
    quality_payload_validations: answer.quality_payload_validations ?? {},
  };
}
