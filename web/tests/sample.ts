import { readSkeleton, type Skeleton, type SkeletonReply } from "../src/run/skeleton";

/** One span of a sample: its parent's place, start and duration in microseconds, and more. */
export interface Sample {
  parent?: number;
  start?: number | null;
  took?: number | null;
  status?: string;
  name?: string;
  summary?: string;
  tool?: string;
}

/** Make a run of spans, given in the order of their tree. */
export function sampleRun(spans: readonly Sample[]): Skeleton {
  const tools = spans.flatMap(({ tool }) => tool ?? []);
  const names = [...new Set(spans.map(({ name = "agent:tool" }) => name))];
  const reply: SkeletonReply = {
    total: spans.length,
    origin: "2026-11-29T12:00:00.000000Z",
    schemas: names.map((name) => ({ name, title: name })),
    flag_values: {},
    tool_names: tools,
    columns: {
      id: spans.map((_, i) => `span-${i}`),
      parent: spans.map(({ parent }) => parent ?? null),
      schema: spans.map(({ name = "agent:tool" }) => names.indexOf(name)),
      status: spans.map(({ status = "complete" }) => status),
      started_at: spans.map(({ start }) => (start === undefined ? 0 : start)),
      duration: spans.map(({ took }) => (took === undefined ? 10 : took)),
      summary: spans.map(({ summary }) => summary ?? null),
      tool_name: spans.map(({ tool }) => (tool === undefined ? null : tools.indexOf(tool))),
      flags: spans.map(() => 0),
    },
  };
  return readSkeleton(reply);
}
