/** One connection to the stream of events, made again whenever it is lost. */

import { EventReader } from "./sse";
import type { Changes } from "./topic";

/**
 * `refused` is a server that has too many streams; what is shown is read again now and then
 * meanwhile.
 */
export type ConnectionState = "idle" | "connecting" | "live" | "lost" | "refused" | "signed-out";

export interface ConnectionHandlers {
  state(state: ConnectionState): void;
  /** From now on all changes are reported. `lost` if earlier ones may have been missed. */
  ready(lost: boolean): void;
  /** There is no stream for now, so pages should read their data again instead. */
  refused(): void;
  /** The following changes were committed up to this position. */
  position(position: string): void;
  changes(changes: Changes): void;
}

/** The functions of the browser that the connection uses. */
export interface ConnectionTools {
  fetch(address: string, init: RequestInit): Promise<Response>;
  setTimeout(call: () => void, milliseconds: number): number;
  clearTimeout(timer: number): void;
  random(): number;
}

const FIRST_DELAY_MS = 500;
const LAST_DELAY_MS = 30_000;
/** The server sends something every 15 seconds; otherwise the connection is dead. */
const SILENCE_MS = 40_000;

const SIGNED_OUT = 401;
const REFUSED = [429, 503];

/** How a stream ended. One that never began is broken. */
type Outcome = "ended" | "broken" | "refused" | "signed-out";

/** Return how long to wait before the attempt after so many failed ones, in milliseconds. */
export function retryDelay(failures: number, random: number): number {
  const longest = Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failures, 10));
  // Half of it at random, or all browsers would come back to a restarted server at once.
  return longest / 2 + (random * longest) / 2;
}

export class Connection {
  readonly #address: string;
  readonly #handlers: ConnectionHandlers;
  readonly #tools: ConnectionTools;
  #question: string | null = null;
  #position = "";
  #failures = 0;
  #state: ConnectionState = "idle";
  #isReady = false;
  #abort: AbortController | null = null;
  #retry: number | undefined;

  constructor(address: string, handlers: ConnectionHandlers, tools: ConnectionTools) {
    this.#address = address;
    this.#handlers = handlers;
    this.#tools = tools;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Whether the stream covers everything that was requested. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Change the request; null closes the connection. No change is missed meanwhile. */
  ask(question: string | null): void {
    if (question === this.#question) return;
    this.#question = question;
    this.#stop();
    if (question === null) {
      this.#position = "";
      this.#say("idle");
    } else {
      void this.#connect(question);
    }
  }

  /** Try again at once, if the connection is lost. */
  retryNow(): void {
    if (this.#retry === undefined && this.#state !== "signed-out") return;
    this.#failures = 0;
    this.#stop();
    if (this.#question !== null) void this.#connect(this.#question);
  }

  #stop(): void {
    this.#isReady = false;
    this.#abort?.abort();
    this.#abort = null;
    this.#tools.clearTimeout(this.#retry ?? 0);
    this.#retry = undefined;
  }

  async #connect(question: string): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    if (this.#state === "idle") this.#say("connecting");
    let outcome: Outcome = "broken";
    try {
      outcome = await this.#read(question, abort);
    } catch {
      // Refused connections and broken ones are handled alike.
    }
    if (this.#abort !== abort) return;
    this.#isReady = false;
    if (outcome === "ended") {
      // The server ends streams from time to time, and accepts the next one.
      void this.#connect(question);
    } else if (outcome !== "signed-out") {
      if (outcome === "broken") this.#say("lost");
      this.#again(question);
    }
  }

  #again(question: string): void {
    const delay = retryDelay(this.#failures++, this.#tools.random());
    this.#retry = this.#tools.setTimeout(() => {
      this.#retry = undefined;
      void this.#connect(question);
    }, delay);
  }

  /** Read one stream to its end. */
  async #read(question: string, abort: AbortController): Promise<Outcome> {
    let silence = 0;
    const heard = (): void => {
      this.#tools.clearTimeout(silence);
      silence = this.#tools.setTimeout(() => {
        abort.abort();
      }, SILENCE_MS);
    };
    heard();
    try {
      const reply = await this.#tools.fetch(`${this.#address}?${question}`, {
        credentials: "same-origin",
        cache: "no-store",
        headers: this.#position ? { "Last-Event-ID": this.#position } : {},
        signal: abort.signal,
      });
      if (!reply.ok || !reply.body) {
        return this.#refused(reply.status);
      }
      return await this.#readBody(reply.body, abort, heard);
    } finally {
      this.#tools.clearTimeout(silence);
    }
  }

  async #readBody(
    body: ReadableStream<Uint8Array>,
    abort: AbortController,
    heard: () => void,
  ): Promise<Outcome> {
    const events = new EventReader();
    const text = new TextDecoder();
    const reader = body.getReader();
    let begun = false;
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this.#abort !== abort) return begun ? "ended" : "broken";
      heard();
      const complete = events.push(text.decode(value, { stream: true }));
      if (complete.length > 0) this.#handlers.position(events.lastId);
      for (const { kind, data } of complete) {
        if (kind === "changes") this.#handlers.changes(JSON.parse(data) as Changes);
        // A stream that cannot resume begins with `reload` after `ready`, or in its place.
        else if (kind === "ready") this.#begin(this.#position === "");
        else if (kind === "reload") this.#begin(true);
        begun = true;
      }
      this.#position = events.lastId || this.#position;
    }
  }

  #begin(lost: boolean): void {
    this.#failures = 0;
    this.#isReady = true;
    this.#say("live");
    this.#handlers.ready(lost);
  }

  #refused(status: number): Outcome {
    if (status === SIGNED_OUT) {
      this.#say("signed-out");
      return "signed-out";
    }
    const outcome = REFUSED.includes(status) ? "refused" : "broken";
    if (outcome === "refused") this.#say("refused");
    // A run that is followed may be gone (404), or a proxy may allow no streams.
    this.#position = "";
    this.#handlers.refused();
    return outcome;
  }

  #say(state: ConnectionState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#handlers.state(state);
  }
}
