/** The time axis: which part of a run is shown, and where its ticks are. */

import { fromAxis, onAxis, type Axis, type Range } from "./cut_axis";
import { finishOf, type Skeleton } from "./skeleton";
import { tickLabel } from "./tick_label";

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
/** The room of what stands above a cut, in pixels. */
const CUT_LABEL = 56;

const NICE = [
  ...STEPS,
  ...SECONDS.map((n) => n * 1e6),
  ...HOURS.map((n) => n * 3600e6),
  ...DAYS.map((n) => n * DAY),
];

/** A tick: its time since the start of the work, and its place on the axis. */
export interface Tick {
  at: number;
  place: number;
}

/**
 * Return at most about `most` ticks of the shown part of an axis, at whole multiples of a readable
 * step. There are none where time is left out.
 */
export function ticks(axis: Axis, shown: Range, most: number): Tick[] {
  const least = (shown.to - shown.from) / Math.max(most, 1);
  const step = NICE.find((nice) => nice >= least) ?? Math.ceil(least / DAY) * DAY;
  const zero = axis.work.from;
  const edges = [
    fromAxis(axis, shown.from),
    ...axis.cuts.flatMap(({ from, to }) => [from, to]),
    fromAxis(axis, shown.to),
  ];
  const found: Tick[] = [];
  for (let n = 0; n < edges.length; n += 2) {
    const from = Math.max(edges[n]!, edges[0]!) - zero;
    const to = Math.min(edges[n + 1]!, edges.at(-1)!) - zero;
    for (let at = Math.ceil(from / step) * step; at < to; at += step) {
      // Minus zero is a zero.
      found.push({ at: at || 0, place: onAxis(axis, at + zero) });
    }
  }
  return found;
}

/** Return as many ticks as have room for their labels on an axis of a width. */
export function ticksWithin(axis: Axis, shown: Range, width: number): Tick[] {
  for (let room = LEAST_LABEL; ;) {
    const found = ticks(axis, shown, Math.max(2, Math.floor(width / room)));
    const needed = Math.max(0, ...found.map(({ at }) => labelWidth(tickLabel(at))));
    if (needed <= room || 2 * needed > width) return found;
    room = needed;
  }
}

/** Return the ticks whose labels have room: before the next one, a cut and the edge. */
export function labelled(
  axis: Axis,
  shown: Range,
  found: readonly Tick[],
  width: number,
): ReadonlySet<Tick> {
  const scale = width / (shown.to - shown.from);
  const taken = axis.cuts.map(({ from, to }) => {
    const [left, right] = [onAxis(axis, from), onAxis(axis, to)];
    const room = Math.max(0, CUT_LABEL / scale - (right - left)) / 2;
    return [left - room, right + room] as const;
  });
  const kept = new Set<Tick>();
  let free = -Infinity;
  for (const tick of found) {
    const left = (tick.place - shown.from) * scale;
    const right = left + labelWidth(tickLabel(tick.at));
    const meets = taken.some(
      ([from, to]) => (to - shown.from) * scale > left && (from - shown.from) * scale < right,
    );
    if (left < free || right > width || meets) continue;
    kept.add(tick);
    free = right;
  }
  return kept;
}

/** Return about how wide a tick's label is, in pixels. */
export function labelWidth(label: string): number {
  return 12 + 7 * label.length;
}

/**
 * Return until when open spans have lasted, in microseconds since the run's origin. The server's
 * clock may be a little ahead of this one; an event that is days ahead has a wrong clock.
 */
export function openUntil(run: Skeleton, now: number): number {
  const until = (now - run.origin) * 1000;
  return run.end - until < DAY ? Math.max(run.end, until) : until;
}

/** Return the end of the axis of an active run: just after now, so that it rarely moves. */
export function openEnd(now: number): number {
  const step = NICE.find((nice) => nice >= now / 50) ?? now / 50;
  return Math.ceil(now / Math.max(step, 1)) * step;
}

/**
 * Return the part of the time that a span and everything below it cover, with a little room.
 * Open spans cover the time up to `end`. Return null if they cover none.
 */
export function subtreeRange(run: Skeleton, span: number, end: number): Range | null {
  let from = Infinity;
  let to = -Infinity;
  for (let i = span; i < span + run.size[span]!; i++) {
    const start = run.start[i]!;
    if (start < from) from = start;
    const finish = finishOf(run, i, end);
    if (finish > to) to = finish;
  }
  if (!(to > from)) return null;
  const room = (to - from) * 0.02;
  return { from: from - room, to: to + room };
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
