/** The small bars of a tile. */

import { STATUSES, type Series } from "./series";

const MOST_BARS = 48;

/** Return the paths of all runs that ended, and of those that failed, in a box. */
export function sparkBars(
  series: Series,
  width: number,
  height: number,
): { ended: string; failed: string } {
  const buckets = series.starts.length;
  // Neighbouring buckets are added up where bars would be too thin.
  const each = Math.max(1, Math.ceil(buckets / MOST_BARS));
  const bars = Math.ceil(buckets / each);
  const ended = new Array<number>(bars).fill(0);
  const failed = new Array<number>(bars).fill(0);
  for (let bucket = 0; bucket < buckets; bucket++) {
    const bar = Math.floor(bucket / each);
    for (const status of STATUSES) ended[bar]! += series.runs[status][bucket]!;
    failed[bar]! += series.runs.failed[bucket]!;
  }
  const highest = Math.max(1, ...ended);
  const step = width / Math.max(bars, 1);
  const path = (values: readonly number[]): string =>
    values
      .map((value, bar) => {
        if (value === 0) return "";
        const tall = Math.max(1.5, (value / highest) * (height - 1));
        return `M${round(bar * step)} ${height}v${-round(tall)}h${round(step * 0.78)}v${round(tall)}z`;
      })
      .join("");
  return { ended: path(ended), failed: path(failed) };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
