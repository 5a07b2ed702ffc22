import { expect, it } from "vitest";
import {
  bar,
  labelled,
  labelWidth,
  openEnd,
  openUntil,
  subtreeRange,
  ticks,
  ticksWithin,
} from "../src/run/axis";
import { axisOf, onAxis, rangeOn, type Axis, type Range } from "../src/run/cut_axis";
import { tickLabel } from "../src/run/tick_label";
import { sampleRun } from "./sample";

const DAY = 86_400e6;

/** An axis from zero on, without anything left out. */
function plain(to: number): Axis {
  const whole = { from: 0, to };
  return { whole, cuts: [], cutWidth: 0, work: whole };
}

function timesOf({ from, to }: Range, most: number): number[] {
  return ticks(plain(to), { from, to }, most).map(({ at }) => at);
}

it.each([
  [0, "0"],
  [250, "250 µs"],
  [1_500, "1.5 ms"],
  [500_000, "500 ms"],
  [2_500_000, "2.5 s"],
  [30_000_000, "30 s"],
  [60_000_000, "1 m"],
  [90_000_000, "1 m 30 s"],
  [5_400_000_000, "1 h 30 m"],
  [90_000_000_000, "1 d 1 h"],
  [7_325_250_000, "2 h 2 m 5.25 s"],
  [-90_000_000, "−1 m 30 s"],
])("labels %i microseconds as %s", (at, label) => {
  expect(tickLabel(at)).toBe(label);
});

it("puts ticks at multiples of a readable step, within the range and the requested number", () => {
  expect(timesOf({ from: 0, to: 322e6 }, 6)).toEqual([0, 60e6, 120e6, 180e6, 240e6, 300e6]);
  for (const to of [7, 900, 12_345, 6e5, 1e7, 8e8, 1e12]) {
    const found = timesOf({ from: to / 3, to }, 5);
    expect(found.length).toBeGreaterThan(0);
    expect(found.length).toBeLessThanOrEqual(6);
    expect(found.every((at) => at >= to / 3 && at < to)).toBe(true);
  }
});

it("leaves room for every label, however long the run or deep the zoom", () => {
  for (const [from, to] of [
    [0, 366 * DAY],
    [0, 9_000 * 365 * DAY],
    [300 * DAY + 3_607e6, 300 * DAY + 3_667e6],
    [7_325e6, 7_385e6],
  ] as const) {
    const found = ticksWithin(plain(to), { from, to }, 660);
    const room = ((found[1]!.at - found[0]!.at) / (to - from)) * 660;
    expect(Math.max(...found.map(({ at }) => labelWidth(tickLabel(at))))).toBeLessThanOrEqual(room);
  }
});

it("fits the axis to a span and its descendants", () => {
  const run = sampleRun([
    { start: 0, took: 1000 },
    { parent: 0, start: 100, took: 100 },
    { parent: 1, start: 150, took: 250 },
  ]);
  expect(axisOf(run, run.end).whole).toEqual({ from: 0, to: 1000 });
  expect(subtreeRange(run, 1, run.end)).toEqual({ from: 94, to: 406 });
  const pending = sampleRun([{ start: null, took: null }]);
  expect(subtreeRange(pending, 0, 600)).toBeNull();
});

it("clips bars to the visible range", () => {
  const range = { from: 100, to: 200 };
  expect(bar(range, 50, 150)).toEqual({ left: 0, width: 50 });
  expect(bar(range, 150, 900)).toEqual({ left: 50, width: 50 });
  expect(bar(range, 10, 20)).toBeNull();
  expect(bar(range, NaN, NaN)).toBeNull();
});

it("ends the axis of an active run just after now, and rarely moves that end", () => {
  for (const now of [1, 90, 4_321, 7e6, 61e6, 2_520e6, 1e12]) {
    expect(openEnd(now)).toBeGreaterThanOrEqual(now);
    expect(openEnd(now)).toBeLessThanOrEqual(now * 1.07 + 1);
  }
  const minute = Array.from({ length: 60 }, (_, second) => openEnd(2_520e6 + second * 1e6));
  expect(new Set(minute).size).toBeLessThanOrEqual(2);
});

it("draws an open span up to the given end", () => {
  const run = sampleRun([
    { start: 0, took: null },
    { parent: 0, start: 100, took: null },
  ]);
  expect(subtreeRange(run, 1, 600)).toEqual({ from: 90, to: 610 });
});

it("puts no tick and no label where time is left out", () => {
  const run = sampleRun([
    { start: 0, took: 10e6 },
    { start: 36_000e6, took: 10e6 },
  ]);
  const axis = axisOf(run, run.end);
  const shown = rangeOn(axis, axis.whole);
  const found = ticksWithin(axis, shown, 900);
  const [cut] = axis.cuts;
  expect(found.every(({ at }) => at <= cut!.from || at >= cut!.to)).toBe(true);
  expect(found.map(({ place }) => place)).toEqual(found.map(({ at }) => onAxis(axis, at)));
  expect(new Set(found.map(({ at }) => at > 20e6))).toEqual(new Set([false, true]));
  const scale = 900 / shown.to;
  const ends = [...labelled(axis, shown, found, 900)].map(({ at, place }) => [
    place * scale,
    place * scale + labelWidth(tickLabel(at)),
  ]);
  const [from, to] = [onAxis(axis, cut!.from) * scale, onAxis(axis, cut!.to) * scale];
  expect(ends.length).toBeGreaterThan(2);
  expect(ends.every(([left, right]) => right! <= from || left! >= to)).toBe(true);
  expect(ends.every(([left], n) => n === 0 || ends[n - 1]![1]! <= left!)).toBe(true);
});

it("ends open spans now, also where one span's clock is a year ahead", () => {
  const run = sampleRun([{ start: 0, took: 5e6 }]);
  expect(openUntil(run, run.origin + 9_000)).toBe(9e6);
  expect(openUntil(run, run.origin + 4_000)).toBe(5e6);
  const wrong = sampleRun([{ start: 0, took: null }, { start: 365 * DAY }]);
  expect(openUntil(wrong, wrong.origin + 9_000)).toBe(9e6);
});
