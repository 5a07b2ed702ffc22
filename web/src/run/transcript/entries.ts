/**
 * What stands in a transcript, from the skeleton alone: model calls, steps of one line, and
 * sub-agents. What they say is read when they are scrolled to.
 */

import { FAILED, KINDS, type Skeleton } from "../skeleton";

export const CALL = 0;
export const STEP = 1;
export const AGENT = 2;

/** One entry each, in the order of the tree. */
export interface Entries {
  total: number;
  /** The span that an entry is about. */
  span: Int32Array;
  role: Uint8Array;
  /** How many entries enclose it. */
  depth: Uint16Array;
  /** How many entries stand in it, itself included. */
  size: Int32Array;
  /** The entry that encloses it, or -1. */
  parent: Int32Array;
  /** The entry that shows a span, or stands nearest to it. */
  entryOf: Int32Array;
  /** Model calls by the entry that encloses them, in order. */
  conversations: ReadonlyMap<number, readonly number[]>;
  /** The place of each model call in its conversation. */
  turn: Int32Array;
  calls: number;
}

const [LLM, KIND_AGENT, TOOL, HTTP, OTHER] = (
  ["llm", "agent", "tool", "http", "other"] as const
).map((kind) => KINDS.indexOf(kind)) as [number, number, number, number, number];

// Beyond this number of steps between two calls, tools are not matched with the calls.
const MOST_STEPS = 500;

// A chain, a graph or a turn only groups steps. It has no conversation of its own.
const AGENT_WORD = /(^|[:._-])(sub)?(agent|crew|supervisor)s?$/i;

/** Find the entries of a run. */
export function findEntries(run: Skeleton): Entries {
  const calls = callsBelow(run);
  const found = {
    span: [] as number[],
    role: [] as number[],
    parent: [] as number[],
    depth: [] as number[],
  };
  const entryOf = new Int32Array(run.total).fill(-1);
  // The entry that encloses what stands below a span, and the model call that it belongs to.
  const inside = new Int32Array(run.total).fill(-1);
  const belowCall = new Uint8Array(run.total);
  for (let i = 0; i < run.total; i++) {
    const above = run.parent[i]!;
    const parent = above < 0 ? -1 : inside[above]!;
    const role = roleOf(run, i, calls[i]!, above >= 0 && belowCall[above] === 1);
    inside[i] = parent;
    belowCall[i] = run.kind[i] === LLM ? 1 : 0;
    if (role < 0) {
      entryOf[i] = above < 0 ? -1 : entryOf[above]!;
      continue;
    }
    const entry = found.span.length;
    entryOf[i] = entry;
    found.span.push(i);
    found.role.push(role);
    found.parent.push(parent);
    found.depth.push(parent < 0 ? 0 : found.depth[parent]! + 1);
    if (role !== CALL) inside[i] = entry;
  }
  return { ...assembled(found), entryOf: withNearest(entryOf, found.span) };
}

function roleOf(run: Skeleton, i: number, calls: number, belowCall: boolean): number {
  const kind = run.kind[i]!;
  const failed = run.status[i] === FAILED;
  const leaf = run.size[i] === 1;
  if (kind === LLM) return belowCall ? (failed ? STEP : -1) : CALL;
  if (kind === KIND_AGENT && !leaf) return AGENT_WORD.test(run.types[i]!) ? AGENT : -1;
  if (belowCall && leaf && !failed && (kind === HTTP || kind === OTHER)) return -1;
  if (calls > 0 && kind !== TOOL && (kind === OTHER || kind === HTTP)) return -1;
  return STEP;
}

/** Count the model calls at and below each span. */
function callsBelow(run: Skeleton): Int32Array {
  const calls = new Int32Array(run.total);
  for (let i = run.total - 1; i >= 0; i--) {
    if (run.kind[i] === LLM) calls[i]!++;
    const above = run.parent[i]!;
    if (above >= 0) calls[above]! += calls[i]!;
  }
  return calls;
}

function assembled(found: {
  span: number[];
  role: number[];
  parent: number[];
  depth: number[];
}): Omit<Entries, "entryOf"> {
  const total = found.span.length;
  const size = new Int32Array(total).fill(1);
  for (let i = total - 1; i >= 0; i--) {
    const above = found.parent[i]!;
    if (above >= 0) size[above]! += size[i]!;
  }
  const conversations = new Map<number, number[]>();
  const turn = new Int32Array(total).fill(-1);
  let calls = 0;
  for (let i = 0; i < total; i++) {
    if (found.role[i] !== CALL) continue;
    const scope = found.parent[i]!;
    const turns = conversations.get(scope) ?? [];
    if (turns.length === 0) conversations.set(scope, turns);
    turn[i] = turns.length;
    turns.push(i);
    calls++;
  }
  return {
    total,
    span: Int32Array.from(found.span),
    role: Uint8Array.from(found.role),
    parent: Int32Array.from(found.parent),
    depth: Uint16Array.from(found.depth, (depth) => Math.min(depth, 0xffff)),
    size,
    conversations,
    turn,
    calls,
  };
}

/** A span above all entries is shown by the first entry that follows. */
function withNearest(entryOf: Int32Array, spans: readonly number[]): Int32Array {
  let next = spans.length;
  for (let i = entryOf.length - 1; i >= 0; i--) {
    if (next > 0 && spans[next - 1] === i) next--;
    if (entryOf[i]! < 0) entryOf[i] = Math.min(next, spans.length - 1);
  }
  return entryOf;
}

/** Return which entries are open at first: the main agent, and no sub-agent. */
export function firstOpen(entries: Entries): Uint8Array {
  const open = new Uint8Array(entries.total);
  for (let i = 0; i < entries.total; i++) {
    if (entries.role[i] === AGENT && entries.depth[i] === 0) open[i] = 1;
  }
  return open;
}

/** What a person opened (true) or folded (false), by the ids of spans. */
export type Toggled = Readonly<Record<string, boolean>>;

/** Return which entries are open after what a person opened and folded. */
export function openEntries(run: Skeleton, entries: Entries, toggled: Toggled): Uint8Array {
  const open = firstOpen(entries);
  for (let i = 0; i < entries.total; i++) {
    const chosen = toggled[run.ids[entries.span[i]!]!];
    if (chosen !== undefined) open[i] = chosen ? 1 : 0;
  }
  return open;
}

/** Return what is toggled when every agent is open and nothing else. */
export function allAgents(run: Skeleton, entries: Entries): Toggled {
  const toggled: Record<string, boolean> = {};
  for (let i = 0; i < entries.total; i++) {
    if (entries.role[i] === AGENT) toggled[run.ids[entries.span[i]!]!] = true;
  }
  return toggled;
}

/** Return what is toggled when an entry has a row. */
export function leadingTo(
  run: Skeleton,
  entries: Entries,
  entry: number,
  open: Uint8Array,
  toggled: Toggled,
): Toggled {
  const more: Record<string, boolean> = {};
  for (let above = entries.parent[entry]!; above >= 0; above = entries.parent[above]!) {
    if (open[above] !== 1) more[run.ids[entries.span[above]!]!] = true;
  }
  return { ...toggled, ...more };
}

/** Return the entries that have a row, from top to bottom. */
export function openRows(entries: Entries, open: Uint8Array): Int32Array {
  const rows = new Int32Array(entries.total);
  let shown = 0;
  for (let i = 0; i < entries.total;) {
    rows[shown++] = i;
    i += open[i] === 1 || entries.role[i] === CALL ? 1 : entries.size[i]!;
  }
  return rows.subarray(0, shown);
}

/** Return the calls before a call in its conversation, the latest last, at most so many. */
export function callsBefore(entries: Entries, entry: number, most: number): readonly number[] {
  const turns = entries.conversations.get(entries.parent[entry]!) ?? [];
  const turn = entries.turn[entry]!;
  return turns.slice(Math.max(0, turn - most), turn);
}

/** Return the steps between a call and the next (1) or the last (-1) one of its conversation. */
export function stepsBeside(entries: Entries, entry: number, way: 1 | -1): readonly number[] {
  const scope = entries.parent[entry]!;
  const found: number[] = [];
  if (way === 1) {
    const end = scope < 0 ? entries.total : scope + entries.size[scope]!;
    for (let i = entry + 1; i < end && entries.role[i] !== CALL && found.length < MOST_STEPS;) {
      found.push(i);
      i += entries.size[i]!;
    }
    return found;
  }
  const before = callsBefore(entries, entry, 1)[0];
  return before === undefined ? [] : stepsBeside(entries, before, 1);
}
