/** Keeping a list of runs steady while it changes: rows update in place, new ones wait. */

import type { components } from "../openapi";

export type Run = components["schemas"]["AgentInstanceSummary"];

export interface RunList {
  shown: readonly Run[];
  /** Newer runs, newest first, that are shown when the reader asks for them. */
  waiting: readonly Run[];
}

/**
 * Merge the newest page of runs into a list: known runs are replaced where they stand, unknown ones
 * that are newer than the first shown run wait.
 */
export function merge(list: RunList, newest: readonly Run[]): RunList {
  const byId = new Map(newest.map((run) => [run.id, run]));
  const known = new Set([...list.shown, ...list.waiting].map((run) => run.id));
  const replaced = (run: Run): Run => byId.get(run.id) ?? run;
  const first = list.shown[0];
  const fresh = newest.filter(
    (run) => !known.has(run.id) && (!first || run.inserted_at >= first.inserted_at),
  );
  if (!first) return { shown: fresh, waiting: [] };
  return { shown: list.shown.map(replaced), waiting: [...fresh, ...list.waiting.map(replaced)] };
}

/** Show what was waiting. */
export function reveal(list: RunList): RunList {
  return { shown: [...list.waiting, ...list.shown], waiting: [] };
}

/** Append an older page, leaving out runs that are there already. */
export function append(list: RunList, older: readonly Run[]): RunList {
  const known = new Set(list.shown.map((run) => run.id));
  return { ...list, shown: [...list.shown, ...older.filter((run) => !known.has(run.id))] };
}

/** Return how long a run took, or has taken so far, in microseconds; null if it has not started. */
export function tookMicroseconds(run: Run, now: number): number | null {
  if (!run.started_at) return null;
  const end = run.finished_at ? Date.parse(run.finished_at) : now;
  return Math.max(0, (end - Date.parse(run.started_at)) * 1000);
}
