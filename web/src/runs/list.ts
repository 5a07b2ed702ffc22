/** Keeping a list of runs steady while it changes: rows update in place, new ones wait. */

import type { Changes } from "../live/topic";
import type { components } from "../openapi";

export type Run = components["schemas"]["AgentInstanceSummary"];

export interface RunList {
  shown: readonly Run[];
  /** Newer runs, newest first, that are shown when the reader asks for them. */
  waiting: readonly Run[];
  /** Ids of runs that were deleted while they were shown. */
  deleted: ReadonlySet<string>;
}

export const NOTHING: RunList = { shown: [], waiting: [], deleted: new Set() };

/**
 * Merge the newest page of runs into a list: known runs are replaced where they stand, unknown ones
 * wait. Some of these began before the first shown run: they pass the filters only now.
 */
export function merge(list: RunList, newest: readonly Run[], isLastPage = false): RunList {
  const known = new Set([...list.shown, ...list.waiting].map((run) => run.id));
  const first = list.shown[0];
  const last = list.shown.at(-1);
  const isInside = (run: Run): boolean =>
    !last || isLastPage || run.inserted_at >= last.inserted_at;
  const fresh = newest.filter((run) => !known.has(run.id) && isInside(run));
  if (!first) return { ...list, shown: fresh, waiting: [] };
  const updated = update(list, newest);
  return { ...updated, waiting: [...fresh, ...updated.waiting] };
}

/**
 * Whether runs may be missing between a list and the newest page: more have begun than a page holds.
 */
export function hasGap(list: RunList, newest: readonly Run[], isLastPage: boolean): boolean {
  const known = new Set([...list.shown, ...list.waiting].map((run) => run.id));
  return known.size > 0 && !isLastPage && !newest.some((run) => known.has(run.id));
}

/**
 * Return some of the runs that were still going on when they were seen last and are not in the
 * newest page, which would tell how they are now. Each call begins after those of the one before.
 */
export function unseen(
  list: RunList,
  newest: readonly Run[],
  turn: number,
  limit: number,
): readonly Run[] {
  const seen = new Set(newest.map((run) => run.id));
  const open = [...list.waiting, ...list.shown].filter(
    (run) => (run.status === "active" || run.status === "pending") && !seen.has(run.id),
  );
  const start = (turn * limit) % Math.max(open.length, 1);
  return [...open.slice(start), ...open.slice(0, start)].slice(0, limit);
}

/** Replace runs by their current rows, in place. */
export function update(list: RunList, runs: readonly Run[]): RunList {
  const byId = new Map(runs.map((run) => [run.id, run]));
  const now = (run: Run): Run => byId.get(run.id) ?? run;
  return { ...list, shown: list.shown.map(now), waiting: list.waiting.map(now) };
}

/**
 * Bring known runs up to date with an event. It does not hold what is computed from spans, which
 * stays. Deleted runs stay where they are read, and are gone where they wait.
 */
export function patch(list: RunList, { runs, deleted_runs }: Changes): RunList {
  const rows = new Map(runs.map((run) => [run.id, run]));
  const now = (run: Run): Run => {
    const row = rows.get(run.id);
    return row && row.updated_at >= run.updated_at ? { ...run, ...row } : run;
  };
  const deleted = new Set(deleted_runs);
  return {
    shown: list.shown.map(now),
    waiting: list.waiting.filter(({ id }) => !deleted.has(id)).map(now),
    deleted: deleted.size > 0 ? new Set([...list.deleted, ...deleted]) : list.deleted,
  };
}

/** Show what was waiting, each where its beginning puts it. */
export function reveal(list: RunList): RunList {
  const shown = [...list.waiting, ...list.shown];
  shown.sort((a, b) =>
    a.inserted_at < b.inserted_at ? 1 : a.inserted_at > b.inserted_at ? -1 : 0,
  );
  return { ...list, shown, waiting: [] };
}

/** Append an older page, leaving out runs that it already has. */
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
