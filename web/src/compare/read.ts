/** Reads the two runs of a comparison. */

import { api, ApiError, body, explainMissing } from "../api";
import type { components } from "../openapi";
import { readSkeleton } from "../run/skeleton";
import type { Side } from "./align";

export type Details = components["schemas"]["AgentInstanceDetails"];

export interface ReadRun {
  details: Details;
  side: Side;
}

/** Read a run and the columns of its spans. */
export async function readRun(id: string, signal: AbortSignal): Promise<ReadRun> {
  const path = { params: { path: { agent_instance_id: id } }, signal };
  const [run, skeleton] = await Promise.all([
    body(api.GET("/api/v1/agent_instance/{agent_instance_id}", path)),
    body(api.GET("/api/v1/agent_instance/{agent_instance_id}/skeleton", path)),
  ]).catch((error: unknown) => {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    throw new ApiError(404, explainMissing(error, `The run ${id}`));
  });
  const { columns } = skeleton.details;
  return {
    details: run.details,
    side: {
      run: readSkeleton(skeleton.details),
      tokens: columns.total_tokens,
      cost: columns.cost,
    },
  };
}

/** What a run is called on the pages. */
export function titleOf({ details, side }: ReadRun): string {
  return details.external_identifier ?? side.run.summaries[0] ?? details.id;
}

/** The compared figures of a whole run; null if unknown. */
export interface RunFigures {
  /** Microseconds. */
  duration: number | null;
  spans: number;
  failed: number;
  tokens: number | null;
  cost: number | null;
}

/** Return the figures of a run. */
export function figuresOf({ details }: ReadRun): RunFigures {
  const { started_at, finished_at, span_counts, cost_breakdown: cost } = details;
  const ended = started_at !== null && finished_at !== null;
  return {
    duration: ended ? (Date.parse(finished_at) - Date.parse(started_at)) * 1000 : null,
    spans: span_counts.total,
    failed: span_counts.failed,
    tokens:
      cost?.by_model.reduce((sum, one) => sum + one.prompt_tokens + one.completion_tokens, 0) ??
      null,
    cost: cost?.total_cost ?? null,
  };
}
