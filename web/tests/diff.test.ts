import { expect, it } from "vitest";
import { diffLines, MOST_CHARACTERS, MOST_LINES } from "../src/parts/diff/diff";

function told(left: string, right: string): string[] {
  return diffLines(left.split(" "), right.split(" ")).blocks.flatMap(({ folded, rows }) =>
    folded
      ? [`${rows.length} folded`]
      : rows.map(({ kind, left, right }) => `${kind} ${left?.text ?? ""}|${right?.text ?? ""}`),
  );
}

it("pairs changed lines, and marks additions and removals", () => {
  expect(told("a b c", "a x y c")).toEqual(["same a|a", "changed b|x", "added |y", "same c|c"]);
  expect(told("a b c", "a c")).toEqual(["same a|a", "removed b|", "same c|c"]);
});

it("folds equal lines that are far from any difference", () => {
  expect(told("1 2 3 4 5 6 7 a", "1 2 3 4 5 6 7 b")).toEqual([
    "4 folded",
    "same 5|5",
    "same 6|6",
    "same 7|7",
    "changed a|b",
  ]);
  expect(diffLines(["a"], ["a"]).differences).toBe(0);
});

it("truncates a text that is too long, and says so", () => {
  const lines = Array.from({ length: MOST_LINES + 7 }, (_, n) => `${n}`);
  expect(diffLines(lines, ["x".repeat(MOST_CHARACTERS + 9)]).leftOut).toEqual({
    left: 7,
    right: 0,
  });
  const long = diffLines([], ["x".repeat(MOST_CHARACTERS + 9)]);
  expect(long.blocks[0]!.rows[0]!.right!.text).toMatch(/… \(9 more characters\)$/);
});
