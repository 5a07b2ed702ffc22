/** The filters of the list of runs, between the address and the API. */

import { count, moment } from "../format";
import type { Filters } from "./watcher.svelte";

/** The filters with one value, each named as in the API. */
export const SINGLE = [
  "status",
  "agent_version_id",
  "environment_id",
  "purpose",
  "risk_level",
  "has_failed_spans",
  "abandoned",
  "schema_name",
  "min_duration",
  "max_duration",
  "min_cost",
  "text",
  // Filters that other pages link to.
  "started_after",
  "started_before",
  "finished_after",
  "finished_before",
] as const;

export type SingleFilter = (typeof SINGLE)[number];

/** What is chosen, each as it stands in the address; empty for anything. */
export type Chosen = Record<SingleFilter, string> & {
  agents: readonly string[];
  /** Started within so many days. */
  days: string;
  /** Texts of the metadata by key. */
  metadata: Readonly<Record<string, string>>;
};

const DAY_MS = 86_400_000;
const METADATA = /^metadata\[(.+)\]$/s;
/** What the API takes as a number of seconds, or an amount. */
const NUMBER = /^\d{1,9}(\.\d{1,6})?$/;

/** Read the filters from the parameters of an address. */
export function chosenFilters(params: URLSearchParams): Chosen {
  const single = SINGLE.map((name) => [name, params.get(name) ?? ""] as const);
  const agents = `${params.get("agent_ids") ?? ""},${params.get("agent_id") ?? ""}`.split(",");
  const metadata = [...params].flatMap(([name, value]) => {
    const key = METADATA.exec(name)?.[1];
    return key === undefined ? [] : [[key, value] as const];
  });
  return {
    ...(Object.fromEntries(single) as Record<SingleFilter, string>),
    agents: [...new Set(agents.filter(Boolean))],
    days: params.get("days") ?? "",
    metadata: Object.fromEntries(metadata),
  };
}

/** Return the query that asks for the runs that pass, at a time in milliseconds since 1970. */
export function queryOf({ agents, days, metadata, ...single }: Chosen, now: number): Filters {
  const started = Number(days) > 0 ? new Date(now - Number(days) * DAY_MS).toISOString() : "";
  const named = Object.entries(metadata).map(([key, text]) => [`metadata[${key}]`, text] as const);
  const given = {
    ...single,
    ...Object.fromEntries(named),
    started_after: started || single.started_after,
    agent_id: agents.length === 1 ? agents[0]! : "",
    agent_ids: agents.length > 1 ? agents.join(",") : "",
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ""));
}

/** The changes to the address for a choice of when runs started: days, `today`, or any time. */
export function startedWithin(choice: string, now: number): Record<string, string> {
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  const isToday = choice === "today";
  return {
    days: isToday ? "" : choice,
    started_after: isToday ? new Date(midnight).toISOString() : "",
    started_before: "",
  };
}

/** Return which of those is chosen; another text if it is a range of one's own. */
export function chosenStart(chosen: Chosen, now: number): string {
  const { days, started_after, started_before } = chosen;
  if (days || !(started_after || started_before)) return days;
  const isToday = started_after === startedWithin("today", now).started_after && !started_before;
  return isToday ? "today" : "range";
}

/** Return what a field for a local time shows for a moment; empty for none. */
export function localTime(moment: string): string {
  const at = new Date(moment);
  if (Number.isNaN(at.getTime())) return "";
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** Return the moment of a local time that was typed into a field; empty for none. */
export function momentOf(local: string): string {
  const at = new Date(local);
  return Number.isNaN(at.getTime()) ? "" : at.toISOString();
}

/** Return the changes to the address that choose an agent, or no longer do. */
export function toggleAgent(chosen: Chosen, id: string): Record<string, string> {
  const others = chosen.agents.filter((one) => one !== id);
  const agents = others.length < chosen.agents.length ? others : [...others, id];
  // A version is one of a single agent's.
  return { agent_id: "", agent_ids: agents.join(","), agent_version_id: "" };
}

/** Return the changes to the address for what was typed as `key=text`; null if it is not that. */
export function metadataFilter(typed: string): Record<string, string> | null {
  const [, key, text] = /^\s*([^=]+?)\s*=\s*(.+?)\s*$/s.exec(typed) ?? [];
  return key && text ? { [`metadata[${key}]`]: text } : null;
}

/** Whether what was typed as a number of seconds or an amount is one, or nothing. */
export function isNumber(typed: string): boolean {
  return typed === "" || NUMBER.test(typed);
}

/** A chosen filter as a person reads it, and the changes to the address that remove it. */
export interface Chip {
  label: string;
  without: Record<string, string>;
}

const LABELS: Readonly<Record<SingleFilter, (value: string) => string>> = {
  started_after: (value) => `started from ${moment(Date.parse(value))}`,
  started_before: (value) => `started before ${moment(Date.parse(value))}`,
  finished_after: (value) => `ended from ${moment(Date.parse(value))}`,
  finished_before: (value) => `ended before ${moment(Date.parse(value))}`,
  status: (value) => value,
  agent_version_id: () => "one version",
  environment_id: () => "one environment",
  purpose: (value) => value.replace("_", " "),
  risk_level: (value) => `${value} risk`,
  has_failed_spans: (value) => (value === "true" ? "some spans failed" : "no span failed"),
  abandoned: (value) => (value === "true" ? "abandoned" : "not abandoned"),
  schema_name: (value) => `type ${value}`,
  min_duration: (value) => `took ${value} s or more`,
  max_duration: (value) => `took ${value} s or less`,
  min_cost: (value) => `cost ${value} or more`,
  text: (value) => `“${value}”`,
};

/** Return the chosen filters one by one. `names` tells the names of agents and the like by id. */
export function chipsOf(chosen: Chosen, names: (id: string) => string): Chip[] {
  const single = SINGLE.filter((name) => chosen[name] !== "").map((name) => ({
    label: name.endsWith("_id")
      ? names(chosen[name]) || LABELS[name](chosen[name])
      : LABELS[name](chosen[name]),
    without: { [name]: "" },
  }));
  const agents = chosen.agents.map((id) => ({
    label: names(id) || "one agent",
    without: toggleAgent(chosen, id),
  }));
  const metadata = Object.entries(chosen.metadata).map(([key, text]) => ({
    label: `${key} = ${text}`,
    without: { [`metadata[${key}]`]: "" },
  }));
  const days = Number(chosen.days);
  const started =
    days > 0
      ? [
          {
            label: days === 1 ? "last 24 hours" : `last ${count(days)} days`,
            without: { days: "" },
          },
        ]
      : [];
  return [...agents, ...single, ...started, ...metadata];
}
