import { afterEach, beforeEach, expect, it, vi } from "vitest";

let stored: Map<string, string>;

beforeEach(() => {
  stored = new Map();
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => stored.set(key, value),
    removeItem: (key: string) => stored.delete(key),
  });
});

afterEach(() => {
  vi.unstubAllGlobals();
});

/** A tab that has just been opened. */
async function newTab(): Promise<typeof import("../src/position")> {
  vi.resetModules();
  return import("../src/position");
}

function sent(tab: typeof import("../src/position"), method = "GET"): string | null {
  const request = new Request("https://example.org/", { method });
  tab.sendPosition(request);
  return request.headers.get("X-Prefactor-Position");
}

it("sends the highest position with reads, in every tab", async () => {
  const tab = await newTab();
  expect(sent(tab)).toBeNull();
  tab.noteAnswer(new Response("", { headers: { "X-Prefactor-Position": "90" } }));
  tab.notePosition("120");
  tab.noteAnswer(new Response("", { headers: { "X-Prefactor-Position": "100" } }));
  tab.noteAnswer(new Response(""));
  tab.notePosition("soon");
  expect(sent(tab)).toBe("120");
  expect(sent(tab, "POST")).toBeNull();
  const other = await newTab();
  expect(sent(other)).toBe("120");
  tab.notePosition("9007199254740993");
  expect(sent(other)).toBe("9007199254740993");
});

it("forgets the position at sign-in", async () => {
  const tab = await newTab();
  tab.notePosition("120");
  tab.forgetPosition();
  expect(sent(tab)).toBeNull();
  tab.notePosition("7");
  expect(sent(tab)).toBe("7");
});

it("remembers its own position without storage", async () => {
  vi.stubGlobal("localStorage", undefined);
  const tab = await newTab();
  tab.notePosition("120");
  expect(sent(tab)).toBe("120");
});
