/** What the spans of a transcript say, read as they are scrolled to and kept within bounds. */

import { api, body, explain, isAborted } from "../../api";
import { Asked } from "../../parts/worker/ask";
import { noteSignedOut } from "../../session.svelte";
import { ReadCache, type Wanted } from "./cache";
import type { Read } from "./read";
import workerAddress from "./worker?worker&url";

const MOST_SPANS = 50;
const FIRST_SPANS = 20;
// An answer of this size arrives before the reader has scrolled past the rows before it.
const GOOD_BYTES = 2_000_000;
const KEPT_CHARACTERS = 30_000_000;

export class Reader {
  /** Why the last request failed; empty while none has. */
  failure = $state("");
  /** Grows with everything that has been read. */
  #arrived = $state(0);
  readonly #cache = new ReadCache(KEPT_CHARACTERS);
  readonly #asked = new Asked(workerAddress);
  readonly #abort = new AbortController();
  #wanted: readonly Wanted[] = [];
  #spans = FIRST_SPANS;
  #busy = false;

  /** Return what was read of a span, if it was: with an earlier status until there is a later. */
  get(id: string): Read | undefined {
    return this.#arrived > 0 ? this.#cache.get(id) : undefined;
  }

  /** Read these spans, the first ones first. What was wanted before and not begun is left. */
  want(spans: readonly Wanted[]): void {
    this.#wanted = spans;
    if (!this.#busy && this.failure === "") void this.#next();
  }

  retry(): void {
    this.failure = "";
    if (!this.#busy) void this.#next();
  }

  close(): void {
    this.#abort.abort();
    this.#asked.close();
  }

  async #next(): Promise<void> {
    const order = this.#cache.missing(this.#wanted).slice(0, this.#spans);
    if (order.length === 0 || this.#abort.signal.aborted) return;
    this.#busy = true;
    try {
      this.#cache.put(await this.#load(order.map(({ id }) => id)), order, this.#wanted);
      this.#arrived++;
    } catch (error) {
      if (isAborted(error)) return;
      noteSignedOut(error);
      this.failure = explain(error);
    } finally {
      this.#busy = false;
    }
    if (this.failure === "") void this.#next();
  }

  async #load(ids: readonly string[]): Promise<Read[]> {
    const answer = await body(
      api.GET("/api/v1/agent_spans", {
        params: { query: { ids: ids.join(",") } },
        parseAs: "arrayBuffer",
        signal: this.#abort.signal,
      }),
    );
    const each = Math.max(answer.byteLength / ids.length, 1);
    this.#spans = Math.max(1, Math.min(MOST_SPANS, Math.floor(GOOD_BYTES / each)));
    return this.#asked.ask<Read[]>(answer, [answer]);
  }
}
