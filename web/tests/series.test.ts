import { expect, it } from "vitest";
import { bucketOf, chosenRange, rangeOf } from "../src/agents/range";
import {
  failuresChart,
  figuresOf,
  gaps,
  rateText,
  runsChart,
  type Series,
} from "../src/agents/series";
import { bucketText, lineAt, logRange, stack } from "../src/parts/chart/chart";

const HOUR = 3_600_000;
const NOW = Date.parse("2026-11-29T12:00:00Z");

function series(changes: Partial<Series> = {}): Series {
  const durations = { measured: [1, 1], p50: [1, null], p95: [2, null], p99: [3, null] };
  return {
    type: "series",
    account_id: "account",
    agent_id: null,
    environment_id: null,
    bucket: "day",
    start_time: "2026-11-28T00:00:00Z",
    end_time: "2026-11-30T00:00:00Z",
    complete_from: "2026-11-01T00:00:00Z",
    behind_seconds: 0,
    currency: null,
    starts: ["2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z"],
    runs: {
      complete: [2, 1],
      failed: [1, 0],
      cancelled: [0, 0],
      terminated: [0, 0],
      durations,
      overall: { measured: 4, p50: 1, p95: 2, p99: 3 },
    },
    span_types: [],
    models: [],
    ...changes,
  };
}

it("sums counts, and takes quantiles from the server", () => {
  expect(figuresOf(series())).toEqual({
    runs: 4,
    failureRate: 0.25,
    p95: 2,
    tokens: 0,
    cost: null,
    unpriced: 0,
  });
  expect([null, 0, 0.0004, 0.004, 0.25].map(rateText)).toEqual([
    "–",
    "0%",
    "< 0.1%",
    "0.4%",
    "25%",
  ]);
});

it("stacks bars, and finds the line at a height", () => {
  const chart = runsChart(series());
  expect(stack(chart.lines).slice(-2)).toEqual([
    [3, null],
    [2, 1],
  ]);
  expect([1, 2.5, 9].map((height) => chart.lines[lineAt(chart, 0, height)]?.name)).toEqual([
    "complete",
    "failed",
    undefined,
  ]);
  expect(bucketText(chart, 1)).toBe("Nov 29, 2026");
});

it("shows the largest lines and sums the others", () => {
  const durations = series().runs.durations;
  const types = Array.from({ length: 9 }, (_, n) => ({
    schema_name: `type ${n}`,
    merged_names: 1,
    spans: [9, 9],
    failed: [n, 0],
    durations,
  }));
  const { lines } = failuresChart(series({ span_types: types }));
  expect(lines.map(({ label }) => label).slice(-2)).toEqual(["type 3", "2 other types"]);
  expect(lines.at(-1)!.values).toEqual([3, 0]);
});

it("says which data is missing", () => {
  const day = (at: number): string => new Date(at).toISOString().slice(0, 10);
  expect(gaps(series(), day)).toEqual([]);
  expect(gaps(series({ complete_from: null }), day)[0]).toMatch(/still counting/);
  expect(gaps(series({ complete_from: "2026-11-29T00:00:00Z", behind_seconds: 60 }), day)).toEqual([
    "Figures are complete from 2026-11-29 on.",
    "What was written in the last 60 seconds is not counted yet.",
  ]);
});

it.each([
  [1, 0, "minute"],
  [24, 0, "hour"],
  [7 * 24, 0, "hour"],
  [30 * 24, 0, "day"],
  // Minutes are kept for a week, hours for ninety days.
  [1, 8 * 24, "hour"],
  [24, 91 * 24, "day"],
] as const)("draws %d hours that ended %d hours ago by the %s", (length, before, bucket) => {
  const end = NOW - before * HOUR;
  expect(bucketOf(end - length * HOUR, end, NOW)).toBe(bucket);
});

it.each([
  ["from=2026-11-29T00:00&to=2026-11-28T00:00", /must end after/],
  ["from=2020-01-01T00:00&to=2026-01-01T00:00", /at most 1499 days/],
  ["from=&to=2026-01-01T00:00", /when the range begins/],
  ["from=2026-11-01T00:00&to=soon", /not a time/],
])("says what is wrong with %s", (query, problem) => {
  expect(rangeOf(chosenRange(new URLSearchParams(query)), NOW)).toMatch(problem);
});

it("chooses two readable ticks for any durations", () => {
  expect(logRange(120, 900)).toEqual([100, 1_000]);
  expect(logRange(5, 5)).toEqual([1, 10]);
  expect(logRange(null, null)[0]).toBeLessThan(logRange(null, null)[1]);
});
