import { expect, it } from "vitest";
import { chosenFilters, queryOf } from "../src/runs/filters";

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
