/** One span with its payloads laid out, however large they are. */

import { JsonLayout, markOf, type Mark } from "../../parts/json/layout";
import type { components } from "../../openapi";
import { failureOf, type Failure } from "../transcript/call";

export type SpanDetails = Omit<
  components["schemas"]["AgentSpanView"],
  "payload" | "result_payload"
>;

/** What of a span is shown as JSON. */
export type DocumentName = "payload" | "result" | "raw";

export interface Summary {
  details: SpanDetails;
  failure: Failure | null;
  documents: readonly { name: DocumentName; lines: number; characters: number }[];
}

const MOST_STACK = 20_000;

export class OpenedSpan {
  readonly #whole: components["schemas"]["AgentSpanView"];
  readonly #layouts = new Map<DocumentName, JsonLayout>();

  constructor(answer: ArrayBuffer) {
    const text = new TextDecoder().decode(answer);
    this.#whole = (JSON.parse(text) as { details: components["schemas"]["AgentSpanView"] }).details;
  }

  summary(): Summary {
    const result = this.#whole.result_payload;
    const failure = failureOf(result);
    const names: DocumentName[] = result ? ["payload", "result"] : ["payload"];
    return {
      details: { ...this.#whole, payload: undefined, result_payload: undefined } as SpanDetails,
      failure: failure && { ...failure, stack: failure.stack.slice(0, MOST_STACK) },
      documents: names.map((name) => {
        const { lines, characters } = this.layout(name);
        return { name, lines: lines.length, characters };
      }),
    };
  }

  /** Return a document's layout, made when it is first asked for. */
  layout(name: DocumentName): JsonLayout {
    let layout = this.#layouts.get(name);
    if (!layout) this.#layouts.set(name, (layout = this.#lay(name)));
    return layout;
  }

  #lay(name: DocumentName): JsonLayout {
    const span = this.#whole;
    if (name === "raw") return new JsonLayout(span);
    if (name === "payload") return new JsonLayout(span.payload, marks(span.payload_validation));
    return new JsonLayout(span.result_payload, marks(span.result_payload_validation));
  }
}

function marks(found: { status: string; message: string | null } | null): Mark[] {
  return found?.status === "error" && found.message ? [markOf(found.message)] : [];
}
