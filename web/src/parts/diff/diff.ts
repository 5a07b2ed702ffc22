/** The difference of two texts, line by line, laid out as pairs of lines beside each other. */

import { alignSequences } from "./sequence";

export interface DiffRow {
  kind: "same" | "changed" | "removed" | "added";
  /** The line's number and text; null where the side has no such line. */
  left: { number: number; text: string } | null;
  right: { number: number; text: string } | null;
}

/** Neighbouring rows: those that differ with a few around them, or equal ones that are folded. */
export interface DiffBlock {
  folded: boolean;
  rows: readonly DiffRow[];
}

export interface Diff {
  blocks: readonly DiffBlock[];
  /** How many rows differ. */
  differences: number;
  /** How many lines of each side were left out, because the texts are too long. */
  leftOut: { left: number; right: number };
}

/** How many lines of each side are compared. */
export const MOST_LINES = 5_000;
/** How much of a line is shown. */
export const MOST_CHARACTERS = 2_000;
const AROUND = 3;

/** Compare two texts, given as lines. */
export function diffLines(left: readonly string[], right: readonly string[]): Diff {
  const rows = pairUp(left.slice(0, MOST_LINES), right.slice(0, MOST_LINES));
  return {
    blocks: foldEqual(rows),
    differences: rows.filter(({ kind }) => kind !== "same").length,
    leftOut: {
      left: Math.max(0, left.length - MOST_LINES),
      right: Math.max(0, right.length - MOST_LINES),
    },
  };
}

function pairUp(left: readonly string[], right: readonly string[]): DiffRow[] {
  const match = alignSequences(left, right);
  const rows: DiffRow[] = [];
  let x = 0;
  let y = 0;
  while (x < left.length || y < right.length) {
    // Lines without a partner on either side are shown beside each other, as far as they go.
    const removed = x;
    while (x < left.length && match[x] === -1) x++;
    const next = x < left.length ? match[x]! : right.length;
    for (let n = 0; n < Math.max(x - removed, next - y); n++)
      rows.push(rowOf(line(left, removed + n, x), line(right, y + n, next)));
    y = next;
    for (; x < left.length && match[x] === y; x++, y++)
      rows.push({ kind: "same", left: line(left, x, x + 1), right: line(right, y, y + 1) });
  }
  return rows;
}

function line(lines: readonly string[], place: number, end: number): DiffRow["left"] {
  return place < end ? { number: place + 1, text: cut(lines[place]!) } : null;
}

function cut(text: string): string {
  if (text.length <= MOST_CHARACTERS) return text;
  return `${text.slice(0, MOST_CHARACTERS)}… (${text.length - MOST_CHARACTERS} more characters)`;
}

function rowOf(left: DiffRow["left"], right: DiffRow["right"]): DiffRow {
  return { kind: left && right ? "changed" : left ? "removed" : "added", left, right };
}

/** Fold equal rows that are further than a few from any difference. */
function foldEqual(rows: readonly DiffRow[]): DiffBlock[] {
  const near = new Uint8Array(rows.length);
  for (const [place, { kind }] of rows.entries())
    if (kind !== "same")
      near.fill(1, Math.max(0, place - AROUND), Math.min(rows.length, place + AROUND + 1));
  const blocks: DiffBlock[] = [];
  for (let from = 0; from < rows.length;) {
    let to = from + 1;
    while (to < rows.length && near[to] === near[from]) to++;
    // A button in place of two lines would save nothing.
    const folded = near[from] === 0 && to - from > 2;
    blocks.push({ folded, rows: rows.slice(from, to) });
    from = to;
  }
  return blocks;
}
