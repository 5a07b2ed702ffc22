import { expect, it } from "vitest";
import {
  bar,
  labelWidth,
  openEnd,
  subtreeRange,
  tickLabel,
  ticks,
  ticksWithin,
  wholeRange,
} from "../src/run/axis";
import { sampleRun } from "./sample";

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
])("labels %i microseconds as %s", (at, label) => {
  expect(tickLabel(at)).toBe(label);
});

it("puts ticks at multiples of a readable step, within the range and the requested number", () => {
  expect(ticks({ from: 0, to: 322e6 }, 6)).toEqual([0, 60e6, 120e6, 180e6, 240e6, 300e6]);
  for (const to of [7, 900, 12_345, 6e5, 1e7, 8e8, 1e12]) {
    const found = ticks({ from: to / 3, to }, 5);
    expect(found.length).toBeGreaterThan(0);
    expect(found.length).toBeLessThanOrEqual(6);
    expect(found.every((at) => at >= to / 3 && at < to)).toBe(true);
  }
});

it("leaves room for every label, however long the run or deep the zoom", () => {
  const day = 86_400e6;
  for (const [from, to] of [
    [0, 366 * day],
    [0, 9_000 * 365 * day],
    [300 * day + 3_607e6, 300 * day + 3_667e6],
    [7_325e6, 7_385e6],
  ] as const) {
    const found = ticksWithin({ from, to }, 660);
    const room = ((found[1]! - found[0]!) / (to - from)) * 660;
    expect(Math.max(...found.map((at) => labelWidth(tickLabel(at))))).toBeLessThanOrEqual(room);
  }
});

it("fits the axis to a span and its descendants", () => {
  const run = sampleRun([
    { start: 0, took: 1000 },
    { parent: 0, start: 100, took: 100 },
    { parent: 1, start: 150, took: 250 },
  ]);
  expect(wholeRange(run.end)).toEqual({ from: 0, to: 1000 });
  expect(subtreeRange(run, 1, run.end)).toEqual({ from: 94, to: 406 });
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
