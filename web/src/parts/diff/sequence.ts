/** Aligning two sequences: which elements of one are which of the other, in order. */

/** How many insertions and deletions are searched for exactly. Beyond, the rest is matched greedily. */
const MOST_EDITS = 1_000;
/** How far the greedy match looks ahead. */
const LOOK_AHEAD = 100;

/**
 * Return for each element of `left` its place in `right`, or -1. The matches ascend. It is the
 * longest common subsequence unless the two differ by more than 1,000 insertions and deletions.
 */
export function alignSequences<T>(left: readonly T[], right: readonly T[]): Int32Array {
  const match = new Int32Array(left.length).fill(-1);
  let from = 0;
  let leftEnd = left.length;
  let rightEnd = right.length;
  while (from < leftEnd && from < rightEnd && left[from] === right[from]) match[from] = from++;
  while (leftEnd > from && rightEnd > from && left[leftEnd - 1] === right[rightEnd - 1])
    match[--leftEnd] = --rightEnd;
  if (from < leftEnd && from < rightEnd)
    alignMiddle(left.slice(from, leftEnd), right.slice(from, rightEnd), from, match);
  return match;
}

/** Search for the shortest edit script (Myers): `ends[k]` is how far diagonal k has come. */
function alignMiddle<T>(
  left: readonly T[],
  right: readonly T[],
  offset: number,
  match: Int32Array,
): void {
  const most = Math.min(left.length + right.length, MOST_EDITS);
  const ends = new Int32Array(2 * most + 3);
  const center = most + 1;
  const trace: Int32Array[] = [];
  for (let edits = 0; edits <= most; edits++) {
    for (let k = -edits; k <= edits; k += 2) {
      const x = slide(left, right, startOf(ends, center, k, edits), k);
      ends[center + k] = x;
      if (x >= left.length && x - k >= right.length) {
        trace.push(ends.slice(center - edits - 1, center + edits + 2));
        walkBack(trace, left.length, right.length, offset, match);
        return;
      }
    }
    trace.push(ends.slice(center - edits - 1, center + edits + 2));
  }
  alignGreedily(left, right, offset, match);
}

/** Where a diagonal begins after one more edit: at an insertion, or at a deletion. */
function startOf(ends: Int32Array, center: number, k: number, edits: number): number {
  if (edits === 0) return 0;
  return isInsertion(ends, center, k, edits) ? ends[center + k + 1]! : ends[center + k - 1]! + 1;
}

/** Whether a diagonal is reached furthest by taking an element of the right sequence alone. */
function isInsertion(ends: Int32Array, center: number, k: number, edits: number): boolean {
  return k === -edits || (k !== edits && ends[center + k - 1]! < ends[center + k + 1]!);
}

function slide<T>(left: readonly T[], right: readonly T[], x: number, k: number): number {
  while (x < left.length && x - k < right.length && left[x] === right[x - k]) x++;
  return x;
}

/** Follow the furthest diagonals back from the end. Each step's slice is centred at its edits + 1. */
function walkBack(
  trace: readonly Int32Array[],
  x: number,
  y: number,
  offset: number,
  match: Int32Array,
): void {
  for (let edits = trace.length - 1; edits > 0; edits--) {
    const before = trace[edits - 1]!;
    const k = x - y;
    const begin = startOf(before, edits, k, edits);
    while (x > begin) match[offset + --x] = offset + --y;
    if (isInsertion(before, edits, k, edits)) y = x - (k + 1);
    else {
      x = begin - 1;
      y = x - (k - 1);
    }
  }
  while (x > 0) match[offset + --x] = offset + --y;
}

/** Match each element with the next equal one that is not far ahead. */
function alignGreedily<T>(
  left: readonly T[],
  right: readonly T[],
  offset: number,
  match: Int32Array,
): void {
  let next = 0;
  for (let x = 0; x < left.length && next < right.length; x++) {
    const last = Math.min(right.length, next + LOOK_AHEAD);
    for (let y = next; y < last; y++) {
      if (left[x] !== right[y]) continue;
      match[offset + x] = offset + y;
      next = y + 1;
      break;
    }
  }
}
