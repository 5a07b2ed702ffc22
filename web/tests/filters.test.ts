import { expect, it } from "vitest";
import {
  chipsOf,
  chosenFilters,
  chosenStart,
  isNumber,
  localTime,
  metadataFilter,
  momentOf,
  queryOf,
  startedWithin,
  toggleAgent,
} from "../src/runs/filters";

const now = Date.parse("2026-11-29T12:00:00Z");

it("requests exactly the chosen filters", () => {
  const chosen = chosenFilters(new URLSearchParams("status=failed&days=7&span=x"));
  expect(queryOf(chosen, now)).toEqual({
    status: "failed",
    started_after: "2026-11-22T12:00:00.000Z",
  });
});

it.each(["", "0", "-3", "soon"])("reads %j as any time", (days) => {
  const chosen = chosenFilters(new URLSearchParams({ days }));
  expect(queryOf(chosen, now)).toEqual({});
});

it("requests one agent by its id, and several together", () => {
  const query = (text: string): unknown => queryOf(chosenFilters(new URLSearchParams(text)), now);
  expect(query("agent_id=a")).toEqual({ agent_id: "a" });
  expect(query("agent_ids=a,b&agent_id=a")).toEqual({ agent_ids: "a,b" });
  expect(query("metadata[user]=u%3D1")).toEqual({ "metadata[user]": "u=1" });
});

it("removes each chosen filter by itself", () => {
  const params = new URLSearchParams("agent_ids=a,b&status=failed&days=1&metadata[k]=v&min_cost=2");
  const chosen = chosenFilters(params);
  const chips = chipsOf(chosen, (id) => id.toUpperCase());
  expect(chips.map(({ label }) => label)).toEqual([
    "A",
    "B",
    "failed",
    "cost 2 or more",
    "last 24 hours",
    "k = v",
  ]);
  expect(chips[0]!.without).toMatchObject({ agent_ids: "b" });
  expect(chips[5]!.without).toEqual({ "metadata[k]": "" });
});

it("clears the version when agents are chosen", () => {
  const chosen = chosenFilters(new URLSearchParams("agent_id=a&agent_version_id=v"));
  expect(toggleAgent(chosen, "b")).toEqual({
    agent_id: "",
    agent_ids: "a,b",
    agent_version_id: "",
  });
});

it("accepts a key and a text, and numbers in the API's form", () => {
  expect(metadataFilter(" user = u=1 ")).toEqual({ "metadata[user]": "u=1" });
  expect(metadataFilter("user")).toBeNull();
  expect(["", "90", "0.25"].every(isNumber)).toBe(true);
  expect(["x", "-1", "1e3", ".5"].some(isNumber)).toBe(false);
});

it("describes filters that other pages link to, and requests them", () => {
  const params = {
    finished_after: "2026-11-29T12:00:00.000Z",
    finished_before: "2026-11-29T13:00:00.000Z",
    has_failed_spans: "true",
  };
  const chosen = chosenFilters(new URLSearchParams(params));
  expect(queryOf(chosen, now)).toEqual(params);
  const said = chipsOf(chosen, () => "").map(({ label }) => label);
  expect(said[0]).toBe("some spans failed");
  expect(said[1]).toMatch(/^ended from 29|^ended from Nov 29/);
  expect(said[2]).toMatch(/^ended before/);
});

it("chooses today from the last midnight of this time zone", () => {
  const today = startedWithin("today", now);
  const midnight = new Date(today["started_after"]!);
  expect([midnight.getHours(), midnight.getMinutes()]).toEqual([0, 0]);
  expect(now - midnight.getTime()).toBeLessThan(25 * 3_600_000);
  expect(startedWithin("7", now)).toEqual({ days: "7", started_after: "", started_before: "" });
});

it("tells which start is chosen", () => {
  const start = (params: Record<string, string>): string =>
    chosenStart(chosenFilters(new URLSearchParams(params)), now);
  const today = startedWithin("today", now);
  expect(start({})).toBe("");
  expect(start({ days: "7" })).toBe("7");
  expect(start(today)).toBe("today");
  expect(start({ ...today, started_before: "2026-11-29T13:00:00Z" })).toBe("range");
  expect(start({ started_after: "2026-01-01T00:00:00Z" })).toBe("range");
});

it("shows a moment in local time, and reads it back", () => {
  expect(momentOf(localTime("2026-06-01T08:30:00Z"))).toBe("2026-06-01T08:30:00.000Z");
  expect([localTime(""), localTime("soon"), momentOf("")]).toEqual(["", "", ""]);
});
