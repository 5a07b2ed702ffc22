import { expect, it } from "vitest";
import { formatRoute, parseRoute } from "../src/routes";

it("reads what it wrote, whatever the id", () => {
  for (const id of ["run-1", "a/b?c#d", "50%", "日本"]) {
    const route = parseRoute(formatRoute("run", id, { span: "s 1", q: "" }));
    expect([route.page, route.id, [...route.params]]).toEqual(["run", id, [["span", "s 1"]]]);
  }
});

it.each(["", "#", "#/", "#/nothing/here", "#/run", "#/run/"])("shows the runs for %s", (hash) => {
  expect(parseRoute(hash).page).toBe("runs");
});

it("takes an id that is not encoded as it is", () => {
  expect(parseRoute("#/run/50%").id).toBe("50%");
});

it("has two ids in the address of a comparison", () => {
  const route = parseRoute(formatRoute("compare", ["a/b", "c d"], { only: "1" }));
  expect([route.page, route.id, route.other]).toEqual(["compare", "a/b", "c d"]);
  expect(parseRoute("#/compare/one").page).toBe("runs");
});
