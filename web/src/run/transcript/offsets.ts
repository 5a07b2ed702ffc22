/** Where rows of different heights are, while their heights become known one by one. */

export class Offsets {
  readonly count: number;
  readonly #heights: Float64Array;
  /** A Fenwick tree over the heights, so that both questions take logarithmic time. */
  readonly #sums: Float64Array;

  constructor(heights: Float64Array) {
    this.count = heights.length;
    this.#heights = heights.slice();
    this.#sums = new Float64Array(this.count + 1);
    for (let i = 1; i <= this.count; i++) {
      this.#sums[i]! += heights[i - 1]!;
      const above = i + (i & -i);
      if (above <= this.count) this.#sums[above]! += this.#sums[i]!;
    }
  }

  height(row: number): number {
    return this.#heights[row]!;
  }

  /** Set a row's height. Returns by how much it grew. */
  set(row: number, height: number): number {
    const grown = height - this.#heights[row]!;
    if (grown === 0) return 0;
    this.#heights[row] = height;
    for (let i = row + 1; i <= this.count; i += i & -i) this.#sums[i]! += grown;
    return grown;
  }

  /** Return where a row begins; `count` for where all of them end. */
  top(row: number): number {
    let sum = 0;
    for (let i = row; i > 0; i -= i & -i) sum += this.#sums[i]!;
    return sum;
  }

  /** Return the row at a place; the last one beyond the end. */
  at(place: number): number {
    let row = 0;
    let left = place;
    for (let step = 2 ** Math.floor(Math.log2(Math.max(this.count, 1))); step >= 1; step /= 2) {
      const next = row + step;
      if (next <= this.count && this.#sums[next]! <= left) {
        row = next;
        left -= this.#sums[next]!;
      }
    }
    return Math.min(row, Math.max(this.count - 1, 0));
  }
}

/** Heights of rows by the ids of what they show, which outlive rows and their places. */
export class RowHeights {
  readonly #known = new Map<string, number>();

  get(id: string): number | undefined {
    return this.#known.get(id);
  }

  set(id: string, height: number): void {
    this.#known.set(id, height);
  }

  forget(id: string): void {
    this.#known.delete(id);
  }
}
