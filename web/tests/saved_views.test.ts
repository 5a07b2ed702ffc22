import { expect, it } from "vitest";
import { addView, queryToSave, readViews, removeView } from "../src/runs/saved_views";

it("keeps views sorted by name, one for each name", () => {
  const views = addView(addView([], { name: "b ", query: "x=1" }), { name: "a", query: "" });
  const replaced = addView(views, { name: "b", query: "x=2" });
  expect(replaced).toEqual([
    { name: "a", query: "" },
    { name: "b", query: "x=2" },
  ]);
  expect(removeView(replaced, "a")).toEqual([{ name: "b", query: "x=2" }]);
});

it.each([null, "", "{", "3", '[{"name":1}]'])("reads %j as no views", (stored) => {
  expect(readViews(stored)).toEqual([]);
});

it("saves the chosen filters, and not the selected run", () => {
  expect(queryToSave(new URLSearchParams("status=failed&peek=x&days=1"))).toBe(
    "days=1&status=failed",
  );
});
