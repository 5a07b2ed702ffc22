/** Reading a stream of server-sent events, however its text is cut into pieces. */

export interface StreamEvent {
  kind: string;
  data: string;
}

export class EventReader {
  /** The id of the last event or heartbeat; empty before the first. */
  lastId = "";
  #rest = "";
  #kind = "";
  #data: string[] = [];

  /** Take a piece of the stream's text. Return the events that it completes. */
  push(text: string): StreamEvent[] {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop()!;
    return lines.flatMap((line) => this.#line(line.replace(/\r$/, "")) ?? []);
  }

  #line(line: string): StreamEvent | undefined {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return undefined;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "id") this.lastId = value;
    else if (name === "event") this.#kind = value;
    else if (name === "data") this.#data.push(value);
    return undefined;
  }

  #dispatch(): StreamEvent | undefined {
    const event = { kind: this.#kind || "message", data: this.#data.join("\n") };
    const isEvent = this.#data.length > 0;
    this.#kind = "";
    this.#data = [];
    return isEvent ? event : undefined;
  }
}
