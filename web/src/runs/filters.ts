/** The filters of the list of runs, between the address and the API. */

import type { Filters } from "./watcher.svelte";

/** What is chosen, each as it stands in the address; empty for anything. */
export interface Chosen {
  status: string;
  agent_id: string;
  environment_id: string;
  purpose: string;
  /** Started within so many days. */
  days: string;
}

const DAY_MS = 86_400_000;

/** Read the filters from the parameters of an address. */
export function chosenFilters(params: URLSearchParams): Chosen {
  return {
    status: params.get("status") ?? "",
    agent_id: params.get("agent_id") ?? "",
    environment_id: params.get("environment_id") ?? "",
    purpose: params.get("purpose") ?? "",
    days: params.get("days") ?? "",
  };
}

/** Return the query that asks for the runs that pass, at a time in milliseconds since 1970. */
export function queryOf({ days, ...same }: Chosen, now: number): Filters {
  const started = Number(days) > 0 ? new Date(now - Number(days) * DAY_MS).toISOString() : "";
  const given = { ...same, started_after: started };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ""));
}
