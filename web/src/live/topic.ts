/** The topics that tabs follow, and the one query that asks the server for all of them. */

import type { components } from "../openapi";

export type Changes = components["schemas"]["EventChanges"];

/** All runs without their spans, or one run with its spans. */
export type Topic = { kind: "runs" } | { kind: "run"; id: string };

/** The most runs that a stream accepts by their ids. */
export const MAX_RUNS = 50;

/** Return the query of the stream for all topics; null if there are none. */
export function questionOf(topics: readonly Topic[]): string | null {
  if (topics.length === 0) return null;
  const ids = topics.flatMap((topic) => (topic.kind === "run" ? topic.id : []));
  const distinct = [...new Set(ids)].sort();
  if (distinct.length > MAX_RUNS) return "include_spans=true";
  const runs = distinct.map(encodeURIComponent).join(",");
  if (ids.length === topics.length) return `agent_instance_ids=${runs}`;
  return runs ? `include_spans_of=${runs}` : "include_spans=false";
}

/** Return the part of some changes that a topic is about; null if that is nothing. */
export function partOf(changes: Changes, topic: Topic): Changes | null {
  const part =
    topic.kind === "runs"
      ? { ...changes, spans: [] }
      : {
          runs: changes.runs.filter((run) => run.id === topic.id),
          spans: changes.spans.filter((span) => span.agent_instance_id === topic.id),
          deleted_runs: changes.deleted_runs.filter((id) => id === topic.id),
        };
  return part.runs.length + part.spans.length + part.deleted_runs.length > 0 ? part : null;
}
