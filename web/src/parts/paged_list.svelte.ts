/** A list of the API that is read page by page, as reactive state. */

import { explain } from "../api";
import type { components } from "../openapi";
import { noteSignedOut } from "../session.svelte";

export interface ListAnswer<Row> {
  summaries: readonly Row[];
  pagination: components["schemas"]["PaginationView"];
}

export class PagedList<Row> {
  rows = $state.raw<readonly Row[]>([]);
  /** How many rows there are; null until the first page has come. */
  total = $state<number | null>(null);
  /** Whether `total` is exact, or the server stopped counting there. */
  isExact = $state(true);
  hasMore = $state(false);
  isReading = $state(false);
  failure = $state("");

  readonly #read: (after?: string) => Promise<ListAnswer<Row>>;
  #after: string | null = null;
  #turn = 0;

  /** `read` asks for the page after a cursor, or for the first one. */
  constructor(read: (after?: string) => Promise<ListAnswer<Row>>) {
    this.#read = read;
    void this.reload();
  }

  /** Read the first page again. */
  async reload(): Promise<void> {
    await this.#page(undefined);
  }

  /** Append the next page. */
  async more(): Promise<void> {
    if (this.#after !== null && !this.isReading) await this.#page(this.#after);
  }

  async #page(after: string | undefined): Promise<void> {
    const turn = ++this.#turn;
    this.isReading = true;
    try {
      const { summaries, pagination } = await this.#read(after);
      if (turn !== this.#turn) return;
      this.rows = after === undefined ? summaries : [...this.rows, ...summaries];
      this.total = pagination.item_count;
      this.isExact = pagination.item_count_is_exact;
      this.#after = pagination.next_after;
      this.hasMore = this.#after !== null;
      this.failure = "";
    } catch (error) {
      if (turn !== this.#turn) return;
      noteSignedOut(error);
      this.failure = explain(error);
    } finally {
      if (turn === this.#turn) this.isReading = false;
    }
  }
}
