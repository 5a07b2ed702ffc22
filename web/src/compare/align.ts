/**
 * Two runs as one tree: each span of one next to the corresponding span of the other.
 * Siblings correspond in order, by their type and their name.
 */

import { alignSequences } from "../parts/diff/sequence";
import type { Skeleton } from "../run/skeleton";

export const CHANGES = ["same", "changed", "added", "removed"] as const;
export type Change = (typeof CHANGES)[number];

const SAME = 0;
const CHANGED = 1;
const ADDED = 2;
const REMOVED = 3;

/** One run of a comparison. */
export interface Side {
  run: Skeleton;
  /** One for each span; null if it is unknown. */
  tokens: readonly (number | null)[];
  cost: readonly (number | null)[];
}

/** The rows of the merged tree, in its order, with one entry each. */
export interface Comparison {
  total: number;
  /** The place of the span in its run, or -1. */
  left: Int32Array;
  right: Int32Array;
  /** The row above, or -1. */
  parent: Int32Array;
  depth: Uint16Array;
  /** How many rows the subtree has, itself included. */
  size: Int32Array;
  /** A place in `CHANGES`. */
  change: Uint8Array;
  /** How many rows of the subtree differ, itself included. */
  differences: Int32Array;
  counts: Readonly<Record<Change, number>>;
}

type Pair = readonly [left: number, right: number];

interface Frame {
  row: number;
  pairs: readonly Pair[];
  next: number;
}

/** Align two runs. The work is bounded: see `alignSequences`. */
export function compareRuns(left: Side, right: Side): Comparison {
  const most = left.run.total + right.run.total;
  const rows = {
    left: new Int32Array(most),
    right: new Int32Array(most),
    parent: new Int32Array(most),
    depth: new Uint16Array(most),
    size: new Int32Array(most).fill(1),
    change: new Uint8Array(most),
  };
  const keys = keysOf(left.run, right.run);
  const roots = alignSiblings(keys, childrenOf(left.run, -1), childrenOf(right.run, -1));
  // A stack of our own: a run may be thousands of levels deep.
  const stack: Frame[] = [{ row: -1, pairs: roots, next: 0 }];
  let total = 0;
  while (stack.length > 0) {
    const frame = stack.at(-1)!;
    const pair = frame.pairs[frame.next++];
    if (pair === undefined) {
      stack.pop();
      if (frame.row >= 0) rows.size[frame.row] = total - frame.row;
      continue;
    }
    const [l, r] = pair;
    const row = total++;
    rows.left[row] = l;
    rows.right[row] = r;
    rows.parent[row] = frame.row;
    rows.depth[row] = Math.min(stack.length - 1, 0xffff);
    rows.change[row] = changeOf(left, l, right, r);
    const below = alignSiblings(
      keys,
      l < 0 ? [] : childrenOf(left.run, l),
      r < 0 ? [] : childrenOf(right.run, r),
    );
    stack.push({ row, pairs: below, next: 0 });
  }
  return summed(rows, total);
}

function summed(
  rows: Omit<Comparison, "total" | "differences" | "counts">,
  total: number,
): Comparison {
  const differences = new Int32Array(total);
  const counts: Record<Change, number> = { same: 0, changed: 0, added: 0, removed: 0 };
  for (let row = total - 1; row >= 0; row--) {
    counts[CHANGES[rows.change[row]!]!]++;
    if (rows.change[row] !== SAME) differences[row]!++;
    const above = rows.parent[row]!;
    if (above >= 0) differences[above]! += differences[row]!;
  }
  return { ...rows, total, differences, counts };
}

/** Give each span a number that is the same for all of one type and name, in both runs. */
function keysOf(left: Skeleton, right: Skeleton): { left: Int32Array; right: Int32Array } {
  const numbers = new Map<string, number>();
  const of = (run: Skeleton): Int32Array => {
    const keys = new Int32Array(run.total);
    for (let i = 0; i < run.total; i++) {
      const text = `${run.types[i]}\n${run.names[i]}`;
      const number = numbers.get(text) ?? numbers.size;
      numbers.set(text, number);
      keys[i] = number;
    }
    return keys;
  };
  return { left: of(left), right: of(right) };
}

/** Return the children of a span in their order; those of -1 are the roots. */
function childrenOf(run: Skeleton, span: number): number[] {
  const end = span < 0 ? run.total : span + run.size[span]!;
  const found: number[] = [];
  for (let i = span + 1; i < end; i += run.size[i]!) found.push(i);
  return found;
}

/** Return siblings side by side: removed ones before the ones that were added in their place. */
function alignSiblings(
  keys: { left: Int32Array; right: Int32Array },
  left: readonly number[],
  right: readonly number[],
): Pair[] {
  const match = alignSequences(
    left.map((span) => keys.left[span]!),
    right.map((span) => keys.right[span]!),
  );
  const pairs: Pair[] = [];
  let next = 0;
  for (const [x, span] of left.entries()) {
    if (match[x]! >= 0) {
      while (next < match[x]!) pairs.push([-1, right[next++]!]);
      pairs.push([span, right[next++]!]);
    } else pairs.push([span, -1]);
  }
  while (next < right.length) pairs.push([-1, right[next++]!]);
  return pairs;
}

function changeOf(left: Side, l: number, right: Side, r: number): number {
  if (l < 0) return ADDED;
  if (r < 0) return REMOVED;
  const isSame =
    left.run.status[l] === right.run.status[r] &&
    left.run.summaries[l] === right.run.summaries[r] &&
    (left.tokens[l] ?? null) === (right.tokens[r] ?? null);
  return isSame ? SAME : CHANGED;
}

/** Return the rows that are shown, from top to bottom. */
export function shownRows(
  compared: Comparison,
  folded: ReadonlySet<number>,
  onlyDifferences: boolean,
): number[] {
  const rows: number[] = [];
  for (let row = 0; row < compared.total;) {
    const skip = onlyDifferences && compared.differences[row] === 0;
    if (!skip) rows.push(row);
    row += skip || folded.has(row) ? compared.size[row]! : 1;
  }
  return rows;
}

/**
 * Return the next row that differs after (`step` 1) or before (-1) one, around the end; -1 if none.
 * A subtree that was added or removed as a whole counts once.
 */
export function nextDifference(compared: Comparison, from: number, step: 1 | -1): number {
  const { total } = compared;
  for (let n = 1; n <= total; n++) {
    const row = (((from + step * n) % total) + total) % total;
    if (begins(compared, row)) return row;
  }
  return -1;
}

function begins(compared: Comparison, row: number): boolean {
  const change = compared.change[row]!;
  if (change === SAME || change === CHANGED) return change === CHANGED;
  const above = compared.parent[row]!;
  return above < 0 || compared.change[above] !== change;
}

/** Return how long a span took, in microseconds; null if it has not ended. */
export function tookOf({ run }: Side, span: number): number | null {
  const took = span < 0 ? NaN : run.finish[span]! - run.start[span]!;
  return Number.isNaN(took) ? null : took;
}
