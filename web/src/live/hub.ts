/** Shares one connection among the tabs of a browser. */

import type { Connection, ConnectionHandlers, ConnectionState } from "./connection";
import { partOf, questionOf, type Changes, type Topic } from "./topic";

/** What a tab says to the hub. `who` names the session, whose events no other session may see. */
export type ToHub =
  | { kind: "follow"; number: number; topic: Topic; who: string }
  | { kind: "leave"; number: number }
  | { kind: "retry" }
  | { kind: "here" }
  | { kind: "bye" };

/** What the hub says to a tab. */
export type FromHub =
  | { kind: "state"; state: ConnectionState }
  | { kind: "position"; position: string }
  | { kind: "reread"; number: number }
  | { kind: "changes"; number: number; changes: Changes };

/** A tab, as far as the hub knows it. */
export interface Tab {
  tell(message: FromHub): void;
}

interface Followed {
  topic: Topic;
  /** Whether its tab has read its data, or was asked to, since the stream covers the topic. */
  isFresh: boolean;
}

interface Known {
  topics: Map<number, Followed>;
  who: string;
  heardAt: number;
}

/** A tab that was closed without a message is dropped after a while. Hidden tabs wake rarely. */
const SILENCE_MS = 180_000;

export class Hub implements ConnectionHandlers {
  readonly #connection: Connection;
  readonly #tabs = new Map<Tab, Known>();
  #who = "";
  #position = "";

  constructor(connect: (handlers: ConnectionHandlers) => Connection) {
    this.#connection = connect(this);
  }

  /** Take a message of a tab, at a time in milliseconds. */
  hear(tab: Tab, message: ToHub, now: number): void {
    if (message.kind === "bye") {
      this.#tabs.delete(tab);
      return;
    }
    const known = this.#know(tab, now);
    if (message.kind === "follow") {
      known.who = message.who;
      known.topics.set(message.number, { topic: message.topic, isFresh: false });
      this.#signedIn(message.who);
    } else if (message.kind === "leave") {
      known.topics.delete(message.number);
    } else if (message.kind === "retry") {
      this.#connection.retryNow();
    }
  }

  /** Ask for what the tabs want now, at a time in milliseconds. */
  settle(now: number): void {
    for (const [tab, { heardAt }] of this.#tabs) {
      if (now - heardAt > SILENCE_MS) this.#tabs.delete(tab);
    }
    this.#connection.ask(questionOf(this.#following().map(([, , { topic }]) => topic)));
    // A topic that the open stream covers already needs no other stream.
    if (this.#connection.isReady) this.#refresh();
  }

  state(state: ConnectionState): void {
    for (const tab of this.#tabs.keys()) tab.tell({ kind: "state", state });
  }

  ready(lost: boolean): void {
    if (lost) for (const [, , followed] of this.#following()) followed.isFresh = false;
    this.#refresh();
  }

  refused(): void {
    for (const [tab, number] of this.#following()) tab.tell({ kind: "reread", number });
  }

  position(position: string): void {
    this.#position = position;
    for (const tab of this.#tabs.keys()) tab.tell({ kind: "position", position });
  }

  changes(changes: Changes): void {
    for (const [tab, number, { topic }] of this.#following()) {
      const part = partOf(changes, topic);
      if (part) tab.tell({ kind: "changes", number, changes: part });
    }
  }

  #know(tab: Tab, now: number): Known {
    let known = this.#tabs.get(tab);
    if (!known) {
      known = { topics: new Map(), who: "", heardAt: now };
      this.#tabs.set(tab, known);
      tab.tell({ kind: "state", state: this.#connection.state });
      if (this.#position) tab.tell({ kind: "position", position: this.#position });
    }
    known.heardAt = now;
    return known;
  }

  /** The cookie is the browser's: all of its tabs belong to the session that began last. */
  #signedIn(who: string): void {
    if (who !== this.#who) this.#connection.ask(null);
    else if (this.#connection.state === "signed-out") this.#connection.retryNow();
    this.#who = who;
  }

  #refresh(): void {
    for (const [tab, number, followed] of this.#following()) {
      if (!followed.isFresh) tab.tell({ kind: "reread", number });
      followed.isFresh = true;
    }
  }

  #following(): [Tab, number, Followed][] {
    return [...this.#tabs]
      .filter(([, { who }]) => who === this.#who)
      .flatMap(([tab, { topics }]) =>
        [...topics].map(([number, followed]): [Tab, number, Followed] => [tab, number, followed]),
      );
  }
}
