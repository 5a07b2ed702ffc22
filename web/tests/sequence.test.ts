import { expect, it } from "vitest";
import { alignSequences } from "../src/parts/diff/sequence";

/** The length of the longest common subsequence, by the table that needs a cell for every pair. */
function longest(left: readonly string[], right: readonly string[]): number {
  let row = new Array<number>(right.length + 1).fill(0);
  for (const one of left) {
    const next = [0];
    for (let y = 0; y < right.length; y++)
      next.push(one === right[y] ? row[y]! + 1 : Math.max(row[y + 1]!, next[y]!));
    row = next;
  }
  return row[right.length]!;
}

function matched(left: readonly string[], right: readonly string[]): number {
  const match = [...alignSequences(left, right)];
  const places = match.filter((place) => place >= 0);
  // In order, each once, and only equal ones.
  expect(places).toEqual([...new Set(places)].sort((a, b) => a - b));
  for (const [x, y] of match.entries()) if (y >= 0) expect(left[x]).toBe(right[y]);
  return places.length;
}

it("finds the longest common subsequence of small sequences", () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((seed / 2_147_483_648) * below);
  };
  const text = (): string[] => Array.from({ length: random(14) }, () => "abcd"[random(4)]!);
  for (let n = 0; n < 2_000; n++) {
    const [left, right] = [text(), text()];
    expect([left, right, matched(left, right)]).toEqual([left, right, longest(left, right)]);
  }
});

it.each<[string[], string[]]>([
  [[], []],
  [["a", "b"], []],
  [[], ["a", "b"]],
  [
    ["a", "b"],
    ["x", "y"],
  ],
])("aligns %j with %j", (left, right) => {
  expect(matched(left, right)).toBe(0);
});

it("stays within its bound when ten thousand elements have nothing in common", () => {
  const left = Array.from({ length: 10_000 }, (_, n) => `left ${n}`);
  const right = Array.from({ length: 10_000 }, (_, n) => `right ${n}`);
  expect(matched(left, right)).toBe(0);
  // Equal elements are still found if they are near.
  const mixed = right.map((one, n) => (n % 3 === 0 ? left[n]! : one));
  expect(matched(left, mixed)).toBe(3_334);
});
