import { describe, expect, it } from "vitest";
import { JsonLayout, lineOf, markOf } from "../../src/parts/json/layout";
import { tokensOf } from "../../src/parts/json/tokens";

const VALUE = { a: { list: [1, { deep: true }], empty: {} }, "x/y~z": null, last: "text" };

describe("lineOf", () => {
  it("finds the line where a value begins", () => {
    const lines = JSON.stringify(VALUE, null, 2).split("\n");
    for (const [pointer, start] of [
      ["", "{"],
      ["/a", '"a": {'],
      ["/a/list", '"list": ['],
      ["/a/list/1", "{"],
      ["/a/list/1/deep", '"deep": true'],
      ["/a/empty", '"empty": {}'],
      ["/x~1y~0z", '"x/y~z": null,'],
      ["/last", '"last": "text"'],
    ] as const) {
      expect(lines[lineOf(VALUE, pointer)!]!.trim().startsWith(start)).toBe(true);
    }
    expect(lineOf(VALUE, "/a/no")).toBeNull();
    expect(lineOf(VALUE, "/toString")).toBeNull();
  });
});

describe("markOf", () => {
  it("reads the place of an error from a validation message", () => {
    expect(markOf('"/a/b": 7 is not a text')).toEqual({
      pointer: "/a/b",
      message: "7 is not a text",
    });
    expect(markOf('"/q\\"r": no')).toEqual({ pointer: '/q"r', message: "no" });
    expect(markOf("something is missing")).toEqual({
      pointer: "",
      message: "something is missing",
    });
  });
});

describe("JsonLayout", () => {
  it("wraps lines at a number of columns, and marks continued rows", () => {
    const layout = new JsonLayout({ text: "x".repeat(25), n: 1 });
    expect(layout.rows(0)).toBe(4);
    expect(layout.rows(20)).toBe(5);
    const rows = layout.read(20, 1, 4);
    expect(rows.map(({ text }) => text)).toEqual([
      `  "text": "${"x".repeat(9)}`,
      `${"x".repeat(16)}",`,
      '  "n": 1',
    ]);
    expect(rows.map(({ continued }) => continued)).toEqual([false, true, false]);
    expect(layout.rows(10)).toBe(7);
    expect(layout.read(20, 0, 99)).toHaveLength(5);
  });

  it("shows the beginning of a very long line, and copies all of it", () => {
    const layout = new JsonLayout(["y".repeat(1_000_000)]);
    const [row] = layout.read(0, 1, 2);
    expect(row!.text).toHaveLength(2_000);
    expect(row!.hidden).toBe(1_000_004 - 2_000);
    expect(layout.text()).toHaveLength(layout.characters);
    expect(layout.read(100, 5_000, 5_001)[0]!.text).toBe("y".repeat(100));
  });

  it("shows an error at its value", () => {
    const layout = new JsonLayout(VALUE, [{ pointer: "/last", message: "not a number" }]);
    const [row] = layout.noted(0);
    expect(layout.read(0, row!, row! + 1)[0]).toMatchObject({
      text: '  "last": "text"',
      note: "not a number",
    });
    const wrapped = layout.noted(5)[0]!;
    expect(layout.read(5, wrapped, wrapped + 1)[0]!.note).toBe("not a number");
  });
});

describe("tokensOf", () => {
  it("distinguishes keys, strings, numbers and literals", () => {
    const kinds = (text: string, continued = false) =>
      tokensOf(text, continued).map(({ kind, text: part }) => `${kind} ${part}`);
    expect(kinds('  "a": "b: c",')).toEqual(["mark   ", 'key "a"', "mark : ", 'string "b: c",']);
    expect(kinds("  -12.5,")).toEqual(["number   -12.5,"]);
    expect(kinds('"k\\"": null')).toEqual(['key "k\\""', "mark : ", "word null"]);
    expect(kinds('"alone"')).toEqual(['string "alone"']);
    expect(kinds("},")).toEqual(["mark },"]);
    expect(kinds("more of it", true)).toEqual(["string more of it"]);
  });
});
