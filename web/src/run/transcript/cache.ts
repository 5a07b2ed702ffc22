/** The spans that were read, up to a limit of memory. */

import type { Read } from "./read";

export interface Wanted {
  id: string;
  status: string;
}

export class ReadCache {
  readonly #limit: number;
  readonly #read = new Map<string, Read>();
  #characters = 0;

  /** @param limit how many characters are kept, beside what is wanted. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get(id: string): Read | undefined {
    return this.#read.get(id);
  }

  /** Return the wanted spans that are missing, or cached with another status. */
  missing(wanted: readonly Wanted[]): Wanted[] {
    return wanted.filter(({ id, status }) => this.#read.get(id)?.status !== status);
  }

  /**
   * Keep what was read for an order, with the status that the order was for: the skeleton may be
   * behind the spans. What no longer exists has nothing to say. The oldest gives way.
   */
  put(read: readonly Read[], ordered: readonly Wanted[], wanted: readonly Wanted[]): void {
    const found = new Map(read.map((one) => [one.id, one]));
    for (const { id, status } of ordered) {
      const one = { ...(found.get(id) ?? nothing(id)), status };
      this.#characters += one.characters - (this.#read.get(id)?.characters ?? 0);
      this.#read.delete(id);
      this.#read.set(id, one);
    }
    const needed = new Set(wanted.map(({ id }) => id));
    for (const [id, one] of this.#read) {
      if (this.#characters <= this.#limit) break;
      if (needed.has(id)) continue;
      this.#read.delete(id);
      this.#characters -= one.characters;
    }
  }
}

function nothing(id: string): Read {
  const call = { input: [], output: [], failure: null };
  const step = { input: "", output: "", failure: null };
  return { id, status: "", call, step, characters: 0 };
}
