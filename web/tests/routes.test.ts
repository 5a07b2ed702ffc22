import { expect, it } from "vitest";
import { formatRoute, parseRoute } from "../src/routes";

it("reads back the address that it wrote, for any id", () => {
  for (const id of ["run-1", "a/b?c#d", "50%", "日本"]) {
    const route = parseRoute(formatRoute("run", id, { span: "s 1", q: "" }));
    expect([route.page, route.id, [...route.params]]).toEqual(["run", id, [["span", "s 1"]]]);
  }
});

it.each(["", "#", "#/", "#/nothing/here", "#/run", "#/run/"])("shows the runs for %s", (hash) => {
  expect(parseRoute(hash).page).toBe("runs");
});

it("accepts an unencoded id", () => {
  expect(parseRoute("#/run/50%").id).toBe("50%");
});

it("puts two ids in the address of a comparison", () => {
  const route = parseRoute(formatRoute("compare", ["a/b", "c d"], { only: "1" }));
  expect([route.page, route.id, route.other]).toEqual(["compare", "a/b", "c d"]);
  expect(parseRoute("#/compare/one").page).toBe("runs");
});
