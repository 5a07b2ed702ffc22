/** Differences of figures, as text. */

export interface Delta {
  /** With a sign: `+1.2 s`, `−3`; empty if nothing differs or one side is unknown. */
  text: string;
  /** Whether there is more on the right side than on the left, or less. */
  sign: -1 | 0 | 1;
}

const NONE: Delta = { text: "", sign: 0 };

/** Return how a figure changed from left to right, in its own format, with the percentage. */
export function deltaOf(
  left: number | null,
  right: number | null,
  format: (value: number) => string,
  { percent = false } = {},
): Delta {
  if (left === null || right === null || left === right) return NONE;
  const by = right - left;
  const share = Math.round((Math.abs(by) / left) * 100);
  // A percentage of nothing, or a multiple of a hundred, says less than the figures themselves.
  const told =
    percent && left > 0 && share >= 1 && share < 1000 ? ` (${signed(by, `${share}%`)})` : "";
  return { text: signed(by, format(Math.abs(by))) + told, sign: by > 0 ? 1 : -1 };
}

function signed(by: number, text: string): string {
  return `${by > 0 ? "+" : "−"}${text}`;
}
