/** The runs that pass some filters, kept up to date for as long as they are watched. */

import type { Changes } from "../live/topic";
import { api, body, explain, isAborted } from "../api";
import type { components, operations } from "../openapi";
import { noteSignedOut } from "../session.svelte";
import {
  append,
  hasGap,
  merge,
  NOTHING,
  patch,
  reveal,
  unseen,
  update,
  type Run,
  type RunList,
} from "./list";

export type Filters = NonNullable<operations["agent_instances.list"]["parameters"]["query"]>;
type Page = operations["agent_instances.list"]["responses"][200]["content"]["application/json"];

type ModelCost = components["schemas"]["ModelCostView"];

const PAGE = 100;
/** The shortest time between two reads of the newest page. */
const REREAD_MS = 2_000;
const SETTLE_MS = 4_000;
const CLOCK_MS = 1_000;
const REREAD = 5;

export class RunWatcher {
  list = $state.raw<RunList>(NOTHING);
  /** How many runs there are; null until the first page has come. */
  total = $state<number | null>(null);
  /** Whether `total` is exact, or the server stopped counting there. */
  isExact = $state(true);
  failure = $state("");
  /** Whether more runs have begun than a page holds; showing them begins the list again. */
  hasMoreNew = $state(false);
  /** How a search went; null without one. */
  search = $state.raw<Page["search"] | null>(null);
  /** The time of the clock, in milliseconds since 1970. */
  now = $state(Date.now());

  readonly #filters: Filters;
  readonly #onruns: (runs: readonly Run[]) => void;
  readonly #abort = new AbortController();
  readonly #clock: ReturnType<typeof setInterval>;
  #due: ReturnType<typeof setTimeout> | undefined;
  #settling: ReturnType<typeof setTimeout> | undefined;
  #beyond: Page | null = null;
  #isReading = false;
  #lastRead = 0;
  #after: string | null = null;
  #loadingMore = false;
  #turn = 0;

  /** Begin to watch. `onruns` is called with every page that arrives. */
  constructor(filters: Filters, onruns: (runs: readonly Run[]) => void) {
    this.#filters = filters;
    this.#onruns = onruns;
    this.#clock = setInterval(() => {
      this.now = Date.now();
    }, CLOCK_MS);
    void this.#look();
  }

  /** Stop, and ignore pending answers. */
  stop(): void {
    this.#abort.abort();
    clearInterval(this.#clock);
    clearTimeout(this.#due);
    clearTimeout(this.#settling);
  }

  /** Read the newest page again, soon. Requests in the meantime share that read. */
  reread(): void {
    if (this.#due !== undefined || this.#abort.signal.aborted) return;
    const pause = Math.max(0, this.#lastRead + REREAD_MS - Date.now());
    this.#due = setTimeout(() => {
      this.#due = undefined;
      if (this.#isReading) this.reread();
      else void this.#look();
    }, pause);
  }

  /** Take what has changed: known runs change where they stand, the server says where others belong. */
  take(changes: Changes): void {
    this.list = patch(this.list, changes);
    if (changes.runs.length === 0) return;
    this.reread();
    // Cost and risk of a run are counted a moment after it has ended.
    this.#settle();
  }

  #settle(): void {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => {
      this.reread();
    }, SETTLE_MS);
  }

  /** Show the runs that have begun meanwhile. */
  reveal(): void {
    if (this.#beyond) {
      this.list = { ...NOTHING, shown: this.#beyond.summaries };
      this.#after = this.#beyond.pagination.next_after;
    } else {
      this.list = reveal(this.list);
    }
    this.#beyond = null;
    this.hasMoreNew = false;
  }

  /** Read the next older page, unless there is no more or it is on its way. */
  async more(): Promise<void> {
    const after = this.#after;
    if (after === null || this.#loadingMore) return;
    this.#loadingMore = true;
    try {
      const page = await this.read(after);
      // The list may have begun again, and this page does not follow its new end.
      if (this.#after !== after) return;
      this.list = append(this.list, page.summaries);
      this.#after = page.pagination.next_after;
      this.#onruns(page.summaries);
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#loadingMore = false;
    }
  }

  async #look(): Promise<void> {
    this.#isReading = true;
    this.#lastRead = Date.now();
    try {
      const page = await this.read();
      const isLast = page.pagination.next_after === null;
      const isFirst = this.total === null;
      this.#beyond = hasGap(this.list, page.summaries, isLast) ? page : null;
      if (isFirst) this.#after = page.pagination.next_after;
      if (!this.#beyond) this.list = merge(this.list, page.summaries, isLast);
      this.hasMoreNew = this.#beyond !== null;
      this.total = page.pagination.item_count;
      this.isExact = page.pagination.item_count_is_exact;
      this.search = page.search ?? null;
      this.#onruns(page.summaries);
      await this.#reread(page.summaries);
      this.failure = "";
    } catch (error) {
      this.#failed(error);
    }
    this.now = Date.now();
    this.#isReading = false;
    if (this.failure) this.reread();
  }

  /** Read runs again that are no longer on the newest page, a few at a time. */
  async #reread(newest: readonly Run[]): Promise<void> {
    const runs = unseen(this.list, newest, this.#turn++, REREAD);
    const found = await Promise.all(runs.map((run) => this.#one(run.id)));
    this.list = update(
      this.list,
      found.flatMap((run) => run ?? []),
    );
  }

  async #one(id: string): Promise<Run | null> {
    const params = {
      path: { agent_instance_id: id },
      query: { include_counts: false, include_alert_count: false },
    } as const;
    const asked = api.GET("/api/v1/agent_instance/{agent_instance_id}", {
      params,
      signal: this.#abort.signal,
    });
    // A run that was deleted stays as it was seen last.
    if ((await asked).response.status === 404) return null;
    const { details } = await body(asked);
    const cost = details.cost_breakdown;
    const known = this.list.shown.find((run) => run.id === id);
    return {
      ...details,
      first_summary: known?.first_summary ?? null,
      total_tokens: cost?.by_model.reduce((sum, one) => sum + tokensOf(one), 0) ?? null,
      total_cost: cost?.total_cost ?? null,
      currency: cost?.currency ?? null,
    };
  }

  /** Read a page of the runs that pass the filters. */
  readonly read = (after?: string): Promise<Page> => {
    const query: Filters = {
      ...this.#filters,
      include_totals: true,
      sorting: "-inserted_at",
      "pagination[page_size]": PAGE,
      ...(after === undefined ? {} : { "pagination[after]": after }),
    };
    return body(
      api.GET("/api/v1/agent_instance", { params: { query }, signal: this.#abort.signal }),
    );
  };

  #failed(error: unknown): void {
    if (isAborted(error)) return;
    noteSignedOut(error);
    this.failure = explain(error);
  }
}

function tokensOf({ prompt_tokens, completion_tokens }: ModelCost): number {
  return prompt_tokens + completion_tokens;
}
