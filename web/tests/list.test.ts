import { expect, it } from "vitest";
import type { Changes } from "../src/live/topic";
import {
  append,
  hasGap,
  merge,
  patch,
  reveal,
  tookMicroseconds,
  unseen,
  type Run,
  type RunList,
} from "../src/runs/list";

function run(id: string, inserted: number, status: Run["status"] = "active"): Run {
  return { id, status, inserted_at: `2026-11-29T12:00:0${inserted}Z` } as Run;
}

const ids = ({ shown, waiting }: RunList): [string[], string[]] => [
  shown.map(({ id }) => id),
  waiting.map(({ id }) => id),
];

it("holds back new runs, and updates known ones in place", () => {
  const first = merge({ shown: [], waiting: [], deleted: new Set<string>() }, [
    run("b", 2),
    run("a", 1),
  ]);
  const second = merge(first, [run("c", 3), run("b", 2, "failed"), run("a", 1)]);
  expect(ids(second)).toEqual([["b", "a"], ["c"]]);
  expect(second.shown[0]!.status).toBe("failed");
  expect(ids(reveal(second))).toEqual([["c", "b", "a"], []]);
});

it("updates runs that are held back, and counts each once", () => {
  const waiting = merge(
    merge({ shown: [run("a", 1)], waiting: [], deleted: new Set<string>() }, [run("b", 2)]),
    [run("c", 3), run("b", 2, "complete")],
  );
  expect(ids(waiting)).toEqual([["a"], ["c", "b"]]);
  expect(waiting.waiting[1]!.status).toBe("complete");
});

it("appends older pages without repeating a run", () => {
  expect(
    ids(
      append({ shown: [run("b", 2)], waiting: [], deleted: new Set<string>() }, [
        run("b", 2),
        run("a", 1),
      ]),
    ),
  ).toEqual([["b", "a"], []]);
});

it("computes the duration of an ended run, and of an active one so far", () => {
  const started = { ...run("a", 1), started_at: "2026-11-29T12:00:00Z", finished_at: null };
  const now = Date.parse("2026-11-29T12:00:02Z");
  expect(tookMicroseconds(started, now)).toBe(2e6);
  expect(tookMicroseconds({ ...started, finished_at: "2026-11-29T12:00:01Z" }, now)).toBe(1e6);
  expect(tookMicroseconds({ ...started, started_at: null }, now)).toBeNull();
});

it("detects that more runs have begun than fit on a page", () => {
  const list = { shown: [run("a", 1)], waiting: [], deleted: new Set<string>() };
  expect(hasGap(list, [run("c", 3), run("b", 2)], false)).toBe(true);
  expect(hasGap(list, [run("b", 2), run("a", 1)], false)).toBe(false);
  expect(hasGap(list, [run("b", 2)], true)).toBe(false);
  expect(hasGap({ shown: [], waiting: [], deleted: new Set<string>() }, [run("b", 2)], false)).toBe(
    false,
  );
});

it("rereads active runs beyond the newest page in turn", () => {
  const shown = [run("d", 4), run("c", 3), run("b", 2), run("a", 1, "complete")];
  const list = { shown, waiting: [run("e", 5)], deleted: new Set<string>() };
  const ids = (turn: number): string[] => unseen(list, [run("d", 4)], turn, 2).map(({ id }) => id);
  expect([ids(0), ids(1), ids(2)]).toEqual([
    ["e", "c"],
    ["b", "e"],
    ["c", "b"],
  ]);
  expect(unseen({ shown: [], waiting: [], deleted: new Set<string>() }, [], 3, 2)).toEqual([]);
});

it("updates rows from events, and marks deleted runs in place", () => {
  const before = { ...run("a", 1), risk_level: "high", updated_at: "2" } as Run;
  const list = { shown: [before], waiting: [run("b", 2)], deleted: new Set<string>() };
  const event = (updated_at: string): Changes =>
    ({
      runs: [{ id: "a", status: "complete", updated_at }],
      spans: [],
      deleted_runs: ["b", "a"],
    }) as unknown as Changes;
  const after = patch(list, event("3"));
  expect(after.shown[0]).toMatchObject({ status: "complete", risk_level: "high" });
  expect(ids(after)).toEqual([["a"], []]);
  expect(after.deleted.has("a")).toBe(true);
  // An event that is older than the rows changes nothing.
  expect(patch(list, event("1")).shown[0]!.status).toBe("active");
});

it("inserts runs that newly match in the order of their start, except those of the next page", () => {
  const list = { shown: [run("d", 4), run("b", 2)], waiting: [], deleted: new Set<string>() };
  const merged = merge(list, [run("d", 4), run("c", 3), run("a", 1)]);
  expect(ids(merged)).toEqual([["d", "b"], ["c"]]);
  expect(ids(reveal(merged))).toEqual([["d", "c", "b"], []]);
  expect(ids(merge(list, [run("a", 1)], true))).toEqual([["d", "b"], ["a"]]);
});
