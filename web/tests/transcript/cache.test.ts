import { describe, expect, it } from "vitest";
import { ReadCache, type Wanted } from "../../src/run/transcript/cache";
import { readSpans } from "../../src/run/transcript/read";

const want = (id: string, status = "complete"): Wanted => ({ id, status });

function answer(ids: readonly string[]): ArrayBuffer {
  const summaries = ids.map((id) => ({
    id,
    status: "complete",
    schema_name: "a:llm",
    payload: { prompt: "x".repeat(1_000) },
    result_payload: null,
  }));
  return new TextEncoder().encode(JSON.stringify({ summaries })).buffer;
}

describe("ReadCache", () => {
  it("rereads a span whose status has changed, and not a deleted one", () => {
    const cache = new ReadCache(10_000);
    const order = [want("a", "active"), want("gone")];
    cache.put(readSpans(answer(["a"])), order, order);
    expect(cache.missing(order)).toEqual([]);
    expect(cache.missing([want("a")])).toEqual([want("a")]);
    expect(cache.get("gone")?.call.input).toEqual([]);
  });

  it("evicts the oldest entries over its limit, and none in use", () => {
    const cache = new ReadCache(5_000);
    for (const id of ["a", "b", "c", "d"]) {
      cache.put(readSpans(answer([id])), [want(id)], [want("a")]);
    }
    expect(["a", "b", "c", "d"].map((id) => cache.get(id) !== undefined)).toEqual([
      true,
      false,
      false,
      true,
    ]);
  });
});
