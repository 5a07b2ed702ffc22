/** What all charts of a page share: the time, the environments, and reading again as time passes. */

import { onMount } from "svelte";
import { api, body } from "../api";
import type { components } from "../openapi";
import { route } from "../router.svelte";
import { chosenRange, ownZone, rangeOf, zoneNote, type ChosenRange, type Range } from "./range";

type Environment = components["schemas"]["EnvironmentView"];

const REFRESH_MS = 60_000;

export class ChartScope {
  now = $state(Date.now());
  environments = $state.raw<readonly Environment[]>([]);

  readonly chosen = $derived<ChosenRange>(chosenRange(route().params));
  readonly environment = $derived(route().params.get("environment_id") ?? "");
  readonly #read = $derived(rangeOf(this.chosen, this.now));
  readonly range = $derived<Range | null>(typeof this.#read === "string" ? null : this.#read);
  readonly problem = $derived(typeof this.#read === "string" ? this.#read : "");
  readonly zone = $derived(this.range ? zoneNote(this.range.bucket, ownZone()) : "");
  /** The parameters of the address that are passed on to another page of charts. */
  readonly params = $derived({
    range: route().params.get("range") ?? "",
    from: this.chosen.from,
    to: this.chosen.to,
    environment_id: this.environment,
  });

  constructor() {
    onMount(() => {
      void this.#readEnvironments();
      const timer = setInterval(() => {
        if (document.visibilityState === "visible") this.now = Date.now();
      }, REFRESH_MS);
      return () => {
        clearInterval(timer);
      };
    });
  }

  async #readEnvironments(): Promise<void> {
    const query = { "pagination[page_size]": 100, sorting: "name" } as const;
    try {
      this.environments = (
        await body(api.GET("/api/v1/environment", { params: { query } }))
      ).summaries;
    } catch {
      // Without environments there is nothing to choose. The page's own request reports the error.
    }
  }
}
