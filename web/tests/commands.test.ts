import { expect, it } from "vitest";
import { matching, type Command } from "../src/shell/commands";

const commands: Command[] = [
  ["Page", "Runs"],
  ["Agent", "Old runs sweeper"],
  ["Action", "Sign out"],
].map(([group, label]) => ({ group: group!, label: label!, run: () => undefined }));

it("finds commands that contain every word, and ranks those that begin with them first", () => {
  const labels = (typed: string): string[] => matching(commands, typed).map(({ label }) => label);
  expect(labels("")).toHaveLength(3);
  expect(labels("runs")).toEqual(["Runs", "Old runs sweeper"]);
  expect(labels("old")).toEqual(["Old runs sweeper"]);
  expect(labels("action out")).toEqual(["Sign out"]);
  expect(labels("zzz")).toEqual([]);
});
