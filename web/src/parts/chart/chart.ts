/** What a chart is made of, and the rules of its axes. How it is drawn is in `draw_chart.ts`. */

import { compact, count, duration, money } from "../../format";

export interface Line {
  /** What it stands for, as the API names it. */
  name: string;
  label: string;
  /** The name of a colour of the theme. */
  color: string;
  /** One for each bucket; null where nothing is known. */
  values: readonly (number | null)[];
}

export interface Chart {
  /** When each bucket begins, in milliseconds since 1970. */
  starts: readonly number[];
  bucketMs: number;
  unit: "count" | "milliseconds" | "tokens" | "money";
  /** What money is in. */
  currency?: string | null;
  /** Stacked bars, or else separate lines. */
  stacked: boolean;
  lines: readonly Line[];
}

/** Return a value of a chart as text; a dash where nothing is known. */
export function valueText(chart: Chart, value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  switch (chart.unit) {
    case "count":
      return count(value);
    case "tokens":
      return value < 10_000 ? count(value) : compact(value);
    case "money":
      return money(value, chart.currency ?? "USD");
    case "milliseconds":
      return duration(value * 1000);
  }
}

/** Whether there is anything to draw. */
export function isEmpty(chart: Chart): boolean {
  return !chart.lines.some(({ values }) => values.some((value) => (value ?? 0) > 0));
}

/** Return what each line of a chart of counts adds up to. */
export function totals(chart: Chart): number[] {
  return chart.lines.map(({ values }) =>
    values.reduce<number>((total, value) => total + (value ?? 0), 0),
  );
}

/**
 * Return the rows that draw lines on top of each other: each is the sum of a line and all before
 * it, the highest first, so that lower ones are painted over it. Nothing is drawn where a line is 0.
 */
export function stack(lines: readonly Line[]): (number | null)[][] {
  const buckets = lines[0]?.values.length ?? 0;
  const sums = new Array<number>(buckets).fill(0);
  return lines
    .map(({ values }) =>
      values.map((value, bucket) => {
        sums[bucket]! += value ?? 0;
        return value ? sums[bucket]! : null;
      }),
    )
    .reverse();
}

/** Return the line whose part of a stacked bar holds a height, or -1 above the bar. */
export function lineAt(chart: Chart, bucket: number, height: number): number {
  let sum = 0;
  for (const [place, { values }] of chart.lines.entries()) {
    sum += values[bucket] ?? 0;
    if (height <= sum && (values[bucket] ?? 0) > 0) return place;
  }
  return -1;
}

/** Return the bucket that holds a moment, or -1 if none does. */
export function bucketAt(chart: Chart, at: number): number {
  const first = chart.starts[0];
  if (first === undefined || at < first) return -1;
  const place = Math.floor((at - first) / chart.bucketMs);
  return place < chart.starts.length ? place : -1;
}

/** Whether a chart has buckets of a day. Those are days of UTC, because the server counts so. */
export function isDaily(chart: Chart): boolean {
  return chart.bucketMs >= DAY;
}

/** Return when a bucket is, as a table or a tooltip says it, in the reader's time zone or UTC. */
export function bucketText(chart: Chart, bucket: number): string {
  const start = chart.starts[bucket]!;
  if (isDaily(chart)) return UTC_DAY.format(start);
  return `${OWN_DAY.format(start)}, ${OWN_TIME.format(start)}–${OWN_TIME.format(start + chart.bucketMs)}`;
}

const UTC_DAY = new Intl.DateTimeFormat("en", {
  day: "numeric",
  month: "short",
  year: "numeric",
  timeZone: "UTC",
});
const OWN_DAY = new Intl.DateTimeFormat("en", { day: "numeric", month: "short" });
const OWN_TIME = new Intl.DateTimeFormat("en", {
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Milliseconds that read well on an axis whose steps grow. */
const LOG_TICKS: readonly number[] = [
  ...[0.001, 0.01, 0.1, 1, 10, 100],
  ...[SECOND, 10 * SECOND, MINUTE, 10 * MINUTE, HOUR, 10 * HOUR],
  ...[4, 40, 400, 4_000].map((days) => days * DAY),
];

/** Return the range of a logarithmic axis of milliseconds that has these values, with two ticks. */
export function logRange(low: number | null, high: number | null): [number, number] {
  const least = Math.max(low ?? 1, 0.001);
  const most = Math.max(high ?? 1, least);
  const from = LOG_TICKS.findLast((tick) => tick <= least) ?? LOG_TICKS[0]!;
  const to = LOG_TICKS.find((tick) => tick >= most && tick > from) ?? most * 10;
  return [from, to];
}

/** Return the ticks of a logarithmic axis of milliseconds. */
export function logTicks(low: number, high: number): number[] {
  return LOG_TICKS.filter((tick) => tick >= low && tick <= high);
}

/** The steps of an axis of whole numbers. */
export const COUNT_STEPS: readonly number[] = [...Array(15).keys()].flatMap((power) =>
  [1, 2, 5].map((n) => n * 10 ** power),
);
