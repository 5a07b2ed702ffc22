/** Where the viewer gets its rows from: here, or a worker when there are very many. */

import { JsonLayout, type Mark, type Row } from "./layout";

export interface JsonSource {
  lines: number;
  characters: number;
  rows(columns: number): Promise<{ count: number; noted: readonly number[] }>;
  read(columns: number, from: number, to: number): Promise<readonly Row[]>;
  text(): Promise<string>;
}

/** A value that is laid out here. */
export function localSource(value: unknown, marks: readonly Mark[] = []): JsonSource {
  return sourceOf(new JsonLayout(value, marks));
}

export function sourceOf(layout: JsonLayout): JsonSource {
  return {
    lines: layout.lines.length,
    characters: layout.characters,
    rows: (columns) =>
      Promise.resolve({ count: layout.rows(columns), noted: layout.noted(columns) }),
    read: (columns, from, to) => Promise.resolve(layout.read(columns, from, to)),
    text: () => Promise.resolve(layout.text()),
  };
}
