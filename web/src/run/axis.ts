/** The time axis: which part of a run is shown, and where its ticks are. */

import type { Skeleton } from "./skeleton";

/** A part of the run's time, in microseconds since its origin. */
export interface Range {
  from: number;
  to: number;
}

const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500]
  .flatMap((n) => [n, n * 1e3])
  .sort((a, b) => a - b);
const SECONDS = [1, 2, 5, 10, 20, 30, 60, 120, 180, 300, 600, 900, 1800];
const HOURS = [1, 2, 3, 6, 12];
// A clock that is wrong puts spans years apart.
const DAYS = [1, 2, 7, 14, 28, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
const DAY = 86_400e6;
/** The least room of a label, in pixels. */
const LEAST_LABEL = 72;

const NICE = [
  ...STEPS,
  ...SECONDS.map((n) => n * 1e6),
  ...HOURS.map((n) => n * 3600e6),
  ...DAYS.map((n) => n * DAY),
];

/** Return the times of at most `most` ticks, at whole multiples of a readable step. */
export function ticks({ from, to }: Range, most: number): number[] {
  const least = (to - from) / Math.max(most, 1);
  const step = NICE.find((nice) => nice >= least) ?? Math.ceil(least / DAY) * DAY;
  const found: number[] = [];
  for (let n = Math.ceil(from / step); n * step < to; n++) found.push(n * step);
  return found;
}

/** Return the times of as many ticks as have room for their labels on an axis of a width. */
export function ticksWithin(range: Range, width: number): number[] {
  for (let room = LEAST_LABEL; ;) {
    const found = ticks(range, Math.max(2, Math.floor(width / room)));
    const needed = Math.max(0, ...found.map((at) => labelWidth(tickLabel(at))));
    if (needed <= room || 2 * needed > width) return found;
    room = needed;
  }
}

/** Return about how wide a tick's label is, in pixels. */
export function labelWidth(label: string): number {
  return 12 + 7 * label.length;
}

/** Return a tick's label: the units of its step and no digits that say nothing. */
export function tickLabel(at: number): string {
  if (at === 0) return "0";
  if (at % 1e6 !== 0) {
    if (at < 1e3) return `${at} µs`;
    return at < 1e6 ? `${trimmed(at / 1e3)} ms` : `${trimmed(at / 1e6)} s`;
  }
  const seconds = at / 1e6;
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ] as const;
  return parts
    .filter(([value]) => value > 0)
    .map(([value, unit]) => `${value} ${unit}`)
    .join(" ");
}

/** Return the part of the time that a run's spans cover, up to its end. */
export function wholeRange(end: number): Range {
  return { from: 0, to: Math.max(end, 1) };
}

/** Return the end of the axis of an active run: just after now, so that it rarely moves. */
export function openEnd(now: number): number {
  const step = NICE.find((nice) => nice >= now / 50) ?? now / 50;
  return Math.ceil(now / Math.max(step, 1)) * step;
}

/**
 * Return the part of the time that a span and everything below it cover, with a little room.
 * Open spans cover the time up to `end`.
 */
export function subtreeRange(run: Skeleton, span: number, end: number): Range {
  let from = Infinity;
  let to = -Infinity;
  for (let i = span; i < span + run.size[span]!; i++) {
    const start = run.start[i]!;
    if (start < from) from = start;
    const finish = Number.isNaN(run.finish[i]!)
      ? Number.isNaN(start)
        ? NaN
        : end
      : run.finish[i]!;
    if (finish > to) to = finish;
  }
  if (!(to > from)) return wholeRange(end);
  const room = (to - from) * 0.02;
  return { from: Math.max(0, from - room), to: to + room };
}

/** Return a bar's place in percent of the shown range, cut to what is visible; null outside. */
export function bar(
  { from, to }: Range,
  start: number,
  end: number,
): { left: number; width: number } | null {
  if (Number.isNaN(start) || end < from || start > to) return null;
  const scale = 100 / (to - from);
  const left = Math.max(0, (start - from) * scale);
  return { left, width: Math.max(0, Math.min(100, (end - from) * scale) - left) };
}

function trimmed(value: number): string {
  return String(Number(value.toFixed(3)));
}
