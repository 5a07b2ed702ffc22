/** The filters of the list of runs, between the address and the API. */

import type { Filters } from "./watcher.svelte";

/** What is chosen, each as it stands in the address; empty for anything. */
export interface Chosen {
  status: string;
  agent_id: string;
  environment_id: string;
  purpose: string;
  /** Started within a number of days. */
  days: string;
  // What other pages lead here with.
  agent_version_id: string;
  schema_name: string;
  has_failed_spans: string;
  started_after: string;
  started_before: string;
  finished_after: string;
  finished_before: string;
}

const NAMES = [
  "status",
  "agent_id",
  "environment_id",
  "purpose",
  "days",
  "agent_version_id",
  "schema_name",
  "has_failed_spans",
  "started_after",
  "started_before",
  "finished_after",
  "finished_before",
] as const satisfies readonly (keyof Chosen)[];

const DAY_MS = 86_400_000;

/** Read the filters from the parameters of an address. */
export function chosenFilters(params: URLSearchParams): Chosen {
  const values = NAMES.map((name) => [name, params.get(name) ?? ""]);
  return Object.fromEntries(values) as Record<keyof Chosen, string>;
}

/** Return the query that asks for the runs that pass, at a time in milliseconds since 1970. */
export function queryOf({ days, ...same }: Chosen, now: number): Filters {
  const started = Number(days) > 0 ? new Date(now - Number(days) * DAY_MS).toISOString() : "";
  const given = { ...same, started_after: started || same.started_after };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ""));
}

/** A filter without a choice of its own on the page: what it says, and what it is called. */
export interface OtherFilter {
  names: readonly (keyof Chosen)[];
  text: string;
}

/** Return the chosen filters that other pages lead here with, in words. */
export function otherFilters(
  chosen: Chosen,
  moment: (at: number) => string,
): readonly OtherFilter[] {
  const when = (verb: string, after: keyof Chosen, before: keyof Chosen): OtherFilter => {
    const from = chosen[after] && `from ${moment(Date.parse(chosen[after]))}`;
    const to = chosen[before] && `before ${moment(Date.parse(chosen[before]))}`;
    const said = [from, to].filter(Boolean).join(" and ");
    return { names: [after, before], text: said && `${verb} ${said}` };
  };
  const failed = chosen.has_failed_spans === "true" ? "with failed spans" : "without failed spans";
  const { schema_name: type, agent_version_id: version } = chosen;
  const found: OtherFilter[] = [
    when("ended", "finished_after", "finished_before"),
    when("started", "started_after", "started_before"),
    { names: ["schema_name"], text: type && `with a span of type ${type}` },
    { names: ["has_failed_spans"], text: chosen.has_failed_spans && failed },
    { names: ["agent_version_id"], text: version && `of version ${version}` },
  ];
  return found.filter(({ text }) => text !== "");
}
