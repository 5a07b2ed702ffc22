/** The counts beside the filters, brought up to date now and then while they are shown. */

import { api, body, isAborted } from "../api";
import type { components } from "../openapi";
import { noteSignedOut } from "../session.svelte";
import type { Filters } from "./watcher.svelte";

export type Facets = components["schemas"]["AgentInstanceFacetsView"];

/** The shortest time between two counts. */
const PAUSE_MS = 5_000;

export class FacetWatcher {
  counted = $state.raw<Facets | null>(null);

  readonly #filters: Filters;
  readonly #abort = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Begin to count. `before` is shown until the first count has come. */
  constructor(filters: Filters, before: Facets | null) {
    this.#filters = filters;
    this.counted = before;
    void this.#count();
  }

  stop(): void {
    this.#abort.abort();
    clearTimeout(this.#timer);
  }

  /** Count again, soon. */
  recount(): void {
    if (this.#timer !== undefined || this.#abort.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#count();
    }, PAUSE_MS);
  }

  async #count(): Promise<void> {
    const request = { params: { query: this.#filters }, signal: this.#abort.signal };
    try {
      this.counted = (await body(api.GET("/api/v1/agent_instance/facets", request))).details;
    } catch (error) {
      // The list says what is wrong; filters work without their counts.
      if (!isAborted(error)) noteSignedOut(error);
    }
  }
}
