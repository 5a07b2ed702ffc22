import { expect, it } from "vitest";
import { criticalPath } from "../src/run/critical_path";
import { sampleRun } from "./sample";

const ALL = { from: 0, to: Infinity };

it("covers a run from start to end without gap or overlap", () => {
  const run = sampleRun([
    { start: 0, took: 100 },
    { parent: 0, start: 10, took: 30 },
    { parent: 0, start: 20, took: 60 },
    { parent: 2, start: 30, took: 40 },
  ]);
  const parts = criticalPath(run, ALL).sort((a, b) => a.from - b.from);
  expect(parts).toEqual([
    { span: 0, from: 0, to: 20 },
    { span: 2, from: 20, to: 30 },
    { span: 3, from: 30, to: 70 },
    { span: 2, from: 70, to: 80 },
    { span: 0, from: 80, to: 100 },
  ]);
});

it("follows sequential children one after the other", () => {
  const run = sampleRun([
    { start: 0, took: 50 },
    { parent: 0, start: 0, took: 20 },
    { parent: 0, start: 25, took: 20 },
  ]);
  expect(criticalPath(run, ALL).map(({ span }) => span)).toEqual([0, 2, 0, 1]);
});

it("leaves out open spans, and is empty if all are open", () => {
  expect(criticalPath(sampleRun([{ start: 0, took: null }]), ALL)).toEqual([]);
});

it("handles a chain of two thousand levels", () => {
  const deep = sampleRun(
    Array.from({ length: 2000 }, (_, i) => ({
      ...(i ? { parent: i - 1 } : {}),
      start: i,
      took: 4000 - 2 * i,
    })),
  );
  expect(criticalPath(deep, ALL)).toHaveLength(2 * 2000 - 1);
});

it("does not end with a root whose clock is wrong", () => {
  const year = 31_536_000e6;
  const run = sampleRun([
    { start: 0, took: 100 },
    { start: year, took: 100 },
  ]);
  expect(criticalPath(run, { from: 0, to: 100 }).map(({ span }) => span)).toEqual([0]);
  expect(criticalPath(run, { from: 200, to: 300 }).map(({ span }) => span)).toEqual([1]);
});
