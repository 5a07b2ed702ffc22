import { describe, expect, it } from "vitest";
import {
  AGENT,
  allAgents,
  CALL,
  callsBefore,
  findEntries,
  firstOpen,
  leadingTo,
  openEntries,
  openRows,
  STEP,
  stepsBeside,
} from "../../src/run/transcript/entries";
import { sampleRun, type Sample } from "../sample";

const WORDS: Readonly<Record<number, string>> = {
  [CALL]: "call",
  [STEP]: "step",
  [AGENT]: "agent",
};

function outline(spans: readonly Sample[]): string[] {
  const entries = findEntries(sampleRun(spans));
  return [...entries.span].map(
    (span, i) => `${"  ".repeat(entries.depth[i]!)}${WORDS[entries.role[i]!]} ${span}`,
  );
}

describe("findEntries", () => {
  it("makes a call, a step or an agent of each span with content", () => {
    expect(
      outline([
        { name: "support:agent" },
        { name: "support:llm", parent: 0 },
        { name: "support:tool", parent: 0 },
        { name: "support:http", parent: 2 },
        { name: "research:agent", parent: 0 },
        { name: "research:llm", parent: 4 },
      ]),
    ).toEqual(["agent 0", "  call 1", "  step 2", "    step 3", "  agent 4", "    call 5"]);
  });

  it("skips chains, graphs and turns, which have no content", () => {
    expect(
      outline([
        { name: "langchain:chain" },
        { name: "langchain:chain", parent: 0 },
        { name: "langchain:llm", parent: 1 },
        { name: "langchain:tool", parent: 0 },
      ]),
    ).toEqual(["call 2", "step 3"]);
  });

  it("shows tools below a call next to it, and leaves out the call's HTTP request", () => {
    expect(
      outline([
        { name: "agent:llm" },
        { name: "otel:http", parent: 0 },
        { name: "agent:tool", parent: 0 },
        { name: "agent:http", parent: 0, status: "failed" },
      ]),
    ).toEqual(["call 0", "step 2", "step 3"]);
  });

  it("shows a model call that two integrations recorded once", () => {
    const entries = findEntries(
      sampleRun([{ name: "langchain:llm" }, { name: "openai:chat", parent: 0 }]),
    );
    expect(entries.total).toBe(1);
    expect([...entries.entryOf]).toEqual([0, 0]);
  });

  it("maps every span to an entry", () => {
    const entries = findEntries(
      sampleRun([
        { name: "a:chain" },
        { name: "a:llm", parent: 0 },
        { name: "a:chain", parent: 0 },
        { name: "a:tool", parent: 2 },
      ]),
    );
    expect([...entries.entryOf]).toEqual([0, 0, 1, 1]);
    expect([...findEntries(sampleRun([{ name: "a:tool" }])).entryOf]).toEqual([0]);
    expect(findEntries(sampleRun([])).total).toBe(0);
  });

  it("handles a tree of 1,400 levels", () => {
    const below = Array.from({ length: 1_399 }, (_, parent) => ({ name: "a:agent", parent }));
    const entries = findEntries(sampleRun([{ name: "a:agent" }, ...below]));
    expect(entries.depth[1_399]).toBe(1_399);
    expect([...openRows(entries, firstOpen(entries))]).toEqual([0, 1]);
  });
});

describe("folding", () => {
  const run = sampleRun([
    { name: "a:agent" },
    { name: "a:llm", parent: 0 },
    { name: "b:agent", parent: 0 },
    { name: "b:llm", parent: 2 },
    { name: "b:tool", parent: 2 },
    { name: "a:tool", parent: 0 },
    { name: "a:llm", parent: 0 },
  ]);
  const entries = findEntries(run);

  it("opens the first agent and folds its sub-agents", () => {
    expect([...openRows(entries, firstOpen(entries))]).toEqual([0, 1, 2, 5, 6]);
    expect([...openRows(entries, new Uint8Array(7).fill(1))]).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it("opens the agents above an entry, or all agents at once", () => {
    expect(leadingTo(run, entries, 4, firstOpen(entries), {})).toEqual({ "span-2": true });
    expect([...openEntries(run, entries, allAgents(run, entries))]).toEqual([1, 0, 1, 0, 0, 0, 0]);
    expect([...openEntries(run, entries, { "span-0": false })]).toEqual([0, 0, 0, 0, 0, 0, 0]);
  });

  it("finds the earlier calls and steps of the same conversation", () => {
    expect(callsBefore(entries, 6, 4)).toEqual([1]);
    expect(callsBefore(entries, 3, 4)).toEqual([]);
    expect(stepsBeside(entries, 6, -1)).toEqual([2, 5]);
    expect(stepsBeside(entries, 1, 1)).toEqual([2, 5]);
    expect(stepsBeside(entries, 3, 1)).toEqual([4]);
  });
});
