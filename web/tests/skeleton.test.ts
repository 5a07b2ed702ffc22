import { expect, it } from "vitest";
import { kindOf } from "../src/run/skeleton";
import { sampleRun } from "./sample";

it("computes the depth, the size and the last descendant of each span", () => {
  const run = sampleRun([
    { start: 0, took: 100 },
    { parent: 0, start: 10, took: 20 },
    { parent: 1, start: 15, took: 300 },
    { parent: 0, start: 40, took: null },
    { start: null, took: null, status: "pending" },
  ]);
  expect([...run.depth]).toEqual([0, 1, 2, 1, 0]);
  expect([...run.size]).toEqual([4, 2, 1, 1, 1]);
  expect([...run.finishBelow]).toEqual([315, 315, NaN, NaN, NaN]);
  expect(run.end).toBe(315);
});

it("reads an empty run", () => {
  expect(sampleRun([])).toMatchObject({ total: 0, end: 0, failed: 0 });
});

it.each([
  ["agent:llm", "llm"],
  ["openai.chat", "llm"],
  ["agent:tool", "tool"],
  ["db:retrieval", "retrieval"],
  ["http:request", "http"],
  ["guardrail", "guard"],
  ["human:approval", "human"],
  ["support-agent", "agent"],
  ["checkpoint", "other"],
])("takes %s for a step of the kind %s", (type, kind) => {
  expect(kindOf(type)).toBe(kind);
});

it("names a span by its tool, or else by its type", () => {
  const run = sampleRun([{ name: "agent:tool", tool: "search" }, { name: "agent:tool" }]);
  expect(run.names).toEqual(["search", "agent:tool"]);
});
