/** Comma-separated values. */

import { expect, it } from "vitest";
import { csvOf } from "../src/parts/csv";

it("has a column for each field of any row, and for fields within fields", () => {
  const rows = [
    { id: "a", counts: { total: 3, failed: 0 }, none: null },
    { id: "b", tags: ["x", "y"], live: true },
  ];
  expect(csvOf(rows)).toBe(
    'id,counts.total,counts.failed,none,tags,live\r\na,3,0,,,\r\nb,,,,"[""x"",""y""]",true\r\n',
  );
});

it("keeps quotes, commas and lines within a cell", () => {
  expect(csvOf([{ text: 'say "hi",\nplease' }])).toBe('text\r\n"say ""hi"",\nplease"\r\n');
});

it.each(["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])("never lets %j be a formula", (text) => {
  expect(csvOf([{ text }])).toBe(`text\r\n'${text}\r\n`);
});

it("keeps negative numbers", () => {
  expect(csvOf([{ change: -1.5 }])).toBe("change\r\n-1.5\r\n");
});

it("is empty without rows", () => {
  expect(csvOf([])).toBe("\r\n");
});
