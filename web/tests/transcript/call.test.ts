import { describe, expect, it } from "vitest";
import { bounded, failureOf, readCall, readStep, type Call } from "../../src/run/transcript/call";

/** The parts of a call, one line each. */
function told({ input, output }: Pick<Call, "input" | "output">): string[][] {
  return [input, output].map((parts) =>
    parts.map(
      (one) =>
        `${one.role} ${one.kind}${one.name && ` ${one.name}`}${one.id && ` #${one.id}`}: ${one.text}`,
    ),
  );
}

const CALL = { id: "c1", name: "search", arguments: { q: 1 } };
const CALLED = 'assistant call search #c1: {\n  "q": 1\n}';

describe("readCall", () => {
  it("reads calls of LangChain, with tools and their results", () => {
    const payload = {
      model: "m",
      messages: [
        { role: "system", content: "Be brief" },
        { role: "user", content: [{ type: "text", text: "Hello" }] },
        { role: "assistant", content: "", tool_calls: [CALL] },
        { role: "tool", content: "found", tool_call_id: "c1", name: "search" },
      ],
    };
    const result = { text: "Done", messages: [{ role: "assistant", content: "Done" }] };
    expect(told(readCall("langchain:llm", payload, result))).toEqual([
      ["system text: Be brief", "user text: Hello", CALLED, "tool result search #c1: found"],
      ["assistant text: Done"],
    ]);
  });

  it("reads chat completions and their choices", () => {
    const messages = [
      { role: "developer", content: "Rules" },
      {
        role: "assistant",
        content: null,
        tool_calls: [
          { id: "c1", type: "function", function: { name: "search", arguments: '{"q":1}' } },
        ],
      },
      { role: "tool", tool_call_id: "c1", content: "found" },
    ];
    const plain = { text: "Hi", tool_calls: [CALL], finish_reason: "stop" };
    expect(told(readCall("openai:chat", { messages }, plain))).toEqual([
      ["system text: Rules", CALLED, "tool result #c1: found"],
      ["assistant text: Hi", CALLED],
    ]);
    const refused = {
      choices: [{ index: 0, message: { role: "assistant", content: null, refusal: "No" } }],
    };
    expect(told(readCall("openai:chat", { messages: [] }, refused))[1]).toEqual([
      "assistant text: No",
    ]);
  });

  it("reads the Responses API: instructions, items and reasoning", () => {
    const payload = {
      instructions: "Be kind",
      input: [
        { role: "user", content: [{ type: "input_text", text: "Hello" }] },
        { type: "function_call", call_id: "c1", name: "search", arguments: '{"q":1}' },
        { type: "function_call_output", call_id: "c1", output: "found" },
      ],
    };
    const result = {
      text: "Hi",
      output: [
        { type: "reasoning", summary: [{ type: "summary_text", text: "Think" }] },
        { type: "message", role: "assistant", content: [{ type: "output_text", text: "Hi" }] },
      ],
    };
    expect(told(readCall("openai:response", payload, result))).toEqual([
      ["system text: Be kind", "user text: Hello", CALLED, "tool result #c1: found"],
      ["assistant thinking: Think", "assistant text: Hi"],
    ]);
    expect(told(readCall("openai:response", { input: "Hello" }, { text: "Hi" }))).toEqual([
      ["user text: Hello"],
      ["assistant text: Hi"],
    ]);
  });

  it("reads messages of Anthropic, with blocks for tools, thoughts and pictures", () => {
    const payload = {
      system: [{ type: "text", text: "Be brief" }],
      messages: [
        { role: "user", content: "Hello" },
        {
          role: "assistant",
          content: [{ type: "tool_use", id: "c1", name: "search", input: { q: 1 } }],
        },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "c1", content: [{ type: "text", text: "found" }] },
            { type: "image", source: { type: "base64", data: "AAAA" } },
          ],
        },
      ],
    };
    const result = {
      text: "Hi",
      content: [
        { type: "thinking", thinking: "Hm", signature: "x" },
        { type: "text", text: "Hi" },
      ],
    };
    expect(told(readCall("anthropic:message", payload, result))).toEqual([
      [
        "system text: Be brief",
        "user text: Hello",
        CALLED,
        "tool result #c1: found",
        "user other image: ",
      ],
      ["assistant thinking: Hm", "assistant text: Hi"],
    ]);
  });

  it("reads the Agents SDK, which reports the input at the end", () => {
    const result = {
      instructions: "Be kind",
      messages: [{ role: "user", content: "Hello" }],
      text: "Hi",
    };
    const told_late = [["system text: Be kind", "user text: Hello"], ["assistant text: Hi"]];
    expect(told(readCall("openai_agents:llm", {}, result))).toEqual(told_late);
    const generation = { output: [{ role: "assistant", content: "Hi" }] };
    const payload = { messages: [{ role: "user", content: "Hello" }] };
    expect(told(readCall("openai_agents:llm", payload, generation))).toEqual([
      ["user text: Hello"],
      ["assistant text: Hi"],
    ]);
  });

  it("reads OpenTelemetry, whose messages may have parts", () => {
    const payload = {
      system: "Be brief",
      messages: [
        { role: "user", parts: [{ type: "text", content: "Hello" }] },
        { role: "assistant", parts: [{ type: "tool_call", ...CALL }] },
        { role: "tool", parts: [{ type: "tool_call_response", id: "c1", response: "found" }] },
      ],
    };
    const result = { messages: [{ role: "assistant", parts: [{ type: "text", content: "Hi" }] }] };
    expect(told(readCall("otel:llm", payload, result))).toEqual([
      ["system text: Be brief", "user text: Hello", CALLED, "tool result #c1: found"],
      ["assistant text: Hi"],
    ]);
  });

  it("reads payloads that agents write by hand", () => {
    for (const result of [
      { content: "Hi" },
      { response: "Hi" },
      { completion: "Hi" },
      { output: "Hi" },
      { outputs: { text: "Hi" } },
    ]) {
      expect(told(readCall("agent:llm", { prompt: "Hello" }, result))).toEqual([
        ["user text: Hello"],
        ["assistant text: Hi"],
      ]);
    }
    expect(told(readCall("claude:llm", { prompt: ["A", "B"] }, null))[0]).toEqual([
      "user text: A",
      "user text: B",
    ]);
  });

  it("finds nothing in an unknown form", () => {
    for (const odd of [null, 7, "text", [], { messages: { deep: [null] } }, { messages: 3 }, {}]) {
      expect(() => readCall("x:llm", odd, odd)).not.toThrow();
    }
    expect(readCall("x:llm", { vectors: 3 }, { count: 2 })).toEqual({
      input: [],
      output: [],
      failure: null,
    });
  });

  it("shows sensitive values as the API gives them", () => {
    const hidden = { $sensitive: "string", value: null, labels: ["pii", "contact"] };
    const open = { $sensitive: "string", value: "Ann", labels: ["pii"] };
    const messages = [
      { role: "user", content: hidden },
      { role: "user", content: open },
      { role: "assistant", tool_calls: [{ name: "mail", arguments: { to: hidden } }] },
    ];
    expect(told(readCall("agent:llm", { messages }, null))[0]).toEqual([
      "user text: [hidden: pii, contact]",
      "user text: Ann",
      'assistant call mail: {\n  "to": "[hidden: pii, contact]"\n}',
    ]);
  });
});

describe("bounded", () => {
  it("keeps the end of a long conversation and the beginning of each earlier message", () => {
    const messages = Array.from({ length: 100 }, (_, n) => ({
      role: "user",
      content: `${n} `.repeat(2_000),
    }));
    const call = bounded(readCall("agent:llm", { messages }, { text: "Hi" }), 50_000);
    expect(call.input).toHaveLength(100);
    expect(call.input[99]!.text).toHaveLength(call.input[99]!.length);
    expect(call.input[0]!.text).toHaveLength(200);
    expect(call.input[0]!.length).toBeGreaterThan(2_000);
    expect(call.output[0]!.text).toBe("Hi");
  });
});

describe("readStep", () => {
  it("reads the input, the output and the error of a step", () => {
    const error = { error_type: "TimeoutError", message: "late", stacktrace: "at …" };
    expect(readStep({ a: 1 }, { partial: 2, error })).toEqual({
      input: '{\n  "a": 1\n}',
      output: '{\n  "partial": 2\n}',
      failure: { kind: "TimeoutError", message: "late", stack: "at …" },
    });
    expect(readStep({}, null)).toEqual({ input: "", output: "", failure: null });
  });

  it("reads failures in their usual forms", () => {
    expect(failureOf({ error: "broken" })?.message).toBe("broken");
    expect(failureOf({ error: { type: "E", message: "m" } })).toEqual({
      kind: "E",
      message: "m",
      stack: "",
    });
    expect(failureOf({ error: {} })).toBeNull();
    expect(failureOf({ error: null })).toBeNull();
  });
});
