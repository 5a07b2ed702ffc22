/** The names behind the ids of agents, versions and environments, read when they are first shown. */

import { api, body } from "../api";
import { noteSignedOut } from "../session.svelte";
import { agentNamed } from "./agent_named";

const PAGE = { "pagination[page_size]": 100, sorting: "name" } as const;
/** The most names that are requested one by one at a time. */
const AT_ONCE = 20;

let names = $state.raw<Readonly<Record<string, string>>>({});
let environmentIds = $state.raw<readonly string[]>([]);
let agentIds = $state.raw<readonly string[]>([]);
const asked: string[] = [];
let lists: Promise<void> | null = null;
/** The cursor of the next page of agents by name; null if all are known. */
let nextAgents: string | null = null;
let searches = 0;

/** Return the name behind an id; empty if it is not known, yet. */
export function nameOf(id: string): string {
  return names[id] ?? "";
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
  const name = nameOf(id);
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

/** Read further pages of agents until a name contains this text, or another text is searched for. */
export async function findAgents(text: string): Promise<void> {
  const search = ++searches;
  const wanted = text.toLowerCase();
  await loadNames();
  while (
    search === searches &&
    nextAgents !== null &&
    !agentIds.some((id) => nameOf(id).toLowerCase().includes(wanted))
  ) {
    await readMoreAgents(nextAgents);
  }
}

async function readMoreAgents(after: string): Promise<void> {
  const query = { ...PAGE, "pagination[after]": after };
  try {
    const { summaries, pagination } = await body(api.GET("/api/v1/agent", { params: { query } }));
    // Another search may have read the same page meanwhile.
    if (nextAgents !== after) return;
    nextAgents = pagination.next_after;
    names = { ...names, ...Object.fromEntries(summaries.map(({ id, name }) => [id, name])) };
    agentIds = [...agentIds, ...summaries.map(({ id }) => id)];
  } catch (error) {
    nextAgents = null;
    noteSignedOut(error);
  }
}

async function readLists(): Promise<void> {
  try {
    const [known, places] = await Promise.all([
      body(api.GET("/api/v1/agent", { params: { query: PAGE } })),
      body(api.GET("/api/v1/environment", { params: { query: PAGE } })),
    ]);
    const found = [...known.summaries, ...places.summaries].map(({ id, name }) => [id, name]);
    names = { ...names, ...(Object.fromEntries(found) as Record<string, string>) };
    agentIds = known.summaries.map(({ id }) => id);
    nextAgents = known.pagination.next_after;
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
