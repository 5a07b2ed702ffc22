import { describe, expect, it } from "vitest";
import {
  carryFolds,
  childrenOf,
  rowOf,
  filterSpans,
  foldBelow,
  nextFailed,
  reveal,
  slowest,
  visibleRows,
} from "../src/run/visible_rows";
import { sampleRun } from "./sample";

const run = sampleRun([
  { name: "root", took: 100 },
  { parent: 0, name: "plan", summary: "Plan the refund", took: 30 },
  { parent: 1, name: "search", summary: "refund policy", status: "failed", took: 20 },
  { parent: 0, name: "reply", summary: "Good day", start: 50, took: 5 },
  { name: "root", status: "failed", start: 200, took: 1 },
]);
const none = new Uint8Array(run.total);

describe("the rows", () => {
  it("are all spans when nothing is folded", () => {
    expect([...visibleRows(run, none, null)]).toEqual([0, 1, 2, 3, 4]);
  });

  it("leave out the descendants of a folded span", () => {
    expect([...visibleRows(run, Uint8Array.of(0, 1, 0, 0, 0), null)]).toEqual([0, 1, 3, 4]);
  });

  it("are the matches of a filter and their ancestors, folded or not", () => {
    const filtered = filterSpans(run, "Refund policy");
    expect(filtered?.matches).toBe(1);
    expect([...visibleRows(run, Uint8Array.of(1, 1, 0, 0, 0), filtered)]).toEqual([0, 1, 2]);
  });

  it("are empty when nothing matches", () => {
    expect([...visibleRows(run, none, filterSpans(run, "nowhere"))]).toEqual([]);
  });

  it("can be folded to a number of levels", () => {
    expect([...visibleRows(run, foldBelow(run, 1), null)]).toEqual([0, 4]);
    expect([...visibleRows(run, foldBelow(run, 2), null)]).toEqual([0, 1, 3, 4]);
  });
});

it("finds a span by its id, and nothing for a blank", () => {
  expect(filterSpans(run, "span-3")?.matches).toBe(1);
  expect(filterSpans(run, "  ")).toBeNull();
});

it("opens every ancestor of a span to show it", () => {
  const folds = Uint8Array.of(1, 1, 0, 0, 0);
  expect(reveal(run, folds, 2)).toBe(true);
  expect([...folds]).toEqual([0, 0, 0, 0, 0]);
  expect(reveal(run, folds, 2)).toBe(false);
});

it("moves between failures in both directions, and wraps around", () => {
  expect([nextFailed(run, -1, 1), nextFailed(run, 2, 1), nextFailed(run, 4, 1)]).toEqual([2, 4, 2]);
  expect([nextFailed(run, 4, -1), nextFailed(run, 2, -1)]).toEqual([2, 4]);
  expect(nextFailed(sampleRun([{}]), 0, 1)).toBe(-1);
});

it("ranks spans by their own time, without their children's", () => {
  // The root took 100, of which its children took 35.
  expect(slowest(run, 3)).toEqual([0, 2, 1]);
});

it("takes nothing from a span for a child whose clock is another one", () => {
  const spans = [
    { start: 5000, took: 100 },
    { parent: 0, start: 0, took: 5040 },
    { parent: 0, start: 9000, took: 70 },
  ];
  // Of the root's time, its first child covers 40.
  expect(slowest(sampleRun(spans), 3)).toEqual([1, 2, 0]);
});

it("handles a chain of fifteen hundred levels", () => {
  const deep = sampleRun(Array.from({ length: 1500 }, (_, i) => (i ? { parent: i - 1 } : {})));
  expect(deep.depth[1499]).toBe(1499);
  expect(visibleRows(deep, foldBelow(deep, 3), null)).toHaveLength(3);
});

it("keeps spans folded when others arrive above them", () => {
  const before = sampleRun([{ name: "a" }, { name: "b" }, { parent: 1 }]);
  const after = { ...sampleRun([{}, {}, { parent: 1 }, {}, { parent: 3 }]) };
  const moved = { ...after, ids: ["new", "span-9", "span-8", "span-1", "span-2"] };
  expect([...carryFolds(before, Uint8Array.of(0, 1, 0), moved)]).toEqual([0, 0, 0, 1, 0]);
});

it("finds a span's row, or none", () => {
  const rows = Int32Array.of(0, 3, 4, 9);
  expect([0, 3, 9, 5, 12].map((span) => rowOf(rows, span))).toEqual([0, 1, 3, -1, -1]);
});

describe("childrenOf", () => {
  it("lists the children of a span in order, up to a limit", () => {
    expect(childrenOf(run, 0, 10)).toEqual([1, 3]);
    expect(childrenOf(run, 0, 1)).toEqual([1]);
    expect(childrenOf(run, 4, 10)).toEqual([]);
  });
});
