/** The parts that conversations are made of: texts, thoughts, calls of tools and their results. */

export type Role = "system" | "user" | "assistant" | "tool";

export interface Part {
  role: Role;
  kind: "text" | "thinking" | "call" | "result" | "other";
  /** Cut beyond `MOST_CHARACTERS`. */
  text: string;
  /** How many characters the whole text has. */
  length: number;
  /** The tool's name, or what another kind of part is called. */
  name: string;
  /** What connects a call of a tool with its result; empty where the agent says nothing. */
  id: string;
  /** The same for parts that say the same. */
  hash: number;
}

const MOST_CHARACTERS = 20_000;

const ROLES: Readonly<Record<string, Role>> = {
  ai: "assistant",
  model: "assistant",
  assistant: "assistant",
  human: "user",
  user: "user",
  developer: "system",
  system: "system",
  tool: "tool",
  function: "tool",
};

/** Return the usual name of a role; one that is unknown is the user's. */
export function roleOf(value: unknown): Role {
  return (typeof value === "string" ? ROLES[value.toLowerCase()] : undefined) ?? "user";
}

/** Return a part, with its text cut to what a page can show. */
export function part(
  role: Role,
  kind: Part["kind"],
  text: string,
  { name = "", id = "" }: { name?: string; id?: string } = {},
): Part {
  const said = text.trim();
  const hash = hashOf(`${role}\n${kind}\n${name}\n${said}`);
  return { role, kind, text: cut(said), length: said.length, name, id, hash };
}

/** Return at most as many characters as a page can show, without half a character at the end. */
function cut(text: string): string {
  if (text.length <= MOST_CHARACTERS) return text;
  const last = text.charCodeAt(MOST_CHARACTERS - 1);
  return text.slice(0, MOST_CHARACTERS - (last >= 0xd800 && last < 0xdc00 ? 1 : 0));
}

export type Fields = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Return a value as a text: a string as it is, everything else as JSON. */
export function textOf(value: unknown): string {
  const open = unwrap(value);
  if (typeof open === "string") return open;
  return open === undefined || open === null ? "" : JSON.stringify(open, null, 2);
}

/** Return a value without wrappers of sensitive values: the value, or what is hidden. */
export function unwrap(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unwrap);
  if (!isObject(value)) return value;
  if ("$sensitive" in value) {
    if (value.value !== null && value.value !== undefined) return value.value;
    const labels = Array.isArray(value.labels) ? value.labels.join(", ") : "";
    return `[${value.discarded === true ? "discarded" : "hidden"}${labels && `: ${labels}`}]`;
  }
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, unwrap(one)]));
}

/** Return an object without one of its members. */
export function without(fields: Fields, left: string): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => name !== left));
}

/** Return the arguments of a call as a text; some agents send them as JSON in a string. */
export function argumentsOf(value: unknown): string {
  const open = unwrap(value);
  if (typeof open !== "string") return textOf(open);
  try {
    return textOf(JSON.parse(open));
  } catch {
    return open;
  }
}

/** A hash of 53 bits: two texts among millions hardly ever share one. */
export function hashOf(text: string): number {
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    high = Math.imul(high ^ code, 2654435761);
    low = Math.imul(low ^ code, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return 4294967296 * (2097151 & low) + (high >>> 0);
}
