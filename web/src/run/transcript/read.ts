/** Spans with their payloads, turned into what a transcript shows of them. */

import { bounded, readCall, readStep, type Call, type Step } from "./call";

/** What was read of a span. */
export interface Read {
  id: string;
  status: string;
  call: Call;
  step: Step;
  /** About how much memory it takes. */
  characters: number;
}

interface SpanRow {
  id: string;
  status: string;
  schema_name: string;
  payload: unknown;
  result_payload: unknown;
}

/** Read an answer of `GET /agent_spans?ids=`. */
export function readSpans(answer: ArrayBuffer): Read[] {
  const { summaries } = JSON.parse(new TextDecoder().decode(answer)) as {
    summaries: readonly SpanRow[];
  };
  return summaries.map((row) => {
    const call = bounded(readCall(row.schema_name, row.payload, row.result_payload));
    const step = readStep(row.payload, row.result_payload);
    const parts = [...call.input, ...call.output];
    const characters = parts.reduce(
      (sum, one) => sum + one.text.length + 100,
      step.input.length + step.output.length + 200,
    );
    return { id: row.id, status: row.status, call, step, characters };
  });
}
