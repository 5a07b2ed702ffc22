/**
 * A run's spans as columns: typed arrays of one entry per span, in the order of the tree. A hundred
 * thousand objects would take ten times the memory and many times the time.
 */

import { withoutName } from "../format";

export const KINDS = [
  "agent",
  "llm",
  "tool",
  "retrieval",
  "http",
  "guard",
  "human",
  "other",
] as const;
export type Kind = (typeof KINDS)[number];

export const STATUSES = ["pending", "active", "complete", "failed", "cancelled"] as const;
export type Status = (typeof STATUSES)[number];

export const HUMAN = KINDS.indexOf("human");
export const FAILED = STATUSES.indexOf("failed");

/** What `GET /agent_instance/{id}/skeleton` answers with, as far as the pages read it. */
export interface SkeletonReply {
  total: number;
  origin: string | null;
  schemas: readonly { name: string; title: string }[];
  flag_values: Readonly<Record<string, number>>;
  columns: {
    id: readonly string[];
    parent: readonly (number | null)[];
    schema: readonly number[];
    status: readonly string[];
    started_at: readonly (number | null)[];
    duration: readonly (number | null)[];
    summary: readonly (string | null)[];
    flags: readonly number[];
    /** The places of names in `tool_names` and `models`. */
    tool_name?: readonly (number | null)[];
    model?: readonly (number | null)[];
    kind?: readonly string[];
    total_tokens?: readonly (number | null)[];
    cost?: readonly (number | null)[];
  };
  currency?: string | null;
  tool_names?: readonly string[];
  models?: readonly string[];
}

/** The spans of a run. All times are microseconds since `origin`. */
export interface Skeleton {
  total: number;
  /** Milliseconds since 1970. */
  origin: number;
  /** When the last known span started or ended. */
  end: number;
  ids: readonly string[];
  parent: Int32Array;
  depth: Uint16Array;
  /** How many spans stand in the subtree, itself included. */
  size: Int32Array;
  /** NaN for a span that has not started. */
  start: Float64Array;
  /** NaN for a span that has not ended. */
  finish: Float64Array;
  /** When the last of a span's descendants ended. */
  finishBelow: Float64Array;
  status: Uint8Array;
  kind: Uint8Array;
  flags: Uint8Array;
  /** NaN for a span without a count. */
  tokens: Float64Array;
  /** In `currency`; NaN for a span without a price. */
  cost: Float64Array;
  currency: string;
  /** What a row shows in bold: the tool, the model, or else the type's title. */
  names: readonly string[];
  summaries: readonly (string | null)[];
  types: readonly string[];
  failed: number;
}

/** Turn the reply of the API into arrays, in one pass forward and one back. */
export function readSkeleton(reply: SkeletonReply): Skeleton {
  const { columns, total } = reply;
  const parent = new Int32Array(total);
  const depth = new Uint16Array(total);
  const size = new Int32Array(total).fill(1);
  const start = new Float64Array(total);
  const finish = new Float64Array(total);
  const status = new Uint8Array(total);
  const kind = new Uint8Array(total);
  const flags = new Uint8Array(total);
  const tokens = new Float64Array(total);
  const cost = new Float64Array(total);
  const names = new Array<string>(total);
  const types = new Array<string>(total);
  let end = 0;
  let failed = 0;
  for (let i = 0; i < total; i++) {
    const above = columns.parent[i] ?? -1;
    const schema = reply.schemas[columns.schema[i]!]!;
    const started = columns.started_at[i] ?? NaN;
    const took = columns.duration[i] ?? NaN;
    const tool = named(reply.tool_names, columns.tool_name?.[i]);
    const model = named(reply.models, columns.model?.[i]);
    parent[i] = above;
    depth[i] = above < 0 ? 0 : Math.min(depth[above]! + 1, 0xffff);
    start[i] = started;
    finish[i] = started + took;
    status[i] = Math.max(STATUSES.indexOf(columns.status[i] as Status), 0);
    kind[i] = kindIndex(columns.kind?.[i] ?? kindOf(schema.name));
    flags[i] = columns.flags[i]! & 0xff;
    tokens[i] = columns.total_tokens?.[i] ?? NaN;
    cost[i] = columns.cost?.[i] ?? NaN;
    names[i] = tool ?? (kind[i] === LLM ? model : undefined) ?? schema.title;
    types[i] = schema.name;
    if (status[i] === FAILED) failed++;
    if (started > end) end = started;
    if (finish[i]! > end) end = finish[i]!;
  }
  const finishBelow = new Float64Array(total).fill(NaN);
  for (let i = total - 1; i > 0; i--) {
    const above = parent[i]!;
    if (above < 0) continue;
    size[above]! += size[i]!;
    // NaN compares as false, so that an unknown end changes nothing.
    let latest = finishBelow[above]!;
    if (finish[i]! > latest || Number.isNaN(latest)) latest = finish[i]!;
    if (finishBelow[i]! > latest || Number.isNaN(latest)) latest = finishBelow[i]!;
    finishBelow[above] = latest;
  }
  return {
    total,
    origin: reply.origin === null ? NaN : Date.parse(reply.origin),
    end,
    ids: columns.id,
    parent,
    depth,
    size,
    start,
    finish,
    finishBelow,
    status,
    kind,
    flags,
    tokens,
    cost,
    currency: reply.currency ?? "USD",
    names,
    summaries: columns.summary,
    types,
    failed,
  };
}

/** Return when a span ended, or until when it is drawn if it has not: NaN if it has not started. */
export function finishOf(run: Skeleton, span: number, until: number): number {
  const finish = run.finish[span]!;
  return Number.isNaN(finish) ? Math.max(run.start[span]!, until) : finish;
}

/** Return a span's summary without the name that stands beside it. */
export function summaryOf(run: Skeleton, span: number): string {
  return withoutName(run.summaries[span] ?? "", run.names[span]!);
}

function named(names?: readonly string[], place?: number | null): string | undefined {
  return place === null || place === undefined ? undefined : names?.[place];
}

const LLM = KINDS.indexOf("llm");

const KIND_WORDS: readonly (readonly [Kind, RegExp])[] = [
  ["llm", /(^|[:._-])(llm|model|chat|completion|generation|embedding)s?($|[:._-])/i],
  ["tool", /(^|[:._-])(tool|function|mcp)s?($|[:._-])/i],
  ["retrieval", /(^|[:._-])(retriev\w*|search|vector|rag|sql|db)($|[:._-])/i],
  ["http", /(^|[:._-])(https?|request|fetch)($|[:._-])/i],
  ["guard", /(^|[:._-])(guard\w*|moderation|policy)($|[:._-])/i],
  ["human", /(^|[:._-])(human|user|approval|feedback)($|[:._-])/i],
  ["agent", /(^|[:._-])(agent|run|chain|workflow|handoff|task|root)s?$/i],
];

/** Guess a span's kind from the name of its type, for servers that do not tell it. */
export function kindOf(type: string): Kind {
  return KIND_WORDS.find(([, words]) => words.test(type))?.[0] ?? "other";
}

function kindIndex(kind: string): number {
  const found = KINDS.indexOf(kind as Kind);
  return found < 0 ? KINDS.indexOf("other") : found;
}
