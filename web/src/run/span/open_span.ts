/** Opening a span's answer: here when it is small, in a worker when it is not. */

import type { Row } from "../../parts/json/layout";
import { sourceOf, type JsonSource } from "../../parts/json/source";
import { Asked } from "../../parts/worker/ask";
import { OpenedSpan, type DocumentName, type Summary } from "./opened";
import type { SpanQuestion } from "./worker";
import workerAddress from "./worker?worker&url";

export interface Span extends Omit<Summary, "documents"> {
  payload: JsonSource;
  result: JsonSource | null;
  /** The whole answer of the API; it is laid out when it is first looked at. */
  raw: () => Promise<JsonSource>;
  close: () => void;
}

// As much is laid out in a few milliseconds.
const SMALL_BYTES = 200_000;

export async function openSpan(answer: ArrayBuffer): Promise<Span> {
  return answer.byteLength < SMALL_BYTES ? openedHere(answer) : openedInWorker(answer);
}

function openedHere(answer: ArrayBuffer): Span {
  const opened = new OpenedSpan(answer);
  const { documents, ...rest } = opened.summary();
  return {
    ...rest,
    payload: sourceOf(opened.layout("payload")),
    result: documents.length > 1 ? sourceOf(opened.layout("result")) : null,
    raw: () => Promise.resolve(sourceOf(opened.layout("raw"))),
    close: () => undefined,
  };
}

async function openedInWorker(answer: ArrayBuffer): Promise<Span> {
  const worker = new Asked(workerAddress);
  const ask = <A>(question: SpanQuestion, transferred: Transferable[] = []): Promise<A> =>
    worker.ask<A>(question, transferred);
  const source = (name: DocumentName, size: { lines: number; characters: number }): JsonSource => ({
    ...size,
    rows: (columns) => ask({ rows: name, columns }),
    read: (columns, from, to) => ask<Row[]>({ read: name, columns, from, to }),
    text: () => ask<string>({ text: name }),
  });
  const { documents, ...rest } = await ask<Summary>({ open: answer }, [answer]);
  const [payload, result] = documents;
  return {
    ...rest,
    payload: source("payload", payload!),
    result: result ? source("result", result) : null,
    // Its size is known when it is laid out; that it is large is known now.
    raw: () => Promise.resolve(source("raw", { lines: Infinity, characters: Infinity })),
    close: () => {
      worker.close();
    },
  };
}
