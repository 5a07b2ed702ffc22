import { afterEach, expect, it, vi } from "vitest";
import type { Run } from "../src/runs/list";

const PAGE = 100;

// The files of tests share their globals.
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

function run(number: number): Partial<Run> {
  const second = String(number).padStart(4, "0");
  return { id: `run-${second}`, status: "complete", inserted_at: `2026-01-01T00:00:00.${second}Z` };
}

/** Runs from one number to another, newest first, as one page of the API. */
function page(from: number, to: number, next: string | null): Response {
  const summaries = [];
  for (let number = from; number >= to; number--) summaries.push(run(number));
  return Response.json({
    summaries,
    pagination: { next_after: next, item_count: 1000, item_count_is_exact: true },
  });
}

it("begins the list again while an older page is on its way, and leaves no run out", async () => {
  const asked: { url: string; answer: (response: Response) => void }[] = [];
  vi.stubGlobal("document", { baseURI: "https://example.org/" });
  vi.stubGlobal("localStorage", { getItem: () => null, setItem: () => undefined });
  vi.stubGlobal(
    "Request",
    class {
      headers = new Headers();
      method = "GET";
      constructor(readonly url: string) {}
    },
  );
  vi.stubGlobal("fetch", ({ url }: Request) => {
    return new Promise<Response>((answer) => asked.push({ url, answer }));
  });
  vi.useFakeTimers();
  const { RunWatcher } = await import("../src/runs/watcher.svelte");
  const answer = async (response: Response): Promise<void> => {
    asked.shift()!.answer(response);
    await vi.advanceTimersByTimeAsync(0);
  };
  const watcher = new RunWatcher({}, () => undefined);
  await answer(page(300, 201, "old"));

  const older = watcher.more();
  const slow = asked.shift()!;
  watcher.reread();
  await vi.advanceTimersByTimeAsync(3_000);
  await answer(page(700, 601, "new"));
  expect(watcher.hasMoreNew).toBe(true);
  watcher.reveal();
  slow.answer(page(200, 101, "older"));
  await older;

  expect(watcher.list.shown.map((run) => run.id)).toHaveLength(PAGE);
  void watcher.more();
  expect(asked.at(-1)!.url).toContain("new");
  watcher.stop();
});
