/**
 * What a model call or another step says, read from its payload and its result. The forms are those
 * that the recorder's integrations write, and what agents write by hand in much the same way.
 */

import { partsOfMessages } from "./messages";
import { isObject, textOf, unwrap, without, type Fields, type Part } from "./parts";

/** The input and output of a model. */
export interface Call {
  input: readonly Part[];
  output: readonly Part[];
  failure: Failure | null;
}

/** The input and output of any other step, as texts. */
export interface Step {
  input: string;
  output: string;
  failure: Failure | null;
}

export interface Failure {
  kind: string;
  message: string;
  stack: string;
}

const MOST_PARTS = 5_000;
const MOST_STEP_CHARACTERS = 8_000;

/** Read a model call. Without messages that are known, both lists are empty. */
export function readCall(type: string, payload: unknown, result: unknown): Call {
  const given = isObject(payload) ? payload : {};
  const got = isObject(result) ? result : {};
  // The Agents SDK knows the input of a call at its end alone.
  const late = type.startsWith("openai_agents:");
  return {
    input: inputOf(given, late ? got : {}).slice(-MOST_PARTS),
    output: outputOf(late ? { ...got, messages: undefined } : got).slice(-MOST_PARTS),
    failure: failureOf(got),
  };
}

function inputOf(payload: Fields, late: Fields): Part[] {
  const system = firstOf(
    payload.system,
    payload.instructions,
    payload.system_prompt,
    late.instructions,
  );
  const nested = isObject(payload.inputs) ? payload.inputs : {};
  const messages = firstOf(
    payload.messages,
    payload.contents,
    payload.input,
    payload.prompt,
    payload.prompts,
    nested.messages,
    nested.prompt,
    typeof payload.inputs === "string" ? payload.inputs : undefined,
    late.messages,
  );
  return [...partsOfMessages(system, "system"), ...partsOfMessages(messages, "user")];
}

function outputOf(result: Fields): Part[] {
  const nested = isObject(result.outputs) ? result.outputs : {};
  const lists = [result.messages, choices(result.choices), result.output, result.content];
  for (const list of lists) {
    if (!Array.isArray(list)) continue;
    const found = partsOfMessages(blocksTogether(list), "assistant");
    if (found.length > 0) return found;
  }
  const text = firstOf(
    result.text,
    result.content,
    result.response,
    result.completion,
    result.output,
    result.answer,
    nested.text,
    nested.content,
    typeof result.outputs === "string" ? result.outputs : undefined,
  );
  const calls = firstOf(result.tool_calls, nested.tool_calls);
  return [
    ...partsOfMessages(text, "assistant"),
    ...partsOfMessages(Array.isArray(calls) ? { tool_calls: calls } : undefined, "assistant"),
  ];
}

/** The blocks of one message are not messages: without a role, their content is the model's. */
function blocksTogether(list: readonly unknown[]): unknown {
  const areBlocks = list.every(
    (one) => isObject(one) && typeof one.type === "string" && one.role === undefined,
  );
  return areBlocks ? { role: "assistant", content: list } : list;
}

function choices(value: unknown): unknown {
  if (!Array.isArray(value)) return undefined;
  return value.map((one: unknown) => (isObject(one) ? (one.message ?? one.text) : one));
}

function firstOf(...values: unknown[]): unknown {
  return values.find((one) => one !== undefined && one !== null && one !== "");
}

/** Read a step that is no model call. */
export function readStep(payload: unknown, result: unknown): Step {
  const got = isObject(result) ? result : {};
  const failure = failureOf(got);
  const rest = failure ? without(got, "error") : got;
  return { input: shown(payload), output: shown(rest), failure };
}

function shown(value: unknown): string {
  const fields = unwrap(value);
  if (isObject(fields) && Object.keys(fields).length === 0) return "";
  const text = textOf(fields);
  return text.length > MOST_STEP_CHARACTERS ? `${text.slice(0, MOST_STEP_CHARACTERS)}…` : text;
}

/** Read what a result says of a failure, in any of the usual forms. */
export function failureOf(result: unknown): Failure | null {
  const error = isObject(result) ? unwrap(result.error ?? result.exception) : null;
  if (typeof error === "string" && error !== "") return { kind: "", message: error, stack: "" };
  if (!isObject(error)) return null;
  const failure = {
    kind: textOf(error.error_type ?? error.type ?? error.kind ?? error.name ?? error.code),
    message: textOf(error.message ?? error.detail),
    stack: textOf(error.stacktrace ?? error.stack ?? error.traceback),
  };
  return Object.values(failure).some(Boolean) ? failure : null;
}

/** Return a call that a page can hold, without long texts far back. */
export function bounded(call: Call, characters = 400_000): Call {
  let left = characters;
  const trim = (one: Part): Part => {
    const text = one.text.length > Math.max(left, 200) ? one.text.slice(0, 200) : one.text;
    left -= text.length;
    return { ...one, text };
  };
  // The new part of a conversation is its end.
  const output = call.output.map(trim);
  const input = call.input.toReversed().map(trim).toReversed();
  return { ...call, input, output };
}
