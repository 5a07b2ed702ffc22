import { expect, it } from "vitest";
import { axisOf } from "../src/run/cut_axis";
import { drawMinimap } from "../src/run/minimap";
import { KINDS } from "../src/run/skeleton";
import { sampleRun, type Sample } from "./sample";

interface Rectangle {
  color: string;
  alpha: number;
  x: number;
  width: number;
}

/** Draw a run on a strip of 100 by 10 pixels, and return what was drawn. */
function drawn(spans: readonly Sample[]): Rectangle[] {
  const found: Rectangle[] = [];
  const context = {
    globalAlpha: 1,
    fillStyle: "",
    clearRect: () => undefined,
    fillRect(x: number, _y: number, width: number) {
      found.push({ color: this.fillStyle, alpha: this.globalAlpha, x, width });
    },
  };
  const run = sampleRun(spans);
  drawMinimap(context as unknown as CanvasRenderingContext2D, run, axisOf(run, run.end), 100, 10, {
    kinds: KINDS,
    failed: "failed",
  });
  return found;
}

it("draws a failed span in full color where it has a place of its own", () => {
  const found = drawn([{ took: 100 }, { parent: 0, start: 50, took: 1, status: "failed" }]);
  expect(found.filter(({ color }) => color === "failed")).toEqual([
    { color: "failed", alpha: 1, x: 50, width: 2 },
  ]);
});

it("draws failures among many spans of one pixel as strong as they are frequent", () => {
  const many = Array.from({ length: 10_000 }, (_, i) => ({
    start: i,
    took: 1,
    status: i % 100 === 0 ? "failed" : "complete",
  }));
  const failures = drawn(many).filter(({ color }) => color === "failed");
  expect(failures).toHaveLength(100);
  expect(Math.max(...failures.map(({ alpha }) => alpha))).toBeLessThan(0.3);
  const long = drawn([...many, { start: 0, took: 10_000, status: "failed" }]);
  expect(long.at(-1)).toEqual({ color: "failed", alpha: 1, x: 0, width: 100 });
});

it("draws the work at its width when one span's clock is a year ahead", () => {
  const year = 31_536_000e6;
  const found = drawn([{ took: 60e6 }, { start: year, took: 1e6 }]);
  expect(found[0]!.width).toBeGreaterThan(80);
  expect(found[1]!.x).toBeGreaterThan(95);
});
