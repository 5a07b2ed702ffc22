/** Bringing the skeleton of a run up to date with spans that have changed, without reading it again. */

import type { components } from "../openapi";

export type FullSkeleton = components["schemas"]["AgentInstanceSkeleton"];
export type ChangedSpan = components["schemas"]["ChangedSpan"];

type Columns = FullSkeleton["columns"];

const ENDED: ReadonlySet<string> = new Set(["complete", "failed", "cancelled"]);
const ROOT = -1;

/**
 * Return a skeleton with changed spans in it: known ones where they stand, new ones where the order
 * of the tree puts them. Return null if only the server can say where they belong.
 */
export function patchSkeleton(
  skeleton: FullSkeleton,
  changed: readonly ChangedSpan[],
): FullSkeleton | null {
  const latest = new Map(changed.map((span) => [span.id, span]));
  const next = copyOf(skeleton);
  const known = new Map<string, number>();
  next.columns.id.forEach((id, place) => {
    if (latest.has(id)) known.set(id, place);
  });
  const fresh = [...latest.values()].filter(({ id }) => !known.has(id));
  const hasTimes = [...latest.values()].some(({ started_at }) => started_at !== null);
  if (next.origin === null && hasTimes) return null;
  const missing = skeleton.flag_values.parent_missing ?? 0;
  // One of the new spans may be the parent that an orphan waits for.
  if (fresh.length > 0 && next.columns.flags.some((flags) => flags & missing)) return null;
  const names = new Names(next);
  for (const [id, place] of known) update(next, place, latest.get(id)!, names);
  if (fresh.length === 0) return next;
  return insert(next, fresh, names);
}

/** Return the microseconds from one time of the API to another, which has more digits than `Date`. */
export function microsecondsBetween(from: string, to: string): number {
  return (Date.parse(to) - Date.parse(from)) * 1000 + submillis(to) - submillis(from);
}

function submillis(time: string): number {
  const digits = /\.(\d+)/.exec(time)?.[1] ?? "";
  return Number(digits.padEnd(6, "0").slice(3, 6));
}

function copyOf(skeleton: FullSkeleton): FullSkeleton {
  const columns = Object.entries(skeleton.columns).map(([name, column]) => [name, [...column]]);
  return {
    ...skeleton,
    schemas: [...skeleton.schemas],
    tool_names: [...skeleton.tool_names],
    models: [...skeleton.models],
    columns: Object.fromEntries(columns) as Columns,
  };
}

/** The tables of names that columns point into, which grow. */
class Names {
  readonly #skeleton: FullSkeleton;

  constructor(skeleton: FullSkeleton) {
    this.#skeleton = skeleton;
  }

  schema(name: string, title: string): number {
    const { schemas } = this.#skeleton;
    const place = schemas.findIndex((one) => one.name === name);
    return place >= 0 ? place : schemas.push({ name, title }) - 1;
  }

  tool(name: string | null): number | null {
    return placeIn(this.#skeleton.tool_names, name);
  }

  model(name: string | null): number | null {
    return placeIn(this.#skeleton.models, name);
  }
}

function placeIn(names: string[], name: string | null): number | null {
  if (name === null) return null;
  const place = names.indexOf(name);
  return place >= 0 ? place : names.push(name) - 1;
}

type Entry = { [Name in keyof Columns]: Columns[Name][number] };

function entryOf(skeleton: FullSkeleton, span: ChangedSpan, names: Names): Entry {
  const { started_at, finished_at } = span;
  const flags = {
    closed_by_termination: span.closed_by_termination,
    schema_unregistered: !span.schema_registered,
    finished_before_started: span.finished_before_started,
    sensitive_encoding: span.sensitive_encoding,
    sensitive_discarded: span.sensitive_discarded,
  };
  const { origin, flag_values } = skeleton;
  return {
    id: span.id,
    parent: null,
    schema: names.schema(span.schema_name, span.schema_title),
    status: span.status,
    started_at: started_at && origin ? microsecondsBetween(origin, started_at) : null,
    duration: started_at && finished_at ? microsecondsBetween(started_at, finished_at) : null,
    summary: span.summary,
    flags: Object.entries(flags)
      .filter(([, isSet]) => isSet)
      .reduce((sum, [name]) => sum + (flag_values[name] ?? 0), 0),
    kind: span.kind,
    tool_name: names.tool(span.tool_name),
    model: names.model(span.model),
    total_tokens: span.total_tokens,
    // Only the server knows prices.
    cost: null,
  };
}

function set(columns: Columns, place: number, entry: Entry): void {
  for (const [name, value] of Object.entries(entry)) {
    (columns[name as keyof Columns] as unknown[])[place] = value;
  }
}

/** Replace an entry. An event may be older than what was read, and then changes nothing. */
function update(skeleton: FullSkeleton, place: number, span: ChangedSpan, names: Names): void {
  const { columns } = skeleton;
  if (ENDED.has(columns.status[place]!) && !ENDED.has(span.status)) return;
  const entry = entryOf(skeleton, span, names);
  const parent = columns.parent[place]!;
  const cost = entry.total_tokens === columns.total_tokens[place] ? columns.cost[place]! : null;
  set(columns, place, { ...entry, parent, cost });
}

/** A new span whose parent is known, or missing: the place that it has to stand before. */
interface Insertion {
  before: number;
  depth: number;
  span: ChangedSpan;
}

function insert(skeleton: FullSkeleton, fresh: readonly ChangedSpan[], names: Names): FullSkeleton {
  const { columns } = skeleton;
  const old = columns.id.length;
  const byId = new Map(fresh.map((span) => [span.id, span]));
  const entries = new Map(fresh.map((span) => [span.id, entryOf(skeleton, span, names)]));
  const startOf = (span: ChangedSpan): number => entries.get(span.id)!.started_at ?? Infinity;
  const sorted = [...fresh].sort((a, b) => startOf(a) - startOf(b));
  const below = Map.groupBy(
    sorted.filter(({ parent_span_id }) => parent_span_id !== null && byId.has(parent_span_id)),
    (span) => span.parent_span_id!,
  );
  const parents = placesOf(
    columns.id,
    fresh.flatMap(({ parent_span_id }) => parent_span_id ?? []),
  );
  const { size, depth } = shapeOf(columns.parent);
  const placed = new Set<string>();
  const order: (number | string)[] = [];

  /** A span and the new ones below it, in the order of their starts. */
  function emit(top: ChangedSpan): void {
    const stack = [top];
    for (let span = stack.pop(); span; span = stack.pop()) {
      if (placed.has(span.id)) continue;
      placed.add(span.id);
      order.push(span.id);
      stack.push(...(below.get(span.id) ?? []).toReversed());
    }
  }

  const insertions: Insertion[] = sorted
    .filter(({ parent_span_id }) => parent_span_id === null || !byId.has(parent_span_id))
    .map((span) => {
      const parent = parents.get(span.parent_span_id ?? "") ?? ROOT;
      const before = placeBefore(columns, size, parent, startOf(span));
      return { before, depth: parent === ROOT ? ROOT : depth[parent]!, span };
    });
  // At the end of a subtree, its new descendants come before the spans that follow it.
  insertions.sort((a, b) => a.before - b.before || b.depth - a.depth);
  let next = 0;
  for (let place = 0; place <= old; place++) {
    while (insertions[next]?.before === place) emit(insertions[next++]!.span);
    if (place < old) order.push(place);
  }
  // The remaining spans are each other's parents.
  for (const span of sorted) emit(span);

  const moved = new Map<number | string, number>(order.map((one, place) => [one, place]));
  const grown = Object.fromEntries(Object.keys(columns).map((name) => [name, []]));
  const result = grown as unknown as Columns;
  order.forEach((one, place) => {
    set(result, place, typeof one === "number" ? entryAt(columns, one) : entries.get(one)!);
    if (typeof one === "number") {
      const above = columns.parent[one]!;
      result.parent[place] = (above as number | null) === null ? null : moved.get(above)!;
      return;
    }
    const { parent_span_id } = byId.get(one)!;
    if (parent_span_id === null) return;
    const above = moved.get(parents.get(parent_span_id) ?? parent_span_id);
    if (above !== undefined && above < place) result.parent[place] = above;
    else result.flags[place]! += skeleton.flag_values.parent_missing ?? 0;
  });
  return { ...skeleton, total: order.length, columns: result };
}

function entryAt(columns: Columns, place: number): Entry {
  const values = Object.entries(columns).map(([name, column]) => [name, column[place]]);
  return Object.fromEntries(values) as Entry;
}

function placesOf(ids: readonly string[], wanted: readonly string[]): Map<string, number> {
  const asked = new Set(wanted);
  const found = new Map<string, number>();
  if (asked.size > 0) ids.forEach((id, place) => asked.has(id) && found.set(id, place));
  return found;
}

function shapeOf(parents: readonly (number | null)[]): { size: Int32Array; depth: Int32Array } {
  const size = new Int32Array(parents.length).fill(1);
  const depth = new Int32Array(parents.length);
  for (let i = 0; i < parents.length; i++) {
    const above = parents[i] ?? ROOT;
    if (above >= 0) depth[i] = depth[above]! + 1;
  }
  for (let i = parents.length - 1; i >= 0; i--) {
    const above = parents[i] ?? ROOT;
    if (above >= 0) size[above]! += size[i]!;
  }
  return { size, depth };
}

/** Return the place that a new child has to stand before, among siblings in the order of starts. */
function placeBefore(columns: Columns, size: Int32Array, parent: number, start: number): number {
  const end = parent === ROOT ? columns.id.length : parent + size[parent]!;
  let place = parent === ROOT ? 0 : parent + 1;
  while (place < end && (columns.started_at[place] ?? Infinity) <= start) place += size[place]!;
  return place;
}
