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
