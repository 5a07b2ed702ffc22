import { expect, it } from "vitest";
import { CHANGES, compareRuns, nextDifference, shownRows, type Side } from "../src/compare/align";
import { sampleRun, type Sample } from "./sample";

function side(spans: readonly Sample[], tokens: readonly (number | null)[] = []): Side {
  return { run: sampleRun(spans), tokens, cost: [] };
}

/** Each row as its level, its change and the summary of the span. */
function told(left: Side, right: Side): string[] {
  const compared = compareRuns(left, right);
  return Array.from({ length: compared.total }, (_, row) => {
    const l = compared.left[row]!;
    const text = l >= 0 ? left.run.summaries[l] : right.run.summaries[compared.right[row]!];
    return `${compared.depth[row]} ${CHANGES[compared.change[row]!]} ${text}`;
  });
}

const BEFORE: Sample[] = [
  { name: "a:agent", summary: "root" },
  { parent: 0, tool: "plan", summary: "plan" },
  { parent: 1, tool: "search", summary: "search" },
  { parent: 0, tool: "write", summary: "draft" },
];

it("finds no difference between a run and itself", () => {
  const compared = compareRuns(side(BEFORE), side(BEFORE));
  expect(compared.counts).toEqual({ same: 4, changed: 0, added: 0, removed: 0 });
  expect(nextDifference(compared, -1, 1)).toBe(-1);
  expect(shownRows(compared, new Set(), true)).toEqual([]);
});

it("marks added, removed and changed spans in one tree", () => {
  const after: Sample[] = [
    { name: "a:agent", summary: "root" },
    { parent: 0, tool: "check", summary: "check" },
    { parent: 1, tool: "rule", summary: "rule" },
    { parent: 0, tool: "plan", summary: "plan" },
    { parent: 0, tool: "write", summary: "final" },
  ];
  expect(told(side(BEFORE), side(after))).toEqual([
    "0 same root",
    "1 added check",
    "2 added rule",
    "1 same plan",
    "2 removed search",
    "1 changed draft",
  ]);
  const compared = compareRuns(side(BEFORE), side(after));
  expect(shownRows(compared, new Set(), true)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(shownRows(compared, new Set([1]), false)).toEqual([0, 1, 3, 4, 5]);
  // The children of an added span are not further differences.
  expect([-1, 1, 4, 5].map((row) => nextDifference(compared, row, 1))).toEqual([1, 4, 5, 1]);
  expect(nextDifference(compared, 4, -1)).toBe(1);
});

it("counts other tokens and another status as a change", () => {
  const spans = [{ summary: "same" }];
  expect(compareRuns(side(spans, [5]), side(spans, [5])).counts.changed).toBe(0);
  expect(compareRuns(side(spans, [5]), side(spans, [6])).counts.changed).toBe(1);
  const failed = [{ summary: "same", status: "failed" }];
  expect(compareRuns(side(spans), side(failed)).counts.changed).toBe(1);
});

it("compares with a run that has no spans", () => {
  expect(compareRuns(side(BEFORE), side([])).counts.removed).toBe(4);
  expect(compareRuns(side([]), side(BEFORE)).counts.added).toBe(4);
});

it("aligns thousands of levels and ten thousand siblings", () => {
  const deep = Array.from({ length: 5_000 }, (_, n) => ({
    ...(n > 0 ? { parent: n - 1 } : {}),
    summary: `level ${n}`,
  }));
  expect(compareRuns(side(deep), side(deep)).counts.same).toBe(5_000);
  const wide = (step: number): Sample[] => [
    { summary: "root" },
    ...Array.from({ length: 10_000 }, (_, n) => ({
      parent: 0,
      tool: `tool ${(n * step) % 97}`,
      summary: `${n}`,
    })),
  ];
  const { counts } = compareRuns(side(wide(1)), side(wide(5)));
  expect(counts.same + counts.changed + counts.removed).toBe(10_001);
  expect(counts.same + counts.changed + counts.added).toBe(10_001);
});
