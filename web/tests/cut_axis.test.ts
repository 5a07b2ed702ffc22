import { describe, expect, it, test } from "vitest";
import { axisOf, fromAxis, leftOut, onAxis, rangeOn, uncut, type Axis } from "../src/run/cut_axis";
import { sampleRun, type Sample } from "./sample";

const SECOND = 1e6;
const HOUR = 3600e6;
const YEAR = 365 * 24 * HOUR;

/** Ten steps of a second each, from a time on. */
function burst(start: number, parent?: number): Sample[] {
  return Array.from({ length: 10 }, (_, n) => ({
    ...(parent === undefined ? {} : { parent }),
    start: start + n * SECOND,
    took: 0.9 * SECOND,
  }));
}

function axisOfSpans(spans: readonly Sample[]): Axis {
  const run = sampleRun(spans);
  return axisOf(run, run.end);
}

/** How much of the axis a part of the time takes. */
function share(axis: Axis, from: number, to: number): number {
  const whole = rangeOn(axis, axis.whole);
  const part = rangeOn(axis, { from, to });
  return (part.to - part.from) / (whole.to - whole.from);
}

describe("a span whose clock is wrong", () => {
  test.each([
    ["a year behind", -YEAR, 0.3 * SECOND],
    ["a year ahead", YEAR, 0.3 * SECOND],
    ["a year behind when it started", -YEAR, YEAR + 3 * SECOND],
    ["a year ahead when it ended", 3 * SECOND, YEAR],
  ])("%s leaves most of the axis to the others", (_, start, took) => {
    // The origin is the earliest start.
    const zero = Math.max(0, -start);
    const spans = burst(zero);
    spans.splice(start < 0 ? 0 : 10, 0, { start: zero + start, took });
    const axis = axisOfSpans(spans);
    expect(axis.cuts).toHaveLength(1);
    expect(leftOut(axis.cuts)).toBeGreaterThan(0.99 * YEAR);
    expect(share(axis, zero, zero + 10 * SECOND)).toBeGreaterThan(0.8);
    expect(axis.work.from).toBe(zero);
    expect(axis.work.to).toBeLessThan(zero + 11 * SECOND);
  });

  it("by some hours is cut off as well, and the axis begins with the earliest", () => {
    const axis = axisOfSpans([{ start: 0, took: SECOND }, ...burst(2 * HOUR)]);
    expect(axis.cuts).toHaveLength(1);
    expect(axis.work).toEqual(axis.whole);
  });
});

describe("a run that waits", () => {
  const night = (wait: Sample): Sample[] => [
    { start: 0, took: 10 * HOUR + 10 * SECOND, name: "support:agent" },
    ...burst(0, 0),
    { parent: 0, start: 10 * SECOND, took: 10 * HOUR - 10 * SECOND, ...wait },
    ...burst(10 * HOUR, 0),
  ];

  it("for a person shows both parts of its work", () => {
    const axis = axisOfSpans(night({ name: "human:approval" }));
    expect(axis.cuts).toHaveLength(1);
    expect(share(axis, 0, 10 * SECOND)).toBeGreaterThan(0.4);
    expect(share(axis, 10 * HOUR, 10 * HOUR + 10 * SECOND)).toBeGreaterThan(0.4);
    expect(axis.work).toEqual(axis.whole);
  });

  it("for a step that works shows how long that is", () => {
    expect(axisOfSpans(night({ name: "agent:llm" })).cuts).toEqual([]);
  });

  it("several nights, and everything between them has one scale", () => {
    const starts = [0, 10 * HOUR, 21 * HOUR, 40 * HOUR];
    const axis = axisOfSpans(starts.flatMap((start) => burst(start)));
    expect(axis.cuts).toHaveLength(3);
    const shares = starts.map((start) => share(axis, start, start + 10 * SECOND));
    for (const one of shares) expect(one).toBeCloseTo(shares[0]!, 9);
    expect(shares[0]).toBeGreaterThan(0.15);
  });

  it("until now, while it is active", () => {
    const run = sampleRun([...burst(0), { start: 10 * SECOND, took: null, name: "human:review" }]);
    const { cuts } = axisOf(run, 9 * HOUR);
    expect(cuts).toHaveLength(1);
    expect(leftOut(cuts, 8 * HOUR)).toBe(8 * HOUR - cuts[0]!.from);
    const hanging = sampleRun([...burst(0), { start: 10 * SECOND, took: null }]);
    expect(axisOf(hanging, 9 * HOUR).cuts).toEqual([]);
  });
});

it.each([
  ["steps without a pause", burst(0)],
  ["a pause of less than a minute", [...burst(0), ...burst(60 * SECOND)]],
  ["a pause that leaves room for the rest", [...burst(0), ...burst(80 * SECOND)]],
  ["work once an hour", Array.from({ length: 100 }, (_, n) => ({ start: n * HOUR, took: SECOND }))],
  ["no spans", []],
  ["one span", [{ start: 0, took: 3 * SECOND }]],
  ["one span without time", [{ start: 0, took: 0 }]],
  ["a span that has not started", [{ start: null, took: null }]],
])("leaves out nothing of %s", (_, spans) => {
  const axis = axisOfSpans(spans);
  expect(axis.cuts).toEqual([]);
  expect(axis.whole.to).toBeGreaterThan(axis.whole.from);
});

it("leaves out only the longest where the others would be the rule", () => {
  const hourly = Array.from({ length: 100 }, (_, n) => ({ start: n * HOUR, took: SECOND }));
  const axis = axisOfSpans([...hourly, { start: YEAR, took: SECOND }]);
  expect(axis.cuts).toHaveLength(1);
  expect(axis.work.to).toBe(99 * HOUR + SECOND);
});

it("turns times into places and back, in order and without a jump", () => {
  const axis = axisOfSpans([0, 10 * HOUR, YEAR].flatMap((start) => burst(start)));
  expect(axis.cuts).toHaveLength(2);
  let before = -1;
  for (let n = 0; n <= 1000; n++) {
    const place = (onAxis(axis, axis.whole.to) * n) / 1000;
    const time = fromAxis(axis, place);
    expect(time).toBeGreaterThan(before);
    expect(onAxis(axis, time)).toBeCloseTo(place, -2);
    before = time;
  }
  expect(onAxis(axis, NaN)).toBeNaN();
  for (const cut of axis.cuts) {
    const { from, to } = rangeOn(axis, cut);
    expect(to - from).toBeCloseTo(axis.cutWidth, -2);
  }
});

it("shows all of the time when asked to", () => {
  const axis = uncut(axisOfSpans([...burst(0), ...burst(10 * HOUR)]));
  expect(rangeOn(axis, axis.whole)).toEqual({ from: 0, to: axis.whole.to });
});
