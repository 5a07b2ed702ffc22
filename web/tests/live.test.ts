import { expect, it, vi } from "vitest";
import { Connection, retryDelay, type ConnectionTools } from "../src/live/connection";
import { Hub, type FromHub, type Tab } from "../src/live/hub";
import { EventReader } from "../src/live/sse";
import { partOf, questionOf, type Changes } from "../src/live/topic";

const CHANGES = {
  runs: [{ id: "a" }, { id: "b" }],
  spans: [{ id: "s", agent_instance_id: "a" }],
  deleted_runs: ["c"],
} as unknown as Changes;

it("reads events however their text is split, and the ids of heartbeats", () => {
  const text = 'retry: 5\r\n: note\nid: 7\nevent: changes\ndata: {"a":\ndata: 1}\n\nid: 9\n\n';
  for (const size of [1, 3, 1000]) {
    const reader = new EventReader();
    const events = [...Array(Math.ceil(text.length / size)).keys()].flatMap((n) =>
      reader.push(text.slice(n * size, (n + 1) * size)),
    );
    expect(events).toEqual([{ kind: "changes", data: '{"a":\n1}' }]);
    expect(reader.lastId).toBe("9");
  }
});

it("makes one request for all topics", () => {
  expect(questionOf([])).toBeNull();
  expect(questionOf([{ kind: "runs" }])).toBe("include_spans=false");
  const runs = [
    { kind: "run", id: "b&" },
    { kind: "run", id: "a" },
    { kind: "run", id: "a" },
  ] as const;
  expect(questionOf(runs)).toBe("agent_instance_ids=a,b%26");
  expect(questionOf([...runs, { kind: "runs" }])).toBe("include_spans_of=a,b%26");
  const many = [...Array(51).keys()].map((n) => ({ kind: "run", id: `${n}` }) as const);
  expect(questionOf(many)).toBe("include_spans=true");
});

it("gives each topic its own changes", () => {
  expect(partOf(CHANGES, { kind: "runs" })).toEqual({ ...CHANGES, spans: [] });
  expect(partOf(CHANGES, { kind: "run", id: "a" })).toEqual({
    runs: [{ id: "a" }],
    spans: CHANGES.spans,
    deleted_runs: [],
  });
  expect(partOf(CHANGES, { kind: "run", id: "z" })).toBeNull();
});

it("waits longer after each failure, up to a limit, and at random", () => {
  expect([0, 1, 2].map((n) => retryDelay(n, 1))).toEqual([500, 1000, 2000]);
  expect(retryDelay(50, 1)).toBe(30_000);
  expect(retryDelay(50, 0)).toBe(15_000);
});

/** A server to which the test gives the answers one by one. */
class Answers {
  asked: { question: string; after: string | null }[] = [];
  #next: ((answer: Response | Error) => void)[] = [];
  timers: (() => void)[] = [];

  readonly tools: ConnectionTools = {
    fetch: (address, { headers, signal }) =>
      new Promise((resolve, reject) => {
        const after = new Headers(headers).get("Last-Event-ID");
        this.asked.push({ question: address.split("?")[1]!, after });
        this.#next.push((answer) => {
          if (answer instanceof Error) reject(answer);
          else resolve(answer);
        });
        signal?.addEventListener("abort", () => {
          reject(new Error("aborted"));
        });
      }),
    setTimeout: (call, milliseconds) => (milliseconds > 35_000 ? 0 : this.timers.push(call)),
    clearTimeout: () => undefined,
    random: () => 1,
  };

  async give(answer: Response | Error): Promise<void> {
    this.#next.shift()!(answer);
    await settled();
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  await new Promise((resolve) => setTimeout(resolve));
}

function stream(): { reply: Response; send: (text: string) => Promise<void>; end: () => void } {
  let control: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      control = controller;
    },
  });
  return {
    reply: new Response(body),
    send: async (text) => {
      control.enqueue(new TextEncoder().encode(text));
      await settled();
    },
    end: () => {
      control.close();
    },
  };
}

function handlers() {
  return {
    state: vi.fn(),
    ready: vi.fn(),
    refused: vi.fn(),
    position: vi.fn(),
    changes: vi.fn(),
  };
}

it("resumes after the last event when the server ends a stream", async () => {
  const server = new Answers();
  const said = handlers();
  new Connection("/events", said, server.tools).ask("include_spans=false");
  const first = stream();
  await server.give(first.reply);
  await first.send("id: 5\nevent: ready\ndata: {}\n\n");
  expect(said.ready.mock.calls).toEqual([[true]]);
  await first.send('id: 6\nevent: changes\ndata: {"runs":[]}\n\n');
  expect(said.changes).toHaveBeenCalledOnce();
  expect(said.position.mock.calls).toEqual([["5"], ["6"]]);
  const [told] = said.position.mock.invocationCallOrder.slice(-1);
  expect(told).toBeLessThan(said.changes.mock.invocationCallOrder[0]!);
  first.end();
  await settled();
  const second = stream();
  await server.give(second.reply);
  await second.send("id: 6\nevent: ready\ndata: {}\n\n");
  expect(server.asked.map(({ after }) => after)).toEqual([null, "6"]);
  expect(said.ready.mock.calls).toEqual([[true], [false]]);
  // It was never lost, so no loss is reported.
  expect(said.state.mock.calls.map(([state]: string[]) => state)).toEqual(["connecting", "live"]);
});

it("reports a lost connection, retries, and rereads when the server cannot resume", async () => {
  const server = new Answers();
  const said = handlers();
  new Connection("/events", said, server.tools).ask("include_spans=false");
  await server.give(new Error("refused"));
  expect(said.state).toHaveBeenLastCalledWith("lost");
  server.timers.pop()!();
  const next = stream();
  await server.give(next.reply);
  await next.send('id: 9\nevent: reload\ndata: {"reason":"too_far_behind"}\n\n');
  expect(said.state).toHaveBeenLastCalledWith("live");
  expect(said.ready).toHaveBeenLastCalledWith(true);
});

it("stops when the session ends, and rereads when a stream is refused", async () => {
  const server = new Answers();
  const said = handlers();
  const connection = new Connection("/events", said, server.tools);
  connection.ask("include_spans=false");
  await server.give(new Response("", { status: 429 }));
  expect(said.state).toHaveBeenLastCalledWith("refused");
  expect(said.refused).toHaveBeenCalledOnce();
  server.timers.pop()!();
  await server.give(new Error("stopped"));
  expect(said.state).toHaveBeenLastCalledWith("lost");
  server.timers.pop()!();
  await server.give(new Response("", { status: 401 }));
  expect(said.state).toHaveBeenLastCalledWith("signed-out");
  expect(server.timers).toEqual([]);
});

function tab(): Tab & { heard: FromHub[] } {
  const heard: FromHub[] = [];
  return { heard, tell: (message) => heard.push(message) };
}

it("shares one stream among tabs, and rereads topics that join it", async () => {
  const server = new Answers();
  const hub = new Hub((told) => new Connection("/events", told, server.tools));
  const [list, run] = [tab(), tab()];
  hub.hear(list, { kind: "follow", number: 1, topic: { kind: "runs" }, who: "me" }, 0);
  hub.settle(0);
  const first = stream();
  await server.give(first.reply);
  await first.send("id: 5\nevent: ready\ndata: {}\n\n");
  hub.hear(run, { kind: "follow", number: 2, topic: { kind: "run", id: "a" }, who: "me" }, 0);
  hub.settle(0);
  expect(run.heard.filter(({ kind }) => kind === "reread")).toEqual([]);
  const second = stream();
  await server.give(new Error("the stream that was given up"));
  await settled();
  await server.give(second.reply).catch(() => undefined);
  expect(server.asked.map(({ question }) => question)).toEqual([
    "include_spans=false",
    "include_spans_of=a",
  ]);
});

it("sends nothing to a tab of another session or to a closed one", async () => {
  const server = new Answers();
  const hub = new Hub((told) => new Connection("/events", told, server.tools));
  const [old, now] = [tab(), tab()];
  hub.hear(old, { kind: "follow", number: 1, topic: { kind: "runs" }, who: "ada" }, 0);
  hub.hear(now, { kind: "follow", number: 1, topic: { kind: "runs" }, who: "bo" }, 0);
  hub.settle(0);
  const first = stream();
  await server.give(first.reply);
  await first.send("id: 5\nevent: ready\ndata: {}\n\n");
  const late = tab();
  hub.hear(late, { kind: "follow", number: 1, topic: { kind: "runs" }, who: "bo" }, 0);
  expect(late.heard).toContainEqual({ kind: "position", position: "5" });
  hub.changes(CHANGES);
  expect(old.heard.some(({ kind }) => kind === "changes")).toBe(false);
  expect(now.heard.map(({ kind }) => kind)).toContain("changes");
  hub.settle(200_000);
  hub.changes(CHANGES);
  expect(now.heard.filter(({ kind }) => kind === "changes")).toHaveLength(1);
});
