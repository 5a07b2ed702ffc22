/** JSON as lines, and lines as rows of a fixed number of characters. */

export interface Mark {
  /** The place of a value, as a JSON pointer. */
  pointer: string;
  message: string;
}

export interface Row {
  text: string;
  /** Whether it continues the line of the row before. */
  continued: boolean;
  /** How many characters of the line are not shown. */
  hidden: number;
  /** The note on the value that begins here; usually empty. */
  note: string;
}

// A browser takes seconds to draw a line of megabytes.
const MOST_SHOWN = 2_000;

export class JsonLayout {
  readonly lines: readonly string[];
  readonly characters: number;
  readonly #notes = new Map<number, string>();
  #columns = 0;
  /** Where the rows of each line begin, for one number of columns. */
  #starts: Float64Array | null = null;

  constructor(value: unknown, marks: readonly Mark[] = []) {
    const text = JSON.stringify(value, null, 2);
    this.lines = text.split("\n");
    this.characters = text.length;
    for (const { pointer, message } of marks) {
      const line = lineOf(value, pointer);
      if (line !== null) this.#notes.set(line, message);
    }
  }

  text(): string {
    return this.lines.join("\n");
  }

  /** Return the number of rows when lines are wrapped at a number of columns; 0 wraps none. */
  rows(columns: number): number {
    return columns === 0 ? this.lines.length : this.#wrapped(columns)[this.lines.length]!;
  }

  /** Return some of the rows. */
  read(columns: number, from: number, to: number): Row[] {
    const rows: Row[] = [];
    const last = Math.min(to, this.rows(columns));
    for (let row = Math.max(0, from); row < last; row++) rows.push(this.#row(columns, row));
    return rows;
  }

  /** Return the rows with notes. */
  noted(columns: number): number[] {
    const lines = [...this.#notes.keys()].sort((a, b) => a - b);
    return columns === 0 ? lines : lines.map((line) => this.#wrapped(columns)[line]!);
  }

  #row(columns: number, row: number): Row {
    if (columns === 0) {
      const line = this.lines[row]!;
      const hidden = Math.max(0, line.length - MOST_SHOWN);
      const text = hidden > 0 ? line.slice(0, MOST_SHOWN) : line;
      return { text, continued: false, hidden, note: this.#notes.get(row) ?? "" };
    }
    const starts = this.#wrapped(columns);
    const line = lastAtMost(starts, row);
    const piece = row - starts[line]!;
    const text = this.lines[line]!.slice(piece * columns, (piece + 1) * columns);
    const note = piece === 0 ? (this.#notes.get(line) ?? "") : "";
    return { text, continued: piece > 0, hidden: 0, note };
  }

  #wrapped(columns: number): Float64Array {
    if (this.#starts && this.#columns === columns) return this.#starts;
    const starts = new Float64Array(this.lines.length + 1);
    this.lines.forEach((line, i) => {
      starts[i + 1] = starts[i]! + Math.max(1, Math.ceil(line.length / columns));
    });
    this.#columns = columns;
    return (this.#starts = starts);
  }
}

function lastAtMost(starts: Float64Array, row: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle]! <= row) low = middle;
    else high = middle;
  }
  return low;
}

/** Return the line on which a value begins, or null if there is no such place. */
export function lineOf(value: unknown, pointer: string): number | null {
  const steps = pointer === "" ? [] : pointer.slice(1).split("/");
  let place: unknown = value;
  let line = 0;
  for (const step of steps) {
    const name = step.replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof place !== "object" || place === null || !Object.hasOwn(place, name)) return null;
    line++;
    for (const [key, inner] of Object.entries(place)) {
      if (key === name) break;
      line += linesOf(inner);
    }
    place = (place as Readonly<Record<string, unknown>>)[name];
  }
  return line;
}

function linesOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 1;
  const inner = Object.values(value);
  return inner.length === 0 ? 1 : inner.reduce<number>((sum, one) => sum + linesOf(one), 2);
}

/** Read the message of a validation: where it is, and what. The server may have cut the place. */
export function markOf(message: string): Mark {
  const found = /^("\/(?:[^"\\]|\\.)*"): (.*)$/s.exec(message);
  if (!found) return { pointer: "", message };
  return { pointer: JSON.parse(found[1]!) as string, message: found[2]! };
}
