import { expect, it } from "vitest";
import {
  microsecondsBetween,
  patchSkeleton,
  type ChangedSpan,
  type FullSkeleton,
} from "../src/run/patch_skeleton";

const ORIGIN = "2026-11-29T12:00:00.000000Z";

function at(microseconds: number): string {
  return `2026-11-29T12:00:00.${String(microseconds).padStart(6, "0")}Z`;
}

function span(id: string, parent: string | null, start: number | null, more = {}): ChangedSpan {
  return {
    id,
    parent_span_id: parent,
    schema_name: "agent:tool",
    schema_title: "Tool",
    schema_registered: true,
    status: "active",
    summary: id,
    started_at: start === null ? null : at(start),
    finished_at: null,
    kind: "tool",
    tool_name: null,
    model: null,
    total_tokens: null,
    ...more,
  } as ChangedSpan;
}

function empty(): FullSkeleton {
  const names = [
    "id parent schema status started_at duration summary flags",
    "kind tool_name model total_tokens cost",
  ];
  const columns = names.flatMap((some) => some.split(" ")).map((name) => [name, []]);
  return {
    total: 0,
    origin: ORIGIN,
    schemas: [],
    flag_values: { parent_missing: 16, closed_by_termination: 1 },
    tool_names: [],
    models: [],
    currency: null,
    columns: Object.fromEntries(columns) as FullSkeleton["columns"],
  } as unknown as FullSkeleton;
}

/** The tree, as ids with their parents' ids. */
function tree(skeleton: FullSkeleton | null): string {
  const { id, parent } = skeleton!.columns;
  return id.map((one, n) => `${one}<${parent[n] === null ? "" : id[parent[n]!]}`).join(" ");
}

const BEGUN = patchSkeleton(empty(), [
  span("root", null, 0),
  span("a", "root", 10),
  span("c", "root", 30),
  span("a1", "a", 12),
])!;

it("inserts new spans in the order of the tree", () => {
  expect(tree(BEGUN)).toBe("root< a<root a1<a c<root");
  const grown = patchSkeleton(BEGUN, [
    span("d1", "d", 41),
    span("d", "root", 40),
    span("b", "root", 20),
    span("a2", "a", 15),
    span("later", "a", null),
    span("c1", "c", 31),
    span("other", null, 5),
  ]);
  expect(tree(grown)).toBe("root< a<root a1<a a2<a later<a b<root c<root c1<c d<root d1<d other<");
  expect(grown!.total).toBe(11);
  expect(grown!.columns.started_at).toEqual([0, 10, 12, 15, null, 20, 30, 31, 40, 41, 5]);
});

it("updates known spans in place, and keeps the fields that only the server computes", () => {
  BEGUN.columns.cost[2] = 0.5;
  const finished = patchSkeleton(BEGUN, [
    span("a1", "a", 12, { status: "failed", finished_at: at(20), tool_name: "search" }),
  ])!;
  expect(tree(finished)).toBe(tree(BEGUN));
  expect(finished.columns.status).toEqual(["active", "active", "failed", "active"]);
  expect(finished.columns.duration[2]).toBe(8);
  expect(finished.tool_names[finished.columns.tool_name[2]!]).toBe("search");
  expect(finished.columns.cost[2]).toBe(0.5);
  // The rows are newer than an event about the start of the span.
  expect(patchSkeleton(finished, [span("a1", "a", 12)])!.columns.status[2]).toBe("failed");
  expect(BEGUN.columns.status[2]).toBe("active");
});

it("shows a span with a missing parent as a root, and rereads when new ones arrive", () => {
  const orphaned = patchSkeleton(BEGUN, [span("orphan", "unknown", 50)])!;
  expect(tree(orphaned)).toBe(`${tree(BEGUN)} orphan<`);
  expect(orphaned.columns.flags[4]).toBe(16);
  expect(patchSkeleton(orphaned, [span("unknown", null, 45)])).toBeNull();
});

it("keeps every span of a cycle of parents, and handles a chain of thousands", () => {
  const circle = patchSkeleton(BEGUN, [span("x", "y", 1), span("y", "x", 2)])!;
  expect([...circle.columns.id].sort()).toEqual(["a", "a1", "c", "root", "x", "y"]);
  const chain = [...Array(5000).keys()].map((n) => span(`n${n}`, n ? `n${n - 1}` : "c", n));
  const deep = patchSkeleton(BEGUN, chain)!;
  expect(deep.columns.id.at(-1)).toBe("n4999");
});

it("rereads when a run without a start gets its first times", () => {
  expect(patchSkeleton({ ...empty(), origin: null }, [span("a", null, 1)])).toBeNull();
});

it("counts microseconds across milliseconds", () => {
  expect(microsecondsBetween(at(999), at(1_001))).toBe(2);
  expect(microsecondsBetween(at(1_001), at(999))).toBe(-2);
});
