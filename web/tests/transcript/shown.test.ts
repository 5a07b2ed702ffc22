import { describe, expect, it } from "vitest";
import { readCall, type Call } from "../../src/run/transcript/call";
import { findEntries } from "../../src/run/transcript/entries";
import { freshInput, heard, withoutShownTools } from "../../src/run/transcript/fresh";
import { Offsets } from "../../src/run/transcript/offsets";
import { shownCall } from "../../src/run/transcript/shown";
import { sampleRun } from "../sample";

const user = (content: string) => ({ role: "user", content });

function call(messages: readonly unknown[], text = ""): Call {
  return readCall("agent:llm", { messages }, { text });
}

function texts(parts: readonly { text: string }[]): string[] {
  return parts.map(({ text }) => text);
}

describe("freshInput", () => {
  it("leaves out messages of earlier calls", () => {
    const first = call([user("Hello")], "Hi");
    const next = call([user("Hello"), { role: "assistant", content: "Hi" }, user("Bye")]);
    expect(texts(freshInput(next, [heard(first)]))).toEqual(["Bye"]);
    expect(texts(freshInput(next, []))).toEqual(["Hello", "Hi", "Bye"]);
  });

  it("keeps a second message with the same text", () => {
    const first = call([user("yes")]);
    expect(texts(freshInput(call([user("yes"), user("yes")]), [heard(first)]))).toEqual(["yes"]);
  });

  it("distinguishes messages by role and content, not by the form of their blocks", () => {
    const first = call([user("ok")]);
    const blocks = call([{ role: "user", content: [{ type: "text", text: " ok " }] }]);
    expect(freshInput(blocks, [heard(first)])).toEqual([]);
    expect(freshInput(call([{ role: "assistant", content: "ok" }]), [heard(first)])).toHaveLength(
      1,
    );
  });
});

describe("withoutShownTools", () => {
  it("leaves out one call or result for each line of a tool", () => {
    const { input } = call([
      { role: "assistant", tool_calls: [{ id: "1", name: "search", arguments: {} }] },
      { role: "tool", tool_call_id: "1", content: "a" },
      { role: "tool", tool_call_id: "2", content: "b" },
      user("go on"),
    ]);
    const names = new Map([["1", "search"]]);
    expect(texts(withoutShownTools(input.slice(1), ["search"], names))).toEqual(["b", "go on"]);
    expect(withoutShownTools(input, [], names)).toHaveLength(4);
  });
});

describe("shownCall", () => {
  const run = sampleRun([
    { name: "a:agent" },
    { name: "a:llm", parent: 0 },
    { name: "a:tool", parent: 0, tool: "search" },
    { name: "a:llm", parent: 0 },
  ]);
  const entries = findEntries(run);
  const asked = { role: "assistant", tool_calls: [{ id: "1", name: "search", arguments: {} }] };
  const read = new Map<string, Call>([
    [
      "span-1",
      readCall("a:llm", { messages: [user("Find it")] }, { tool_calls: asked.tool_calls }),
    ],
    [
      "span-3",
      call([user("Find it"), asked, { role: "tool", tool_call_id: "1", content: "x" }], "Here"),
    ],
  ]);

  it("shows each message once, and tools on their own lines", () => {
    const first = shownCall(run, entries, 1, (id) => read.get(id));
    expect(texts(first!.parts)).toEqual(["Find it"]);
    const second = shownCall(run, entries, 3, (id) => read.get(id));
    expect(texts(second!.parts)).toEqual(["Here"]);
    expect(second!.repeated).toBe(2);
  });

  it("waits until the earlier calls have been read", () => {
    expect(shownCall(run, entries, 3, (id) => (id === "span-3" ? read.get(id) : undefined))).toBe(
      null,
    );
  });
});

describe("Offsets", () => {
  it("finds rows of different heights, also after a change", () => {
    const offsets = new Offsets(Float64Array.from([10, 20, 30, 5, 5]));
    expect([0, 1, 2, 3, 4, 5].map((row) => offsets.top(row))).toEqual([0, 10, 30, 60, 65, 70]);
    expect([0, 9, 10, 59, 60, 69, 500].map((y) => offsets.at(y))).toEqual([0, 0, 1, 2, 3, 4, 4]);
    expect(offsets.set(1, 50)).toBe(30);
    expect(offsets.set(1, 50)).toBe(0);
    expect(offsets.top(5)).toBe(100);
    expect(offsets.at(59)).toBe(1);
    expect(new Offsets(new Float64Array(0)).at(3)).toBe(0);
  });
});
