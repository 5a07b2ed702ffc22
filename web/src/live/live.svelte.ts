/** Following what changes, as pages do it. */

import { notePosition } from "../position";
import { lookUpSession, who } from "../session.svelte";
import { liveWorkerUrl } from "../parts/worker/trusted_worker";
import type { ConnectionState } from "./connection";
import type { FromHub, ToHub } from "./hub";
import type { Changes, Topic } from "./topic";

/** `polling` is a browser without shared workers, in which pages read again now and then. */
export type LiveState = ConnectionState | "polling";

export interface Follower {
  /** What is shown may be out of date: read it again. */
  reread(): void;
  changes?(changes: Changes): void;
}

const POLL_MS = 4_000;
const HERE_MS = 30_000;

let current = $state<LiveState>("idle");
// Nothing that is shown depends on it.
// eslint-disable-next-line svelte/prefer-svelte-reactivity
const followers = new Map<number, { topic: Topic; follower: Follower }>();
let lastNumber = 0;
let port: MessagePort | null = null;

/** Return the state of the connection. */
export function liveState(): LiveState {
  return current;
}

/**
 * Follow a topic. `reread` is called as soon as the stream reports all further changes, and again
 * whenever changes may have been missed. Returns a function that ends it.
 */
export function follow(topic: Topic, follower: Follower): () => void {
  const number = ++lastNumber;
  followers.set(number, { topic, follower });
  if (!("SharedWorker" in globalThis)) return poll(number);
  connect();
  tell(followMessage(number, topic));
  return () => {
    followers.delete(number);
    tell({ kind: "leave", number });
  };
}

/** Follow what is followed once more: with another session, or after the page was away. */
export function followAgain(): void {
  for (const [number, { topic }] of followers) tell(followMessage(number, topic));
}

function poll(number: number): () => void {
  current = "polling";
  const again = (): void => followers.get(number)?.follower.reread();
  const timer = setInterval(again, POLL_MS);
  setTimeout(again);
  return () => {
    followers.delete(number);
    clearInterval(timer);
  };
}

function connect(): void {
  if (port) return;
  const worker = new SharedWorker(liveWorkerUrl(), { type: "module" });
  port = worker.port;
  port.onmessage = ({ data }: MessageEvent<FromHub>) => {
    hear(data);
  };
  setInterval(() => {
    tell({ kind: "here" });
  }, HERE_MS);
  addEventListener("pagehide", () => {
    tell({ kind: "bye" });
  });
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted) followAgain();
  });
  for (const awake of ["online", "visibilitychange"]) {
    (awake === "online" ? globalThis : document).addEventListener(awake, () => {
      if (!document.hidden) tell({ kind: "retry" });
    });
  }
}

function followMessage(number: number, topic: Topic): ToHub {
  const session = who();
  return {
    kind: "follow",
    number,
    // A component's value may be reactive, which cannot be sent to a worker.
    topic: { ...topic },
    who: `${session?.account_id ?? ""} ${session?.id ?? ""}`,
  };
}

function tell(message: ToHub): void {
  port?.postMessage(message);
}

function hear(message: FromHub): void {
  if (message.kind === "state") {
    current = message.state;
    // It says itself whether the session is over.
    if (message.state === "signed-out") void lookUpSession().catch(() => undefined);
    return;
  }
  if (message.kind === "position") {
    notePosition(message.position);
    return;
  }
  const follower = followers.get(message.number)?.follower;
  if (message.kind === "reread") follower?.reread();
  else follower?.changes?.(message.changes);
}
