/** The address that a click in a chart opens: the list of runs, filtered by the clicked bucket. */

import { formatRoute } from "../routes";

/** The agent and the environment of a page's charts; empty for all. */
export interface Scope {
  agent_id: string;
  environment_id: string;
}

function times(start: number, bucketMs: number): { from: string; to: string } {
  return { from: new Date(start).toISOString(), to: new Date(start + bucketMs).toISOString() };
}

/** The runs that ended in a bucket, in one way or in any. */
export function endedRuns(scope: Scope, start: number, bucketMs: number, status = ""): string {
  const { from, to } = times(start, bucketMs);
  return formatRoute("runs", "", { ...scope, status, finished_after: from, finished_before: to });
}

/** The ended runs that were active in a bucket, optionally with failed spans of a type. */
export function runsDuring(
  scope: Scope,
  start: number,
  bucketMs: number,
  failed?: { schema_name: string },
): string {
  const { from, to } = times(start, bucketMs);
  const spans = failed ? { ...failed, has_failed_spans: "true" } : {};
  return formatRoute("runs", "", { ...scope, ...spans, started_before: to, finished_after: from });
}
