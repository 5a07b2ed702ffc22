/** The names behind the ids of agents, versions and environments, read when they are first shown. */

import { api, body } from "../api";
import type { components } from "../openapi";
import { noteSignedOut } from "../session.svelte";
import { agentNamed, onOneLine } from "./agent_named";

type AgentSummary = components["schemas"]["AgentSummary"];

const PAGE = { "pagination[page_size]": 100, sorting: "name" } as const;
/** The longest text that the server searches for. */
const MAX_TEXT = 200;
/** The most names that are requested one by one at a time. */
const AT_ONCE = 20;

let names = $state.raw<Readonly<Record<string, string>>>({});
/** What else agents are known by: their external identifiers. */
const aliases: Record<string, string> = {};
let environmentIds = $state.raw<readonly string[]>([]);
let agentIds = $state.raw<readonly string[]>([]);
const asked: string[] = [];
let lists: Promise<void> | null = null;
/** Whether there are agents besides the first hundred, which a search finds. */
let hasMoreAgents = false;
let searched: readonly string[] = [];

/** Return the name behind an id; empty if it is not known, yet. */
export function nameOf(id: string): string {
  return names[id] ?? "";
}

/** Return the external identifier of an agent that was read; empty if it has none. */
export function aliasOf(id: string): string {
  return aliases[id] ?? "";
}

/** Return the ids of the environments by name. */
export function environments(): readonly string[] {
  return environmentIds;
}

/** Return the ids of the agents read so far, by name: the first hundred, and those searched for. */
export function agents(): readonly string[] {
  return agentIds;
}

/** Return the agent that a person typed: by its name, if that is unique, or by an id. */
export function agentOf(text: string): string {
  return agentNamed(
    text,
    agentIds.map((id) => [id, nameOf(id)]),
  );
}

/** Return what stands for an agent in a field: its name, if that leads back to it. */
export function textOfAgent(id: string): string {
  const name = onOneLine(nameOf(id));
  return name !== "" && agentOf(name) === id ? name : id;
}

/** Read the first hundred agents and environments, once. */
export async function loadNames(): Promise<void> {
  lists ??= readLists();
  await lists;
}

/** Forget that names were read: agents may have come. */
export async function reloadNames(): Promise<void> {
  lists = readLists();
  await lists;
}

/** Read the agents that the server finds by a text, unless the first hundred are all. */
export async function findAgents(text: string): Promise<void> {
  await loadNames();
  const wanted = text.trim().slice(0, MAX_TEXT);
  if (!hasMoreAgents || wanted === "" || searched.includes(wanted)) return;
  searched = [...searched, wanted];
  const query = { ...PAGE, text: wanted };
  try {
    noteAgents((await body(api.GET("/api/v1/agent", { params: { query } }))).summaries, agentIds);
  } catch (error) {
    searched = searched.filter((one) => one !== wanted);
    noteSignedOut(error);
  }
}

function noteAgents(found: readonly AgentSummary[], known: readonly string[]): void {
  for (const { id, external_identifier } of found) aliases[id] = external_identifier ?? "";
  names = { ...names, ...Object.fromEntries(found.map(({ id, name }) => [id, name])) };
  agentIds = [...new Set([...known, ...found.map(({ id }) => id)])];
}

async function readLists(): Promise<void> {
  try {
    const [known, places] = await Promise.all([
      body(api.GET("/api/v1/agent", { params: { query: PAGE } })),
      body(api.GET("/api/v1/environment", { params: { query: PAGE } })),
    ]);
    names = { ...names, ...Object.fromEntries(places.summaries.map(({ id, name }) => [id, name])) };
    noteAgents(known.summaries, []);
    hasMoreAgents = known.pagination.next_after !== null;
    searched = [];
    environmentIds = places.summaries.map(({ id }) => id);
  } catch (error) {
    lists = null;
    noteSignedOut(error);
  }
}

/** Read the names of agents and versions that are not known, a few at a time. */
export async function wantNames(
  wantedAgents: readonly string[],
  versions: readonly string[],
): Promise<void> {
  await loadNames();
  const unknown = (ids: readonly string[]): string[] =>
    ids
      .filter((id, place) => id && ids.indexOf(id) === place)
      .filter((id) => !(id in names) && !asked.includes(id))
      .slice(0, AT_ONCE);
  const [newAgents, newVersions] = [unknown(wantedAgents), unknown(versions)];
  asked.push(...newAgents, ...newVersions);
  await Promise.all([...newAgents.map(nameAgent), ...newVersions.map(nameVersion)]);
}

async function nameAgent(id: string): Promise<void> {
  const path = { params: { path: { agent_id: id } } };
  await named(id, async () => (await body(api.GET("/api/v1/agent/{agent_id}", path))).details.name);
}

async function nameVersion(id: string): Promise<void> {
  const path = { params: { path: { agent_version_id: id } } };
  await named(id, async () => {
    const found = await body(api.GET("/api/v1/agent_version/{agent_version_id}", path));
    return found.details.external_identifier ?? "";
  });
}

async function named(id: string, read: () => Promise<string>): Promise<void> {
  try {
    const name = await read();
    names = { ...names, [id]: name };
  } catch (error) {
    noteSignedOut(error);
  }
}
