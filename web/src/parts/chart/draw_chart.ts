/** Draws a chart with uPlot, which is loaded when the first chart is. */

import "uplot/dist/uPlot.min.css";
import UPlot from "uplot";
import { tickLabel } from "../../run/tick_label";
import { COUNT_STEPS, isDaily, logRange, logTicks, stack, valueText, type Chart } from "./chart";

export interface Drawing {
  /** Show other figures. */
  show(chart: Chart): void;
  resize(width: number): void;
  /** Read the colours of the theme again. */
  repaint(): void;
  remove(): void;
}

export interface Handlers {
  /** The pointer is over a bucket, at a place in the chart; -1 if it has left. */
  onpoint(bucket: number, left: number, value: number): void;
}

const HEIGHT = 168;
const FONT = '11px "Inter Variable", system-ui, sans-serif';

/** Draw a chart into an element. The caller removes it. */
export function draw(target: HTMLElement, first: Chart, width: number, on: Handlers): Drawing {
  let chart = first;
  let plot = make();

  function make(): UPlot {
    return new UPlot(optionsOf(chart, width, on), rowsOf(chart), target);
  }

  return {
    show(next) {
      chart = next;
      plot.destroy();
      plot = make();
    },
    resize(next) {
      width = next;
      plot.setSize({ width, height: HEIGHT });
    },
    repaint() {
      plot.redraw(false, false);
    },
    remove() {
      plot.destroy();
    },
  };
}

function rowsOf(chart: Chart): UPlot.AlignedData {
  const rows = chart.stacked ? stack(chart.lines) : chart.lines.map(({ values }) => [...values]);
  return [chart.starts.map((at) => at / 1000), ...rows] as UPlot.AlignedData;
}

function optionsOf(chart: Chart, width: number, on: Handlers): UPlot.Options {
  const seconds = chart.bucketMs / 1000;
  const begin = chart.starts[0]! / 1000;
  const end = chart.starts.at(-1)! / 1000 + seconds;
  const daily = isDaily(chart);
  const lines = chart.stacked ? [...chart.lines].reverse() : chart.lines;
  return {
    width,
    height: HEIGHT,
    // Days are those of UTC; shorter buckets are shown in the reader's time zone.
    tzDate: (at) => (daily ? UPlot.tzDate(new Date(at * 1000), "Etc/UTC") : new Date(at * 1000)),
    legend: { show: false },
    cursor: { y: false, points: { show: !chart.stacked }, drag: { x: false, y: false } },
    padding: [8, 20, 0, 0],
    scales: {
      x: { time: true, range: [begin, end] },
      y:
        chart.unit === "milliseconds"
          ? LOGARITHMIC
          : { range: (_, _low, high) => [0, high * 1.08] },
    },
    axes: [timeAxis(daily), valueAxis(chart)],
    series: [
      {},
      ...lines.map((line) => ({
        label: line.label,
        stroke: () => color(line.color),
        ...(chart.stacked ? bars(line.color) : { width: 1.5, spanGaps: true, points: dots }),
      })),
    ],
    hooks: {
      setCursor: [
        (plot) => {
          const { left = -1, top = 0 } = plot.cursor;
          const at = left < 0 ? NaN : plot.posToVal(left, "x");
          const bucket = Number.isNaN(at) ? -1 : Math.floor((at - begin) / seconds);
          const known = bucket < chart.starts.length ? bucket : -1;
          on.onpoint(known, left + plot.bbox.left / devicePixelRatio, plot.posToVal(top, "y"));
        },
      ],
    },
  };
}

// A value that has no neighbour makes no line; among many, dots would hide the line.
const dots: UPlot.Series.Points = {
  size: 4,
  show: (plot, line) => valuesIn(plot.data[line] as readonly unknown[]) < MOST_DOTS,
};
const MOST_DOTS = 32;

function valuesIn(row: readonly unknown[]): number {
  return row.filter((value) => value !== null).length;
}

function bars(name: string): Partial<UPlot.Series> {
  return {
    width: 0,
    fill: () => color(name),
    paths: UPlot.paths.bars!({ size: [0.86, 48], align: 1 }),
    points: { show: false },
  };
}

function timeAxis(daily: boolean): UPlot.Axis {
  const zone = daily ? { timeZone: "UTC" } : {};
  const day = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", ...zone });
  const hour = new Intl.DateTimeFormat("en", {
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
    ...zone,
  });
  return {
    ...lookOf(),
    size: 24,
    space: 50,
    incrs: daily ? DAYS : [...MINUTES, ...DAYS],
    grid: { show: false },
    values: (_, splits) =>
      splits.map((at) => {
        const time = hour.format(at * 1000);
        return daily || time === "00:00" ? day.format(at * 1000) : time;
      }),
  };
}

const MINUTES = [1, 5, 10, 15, 30, 60, 120, 180, 360, 720].map((n) => n * 60);
const DAYS = [1, 2, 3, 7, 14, 28, 91, 182, 364].map((n) => n * 86_400);

/** Durations differ by powers of ten: one slow run must not press all others onto the axis. */
const LOGARITHMIC: UPlot.Scale = {
  // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- enums of the library exist in its types only
  distr: 3,
  range: (_, low, high) => logRange(low, high),
};

function valueAxis(chart: Chart): UPlot.Axis {
  const isDuration = chart.unit === "milliseconds";
  const label = isDuration
    ? (value: number): string => tickLabel(value * 1000)
    : (value: number): string => valueText(chart, value);
  return {
    ...lookOf(),
    size: 56,
    space: 32,
    ...(isDuration
      ? { splits: (_, __, low, high) => logTicks(low, high), filter: (_, splits) => splits }
      : {}),
    ...(chart.unit === "count" || chart.unit === "tokens" ? { incrs: [...COUNT_STEPS] } : {}),
    grid: { stroke: () => color("--line"), width: 1 },
    values: (_, splits) => splits.map(label),
  };
}

function lookOf(): UPlot.Axis {
  return {
    stroke: () => color("--muted"),
    font: FONT,
    ticks: { show: false },
    gap: 6,
  };
}

function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}
