/**
 * The axis of a run, without the long parts in which nothing happens: a night until a person has
 * approved, or the year between a span whose clock is wrong and all others. Everything else would
 * be too small to see. One microsecond has the same width everywhere between the cuts.
 */

import { finishOf, HUMAN, type Skeleton } from "./skeleton";

/** A part of the time, in microseconds since the run's origin. */
export interface Range {
  from: number;
  to: number;
}

/** Places on an axis are microseconds as well: those since its start that are not left out. */
export interface Axis {
  /** The whole time of the run. */
  whole: Range;
  /** The parts that are left out, in their order. */
  cuts: readonly Range[];
  /** How wide the place of each of them is. */
  cutWidth: number;
  /** The time without spans whose clock must be wrong. Its start is the axis's zero. */
  work: Range;
}

/** How many times as long as everything that is left a part has to be. */
const TIMES = 4;
/** The shortest part that is left out. */
const SHORTEST = 60e6;
/** A single step does not take that long, and between two parts of a run it is unusual. */
const DAY = 86_400e6;
const MOST_CUTS = 8;
/** What stays on both sides of a cut, as a part of the time that is left. */
const ROOM = 0.02;
/** The width of the place of a cut and of all of them, as parts of the time that is left. */
const CUT = 0.08;
const ALL_CUTS = 0.32;

/**
 * Return the axis of a run up to its end. Parts are left out in which no span starts or ends, and
 * no step is at work, which waiting for a person is not. Each is at least a minute long, and longer
 * than four times all that is left.
 */
export function axisOf(run: Skeleton, end: number): Axis {
  const moments = momentsOf(run, end);
  const whole = { from: moments[0]!, to: Math.max(moments.at(-1)!, moments[0]! + 1) };
  const { gaps, left } = chosenGaps(run, moments, end);
  const room = Math.max(left * ROOM, 1);
  const cuts = gaps.map(({ from, to }) => ({ from: from + room, to: to - room }));
  const cutWidth = (left + 2 * room * cuts.length) * Math.min(CUT, ALL_CUTS / cuts.length);
  return { whole, cuts, cutWidth, work: workOf(run, whole, gaps) };
}

/** Return the axis that shows all of the time. */
export function uncut(axis: Axis): Axis {
  return { ...axis, cuts: [] };
}

/** Return the place of a time on an axis; within a cut, its share of the cut's width. */
export function onAxis({ whole, cuts, cutWidth }: Axis, time: number): number {
  let place = time - whole.from;
  for (const { from, to } of cuts) {
    if (!(time > from)) break;
    const share = Math.min(1, (time - from) / (to - from));
    place += share * cutWidth - Math.min(time - from, to - from);
  }
  return place;
}

/** Return the time at a place of an axis. */
export function fromAxis(axis: Axis, place: number): number {
  let time = place + axis.whole.from;
  for (const cut of axis.cuts) {
    const before = place - onAxis(axis, cut.from);
    if (before <= 0) break;
    const share = Math.min(1, before / axis.cutWidth);
    time += share * (cut.to - cut.from) - Math.min(before, axis.cutWidth);
  }
  return time;
}

/** Return a part of the time as places of an axis, from its start on. */
export function rangeOn(axis: Axis, { from, to }: Range): Range {
  return { from: Math.max(0, onAxis(axis, from)), to: onAxis(axis, to) };
}

/** Return how much time the cuts leave out until now, which may be in the last one; NaN: all. */
export function leftOut(cuts: readonly Range[], until = NaN): number {
  return cuts.reduce((sum, { from, to }) => sum + (until < to ? until : to) - from, 0);
}

/** When something starts or ends, in order; the start of the run and its end are among them. */
function momentsOf(run: Skeleton, end: number): Float64Array {
  const moments = new Float64Array(2 * run.total + 2);
  let n = 0;
  moments[n++] = 0;
  moments[n++] = Math.max(end, 0);
  for (let i = 0; i < run.total; i++) {
    if (!Number.isNaN(run.start[i]!)) moments[n++] = run.start[i]!;
    if (!Number.isNaN(run.finish[i]!)) moments[n++] = run.finish[i]!;
  }
  return moments.subarray(0, n).sort();
}

function chosenGaps(
  run: Skeleton,
  moments: Float64Array,
  end: number,
): { gaps: Range[]; left: number } {
  const total = moments.at(-1)! - moments[0]!;
  const none = { gaps: [], left: total };
  if (total < SHORTEST) return none;
  const longest: Range[] = [];
  for (let n = 1; n < moments.length; n++) {
    const gap = { from: moments[n - 1]!, to: moments[n]! };
    if (length(gap) < SHORTEST) continue;
    longest.push(gap);
    if (longest.length < 4 * MOST_CUTS) continue;
    longest.sort(longerFirst).splice(MOST_CUTS);
  }
  longest.sort(longerFirst).splice(MOST_CUTS);
  let left = total;
  let chosen: { gaps: Range[]; left: number } = none;
  for (const [n, gap] of longest.entries()) {
    // A longer one that stays is a part of what is left, so no shorter one qualifies.
    if (length(gap) < DAY && isAtWork(run, gap, end)) break;
    left -= length(gap);
    if (length(gap) > TIMES * left) chosen = { gaps: longest.slice(0, n + 1), left };
  }
  chosen.gaps.sort((a, b) => a.from - b.from);
  return chosen;
}

function isAtWork(run: Skeleton, gap: Range, end: number): boolean {
  for (let i = 0; i < run.total; i++) {
    if (run.size[i] !== 1 || run.kind[i] === HUMAN || !(run.start[i]! <= gap.from)) continue;
    if (finishOf(run, i, end) >= gap.to) return true;
  }
  return false;
}

/** Between gaps of a day or more, the part of the time in which most spans start. */
function workOf(run: Skeleton, whole: Range, gaps: readonly Range[]): Range {
  const days = gaps.filter((gap) => length(gap) >= DAY);
  const froms = [whole.from, ...days.map(({ to }) => to)];
  const tos = [...days.map(({ from }) => from), whole.to];
  const starts = froms.map(() => 0);
  for (let i = 0; i < run.total && days.length > 0; i++) {
    const part = tos.findIndex((to) => run.start[i]! <= to);
    if (part >= 0) starts[part]!++;
  }
  const most = starts.indexOf(Math.max(...starts));
  return { from: froms[most]!, to: tos[most]! };
}

function length({ from, to }: Range): number {
  return to - from;
}

function longerFirst(a: Range, b: Range): number {
  return length(b) - length(a);
}
