/** Which rows of the tree are shown: what is folded, what a filter keeps, where errors are. */

import { FAILED, type Skeleton } from "./skeleton";

/** Spans are folded (1) or open (0), one entry each. */
export type Folds = Uint8Array;

export interface Filtered {
  /** 1 for a span that matches, 2 for one that is kept because a span below it matches. */
  kept: Uint8Array;
  matches: number;
}

/** Return the spans that have a row, from top to bottom. A filter shows what folding hides. */
export function visibleRows(run: Skeleton, folds: Folds, filtered: Filtered | null): Int32Array {
  const rows = new Int32Array(run.total);
  let shown = 0;
  for (let i = 0; i < run.total;) {
    if (filtered && filtered.kept[i] === 0) {
      // No descendant of it matches either, or it would have been kept.
      i += run.size[i]!;
      continue;
    }
    rows[shown++] = i;
    i += folds[i] === 1 && !filtered ? run.size[i]! : 1;
  }
  return rows.subarray(0, shown);
}

/** Find the spans whose name, summary, type or id contains every word, and their ancestors. */
export function filterSpans(run: Skeleton, text: string): Filtered | null {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return null;
  const kept = new Uint8Array(run.total);
  let matches = 0;
  for (let i = run.total - 1; i >= 0; i--) {
    if (words.every((word) => mentions(run, i, word))) {
      kept[i] = 1;
      matches++;
    }
    const above = run.parent[i]!;
    if (kept[i] !== 0 && above >= 0 && kept[above] === 0) kept[above] = 2;
  }
  return { kept, matches };
}

function mentions(run: Skeleton, i: number, word: string): boolean {
  return (
    run.names[i]!.toLowerCase().includes(word) ||
    (run.summaries[i]?.toLowerCase().includes(word) ?? false) ||
    run.types[i]!.toLowerCase().includes(word) ||
    run.ids[i] === word
  );
}

/** Fold everything that lies deeper than a number of levels. */
export function foldBelow(run: Skeleton, levels: number): Folds {
  const folds = new Uint8Array(run.total);
  for (let i = 0; i < run.total; i++) {
    folds[i] = run.depth[i]! >= levels - 1 && run.size[i]! > 1 ? 1 : 0;
  }
  return folds;
}

/** Return the folds of a run that has grown: what was folded stays so, wherever it stands now. */
export function carryFolds(before: Skeleton, folds: Folds, run: Skeleton): Folds {
  const carried = new Uint8Array(run.total);
  const folded = new Set<string>();
  for (let i = 0; i < before.total; i++) if (folds[i] === 1) folded.add(before.ids[i]!);
  if (folded.size === 0) return carried;
  for (let i = 0; i < run.total; i++) if (folded.has(run.ids[i]!)) carried[i] = 1;
  return carried;
}

/** Return a span's place among the rows, or -1 if it has none. */
export function rowOf(rows: Int32Array, span: number): number {
  // Rows are in ascending order.
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle]! < span) low = middle + 1;
    else high = middle;
  }
  return rows[low] === span ? low : -1;
}

/** Open every ancestor of a span, so that it has a row. Returns whether anything was folded. */
export function reveal(run: Skeleton, folds: Folds, span: number): boolean {
  let opened = false;
  for (let above = run.parent[span]!; above >= 0; above = run.parent[above]!) {
    opened ||= folds[above] === 1;
    folds[above] = 0;
  }
  return opened;
}

/** Return the next failed span after (`step` 1) or before (-1) one, around the end; -1 if none. */
export function nextFailed(run: Skeleton, from: number, step: 1 | -1): number {
  for (let n = 1; n <= run.total; n++) {
    const i = (((from + step * n) % run.total) + run.total) % run.total;
    if (run.status[i] === FAILED) return i;
  }
  return -1;
}

/**
 * Return the spans that took longest by themselves, longest first: without the time in which they
 * had children.
 */
export function slowest(run: Skeleton, limit: number): number[] {
  const own = new Float64Array(run.total);
  for (let i = run.total - 1; i >= 0; i--) {
    const took = run.finish[i]! - run.start[i]!;
    if (Number.isNaN(took)) continue;
    own[i]! += took;
    const above = run.parent[i]!;
    if (above < 0) continue;
    // A child may be outside of its parent's time: its clock is another one.
    const from = Math.max(run.start[i]!, run.start[above]!);
    const to = Math.min(run.finish[i]!, run.finish[above]!);
    if (to > from) own[above]! -= to - from;
  }
  return [...own.keys()]
    .filter((i) => own[i]! > 0)
    .sort((a, b) => own[b]! - own[a]!)
    .slice(0, limit);
}

/** Return the children of a span, at most so many, in their order. */
export function childrenOf(run: Skeleton, span: number, most: number): number[] {
  const children: number[] = [];
  const end = span + run.size[span]!;
  for (let i = span + 1; i < end && children.length < most; i += run.size[i]!) children.push(i);
  return children;
}
