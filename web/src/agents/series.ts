/** What charts show, made from a series of the API. */

import type { components } from "../openapi";
import type { Chart, Line } from "../parts/chart/chart";
import { BUCKET_MS } from "./range";

export type Series = components["schemas"]["SeriesView"];

/** The figures of a whole range, for a tile or an overview. */
export interface Figures {
  runs: number;
  /** Runs that failed, as a share of those that ended; null without any. */
  failureRate: number | null;
  /** Milliseconds; null if nothing was measured. */
  p95: number | null;
  tokens: number;
  /** Null without a price table. */
  cost: number | null;
  /** How many spans the cost leaves out. */
  unpriced: number;
}

export const STATUSES = ["complete", "failed", "cancelled", "terminated"] as const;
export type Ended = (typeof STATUSES)[number];

const STATUS_COLORS: Readonly<Record<Ended, string>> = {
  complete: "--good",
  failed: "--bad",
  cancelled: "--other",
  terminated: "--warn",
};

/** Colours for lines without a fixed colour; the last is for all others. */
const PALETTE = ["--llm", "--tool", "--retrieval", "--http", "--human", "--guard"];
const OTHERS = "--other";

/** Return the sums and quantiles of a whole range. */
export function figuresOf(series: Series): Figures {
  const ended = sum(STATUSES.map((status) => sum(series.runs[status])));
  const failed = sum(series.runs.failed);
  const priced = series.currency !== null;
  return {
    runs: ended,
    failureRate: ended === 0 ? null : failed / ended,
    p95: series.runs.overall.p95,
    tokens: sum(series.models.map((one) => sum(one.total_tokens))),
    cost: priced ? sum(series.models.map((one) => sum(one.cost ?? []))) : null,
    unpriced: sum(series.models.map((one) => sum(one.unpriced_spans))),
  };
}

/** Return runs by how they ended. */
export function runsChart(series: Series): Chart {
  const lines = STATUSES.map((status) => ({
    name: status,
    label: status,
    color: STATUS_COLORS[status],
    values: series.runs[status],
  }));
  return { ...base(series), unit: "count", stacked: true, lines };
}

/** Return how long runs took. */
export function durationsChart(series: Series): Chart {
  const { durations } = series.runs;
  const lines = [
    { name: "p50", label: "p50", color: "--tool", values: durations.p50 },
    { name: "p95", label: "p95", color: "--llm", values: durations.p95 },
    { name: "p99", label: "p99", color: "--human", values: durations.p99 },
  ];
  return { ...base(series), unit: "milliseconds", stacked: false, lines };
}

/** Return how many tokens each model took. */
export function tokensChart(series: Series): Chart {
  return byModel(series, (one) => one.total_tokens, "tokens");
}

/** Return what the tokens of each model cost; nothing without a price table. */
export function costChart(series: Series): Chart {
  return byModel(series, (one) => one.cost ?? [], "money");
}

/** Return how many spans failed, by their type. */
export function failuresChart(series: Series): Chart {
  const lines = series.span_types.map((one) => ({
    name: one.schema_name ?? "",
    label: one.schema_name ?? `${one.merged_names} other types`,
    values: one.failed,
  }));
  return { ...base(series), unit: "count", stacked: true, lines: coloured(lines, "type") };
}

function byModel(
  series: Series,
  values: (one: Series["models"][number]) => readonly number[],
  unit: Chart["unit"],
): Chart {
  const lines = series.models.map((one) => ({
    name: one.model ?? "",
    label:
      one.model ?? (one.merged_names > 1 ? `${one.merged_names} other models` : "unknown model"),
    values: values(one),
  }));
  const { currency } = series;
  return { ...base(series), unit, currency, stacked: true, lines: coloured(lines, "model") };
}

function base(series: Series): Pick<Chart, "starts" | "bucketMs"> {
  return { starts: series.starts.map((at) => Date.parse(at)), bucketMs: BUCKET_MS[series.bucket] };
}

/** Give colours to the largest lines, leave out empty ones, and add up what has no colour left. */
function coloured(lines: readonly Omit<Line, "color">[], noun: string): Line[] {
  const ranked = lines
    .map((line) => ({ line, total: sum(line.values) }))
    .filter(({ total }) => total > 0)
    .sort((one, other) => other.total - one.total);
  const shown = ranked
    .slice(0, PALETTE.length)
    .map(({ line }, place) => ({ ...line, color: PALETTE[place]! }));
  const rest = ranked.slice(PALETTE.length).map(({ line }) => line);
  if (rest.length === 0) return shown;
  const values = rest[0]!.values.map((_, bucket) => sum(rest.map((line) => line.values[bucket])));
  const label =
    rest.length === 1
      ? rest[0]!.label
      : `${rest.length} other ${noun}${rest.length > 1 ? "s" : ""}`;
  return [...shown, { name: "", label, color: OTHERS, values }];
}

function sum(values: readonly (number | null | undefined)[]): number {
  return values.reduce<number>((total, value) => total + (value ?? 0), 0);
}

/** Notes on what is missing from a chart, as sentences; empty if it is complete. */
export function gaps(series: Series, moment: (at: number) => string): string[] {
  const said: string[] = [];
  if (series.complete_from === null) {
    said.push("The server is still counting older runs, so these figures may be too low.");
  } else if (Date.parse(series.complete_from) > Date.parse(series.start_time)) {
    said.push(`Figures are complete from ${moment(Date.parse(series.complete_from))} on.`);
  }
  if (series.behind_seconds > LATE_SECONDS) {
    const late = Math.round(series.behind_seconds);
    said.push(`What was written in the last ${late} seconds is not counted yet.`);
  }
  return said;
}

const LATE_SECONDS = 10;

/** Return a share as a percentage with the digits that say something: `0%`, `0.4%`, `12%`. */
export function rateText(share: number | null): string {
  if (share === null) return "–";
  const percent = share * 100;
  if (percent > 0 && percent < 0.1) return "< 0.1%";
  return `${percent === 0 || percent >= 10 ? Math.round(percent) : percent.toFixed(1)}%`;
}
