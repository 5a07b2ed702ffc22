import { expect, it } from "vitest";
import { chosenFilters, otherFilters, queryOf } from "../src/runs/filters";

const now = Date.parse("2026-11-29T12:00:00Z");

it("asks for everything that is chosen, and for nothing else", () => {
  const chosen = chosenFilters(new URLSearchParams("status=failed&days=7&span=x"));
  expect(queryOf(chosen, now)).toEqual({
    status: "failed",
    started_after: "2026-11-22T12:00:00.000Z",
  });
});

it.each(["", "0", "-3", "soon"])("takes %j for any time", (days) => {
  const chosen = chosenFilters(new URLSearchParams({ days }));
  expect(queryOf(chosen, now)).toEqual({});
});

it("says in words what other pages lead here with, and asks for it", () => {
  const from = "2026-11-29T12:00:00.000Z";
  const to = "2026-11-29T13:00:00.000Z";
  const params = { finished_after: from, finished_before: to, has_failed_spans: "true" };
  const chosen = chosenFilters(new URLSearchParams(params));
  expect(queryOf(chosen, now)).toEqual(params);
  const said = otherFilters(chosen, (at) => new Date(at).toISOString().slice(11, 16));
  expect(said.map(({ text }) => text)).toEqual([
    "ended from 12:00 and before 13:00",
    "with failed spans",
  ]);
  expect(said[0]!.names).toEqual(["finished_after", "finished_before"]);
});
