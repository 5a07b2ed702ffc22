/** Holds a span of many megabytes and lays it out, so that the page does not wait for it. */

import { answerQuestions } from "../../parts/worker/answer";
import { OpenedSpan, type DocumentName } from "./opened";

export type SpanQuestion =
  | { open: ArrayBuffer }
  | { rows: DocumentName; columns: number }
  | { read: DocumentName; columns: number; from: number; to: number }
  | { text: DocumentName };

let span: OpenedSpan;

answerQuestions((question: SpanQuestion): unknown => {
  if ("open" in question) {
    span = new OpenedSpan(question.open);
    return span.summary();
  }
  if ("rows" in question) {
    const layout = span.layout(question.rows);
    return { count: layout.rows(question.columns), noted: layout.noted(question.columns) };
  }
  if ("read" in question) {
    return span.layout(question.read).read(question.columns, question.from, question.to);
  }
  return span.layout(question.text).text();
});
