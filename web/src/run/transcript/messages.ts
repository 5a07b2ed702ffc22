/** Messages in the forms that vendors and OpenTelemetry give them, as parts. */

import {
  argumentsOf,
  isObject,
  part,
  roleOf,
  textOf,
  without,
  type Fields,
  type Part,
  type Role,
} from "./parts";

/** Return the parts of a list of messages, of one message, or of a text. */
export function partsOfMessages(value: unknown, role: Role): Part[] {
  if (Array.isArray(value)) return value.flatMap((one) => partsOfMessages(one, role));
  if (isObject(value) && !("$sensitive" in value)) return partsOfMessage(value, role);
  const text = textOf(value);
  return text.trim() === "" ? [] : [part(role, "text", text)];
}

/** Return the parts of one message. `role` is that of a message that names none. */
function partsOfMessage(message: Fields, role: Role): Part[] {
  const item = partOfItem(message, role);
  if (item) return item;
  // The blocks of a message may come without it.
  if (message.role === undefined && typeof message.text === "string") {
    return blockParts(message, role);
  }
  const own = message.role === undefined ? role : roleOf(message.role);
  const id = text(message.tool_call_id);
  if (own === "tool" && (id || !hasParts(message))) {
    const name = text(message.name);
    return [part("tool", "result", textOf(message.content ?? message.output), { name, id })];
  }
  const found = contentParts(message.reasoning_content, own, "thinking");
  found.push(...contentParts(message.content, own, "text"));
  found.push(...contentParts(message.parts, own, "text"));
  found.push(...contentParts(message.refusal, own, "text"));
  for (const call of [message.tool_calls, message.function_call].flat()) {
    if (isObject(call)) found.push(partOfCall(call));
  }
  return found;
}

function hasParts(message: Fields): boolean {
  return Array.isArray(message.parts) || Array.isArray(message.content);
}

function contentParts(content: unknown, role: Role, kind: "text" | "thinking"): Part[] {
  if (content === undefined || content === null) return [];
  if (Array.isArray(content)) return content.flatMap((block) => contentParts(block, role, kind));
  if (isObject(content) && !("$sensitive" in content)) return blockParts(content, role);
  const said = textOf(content);
  return said.trim() === "" ? [] : [part(role, kind, said)];
}

const TEXTS: ReadonlySet<unknown> = new Set([
  "text",
  "output_text",
  "input_text",
  "summary_text",
  "reasoning_text",
  "refusal",
]);

const LARGE = /image|audio|video|file|blob|document/;

function blockParts(block: Fields, role: Role): Part[] {
  const item = partOfItem(block, role);
  if (item) return item;
  const said = block.text ?? block.content ?? block.refusal;
  if (TEXTS.has(block.type) || (block.type === undefined && said !== undefined)) {
    return contentParts(said, role, "text");
  }
  const name = text(block.type) || "part";
  // Pictures and sounds are long and nothing that could be read here.
  const seen = LARGE.test(name) ? "" : textOf(without(block, "type"));
  return [part(role, "other", seen, { name })];
}

/** Return the parts of what has the same form as a message and as a block; null for others. */
function partOfItem(item: Fields, role: Role): Part[] | null {
  switch (item.type) {
    case "tool_use":
    case "server_tool_use":
    case "tool_call":
    case "function_call":
      return [partOfCall(item)];
    case "tool_result":
    case "tool_call_response":
    case "function_call_output": {
      const said = item.content ?? item.response ?? item.result ?? item.output;
      const id = text(item.tool_use_id) || text(item.call_id) || text(item.id);
      return [part("tool", "result", resultText(said), { id })];
    }
    case "thinking":
    case "reasoning": {
      const said = item.thinking ?? item.summary ?? item.content ?? item.text;
      return contentParts(said, "assistant", "thinking").map((one) => ({
        ...part("assistant", "thinking", one.text),
        length: one.length,
      }));
    }
    case "message":
      return partsOfMessage({ ...item, type: undefined, role: item.role ?? role }, role);
    default:
      return null;
  }
}

/** Return the text of a result: that of its text blocks if it consists of them. */
function resultText(value: unknown): string {
  if (Array.isArray(value) && value.every((one) => isObject(one) && TEXTS.has(one.type))) {
    return value.map((one: Fields) => textOf(one.text ?? one.content)).join("\n");
  }
  return textOf(value);
}

function partOfCall(call: Fields): Part {
  const called = isObject(call.function)
    ? call.function
    : isObject(call.custom)
      ? call.custom
      : call;
  const given = called.arguments ?? called.input ?? called.args;
  return part("assistant", "call", argumentsOf(given), {
    name: text(called.name) || text(call.name) || "tool",
    id: text(call.call_id) || text(call.id),
  });
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
