import { expect, it } from "vitest";
import { addView, queryToSave, readViews, removeView } from "../src/runs/saved_views";

it("keeps views in the order of their names, one for each", () => {
  const views = addView(addView([], { name: "b ", query: "x=1" }), { name: "a", query: "" });
  const replaced = addView(views, { name: "b", query: "x=2" });
  expect(replaced).toEqual([
    { name: "a", query: "" },
    { name: "b", query: "x=2" },
  ]);
  expect(removeView(replaced, "a")).toEqual([{ name: "b", query: "x=2" }]);
});

it.each([null, "", "{", "3", '[{"name":1}]'])("takes %j for no views", (stored) => {
  expect(readViews(stored)).toEqual([]);
});

it("saves what is chosen, and not what is being looked at", () => {
  expect(queryToSave(new URLSearchParams("status=failed&peek=x&days=1"))).toBe(
    "days=1&status=failed",
  );
});
