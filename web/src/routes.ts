/**
 * Addresses of the pages. All of a page's state is behind `#`, so that the server needs no paths of
 * its own, the pages work below any prefix, and what is behind it never reaches a log.
 */

export type PageName =
  | "runs"
  | "run"
  | "agents"
  | "agent"
  | "compare"
  | "account"
  | "sign-in"
  | "invite"
  | "set-password";

export interface Route {
  page: PageName;
  /** The id of what the page is about; empty for lists. */
  id: string;
  /** The id of what it is compared with; empty elsewhere. */
  other: string;
  params: URLSearchParams;
}

/** The pages, and how many ids are in their addresses. */
const PAGES: ReadonlyMap<string, number> = new Map<PageName, number>([
  ["runs", 0],
  ["run", 1],
  ["agents", 0],
  ["agent", 1],
  ["compare", 2],
  ["account", 0],
  ["sign-in", 0],
  ["invite", 0],
  ["set-password", 0],
]);
const ENTRANCES: ReadonlySet<PageName> = new Set(["sign-in", "invite", "set-password"]);

/** Whether a page is for people who have not signed in. */
export function isEntrance(page: PageName): boolean {
  return ENTRANCES.has(page);
}

/** Read the part of an address from `#` on; anything unknown is the list of runs. */
export function parseRoute(hash: string): Route {
  const [path, query] = split(hash.replace(/^#\/?/, ""), "?");
  const [page, rest] = split(path, "/");
  const params = new URLSearchParams(query);
  const wanted = PAGES.get(page) ?? Infinity;
  // Ids may be written without encoding; only an address of two ids is split once more.
  const [id, other] = wanted === 2 ? split(rest, "/") : [rest, ""];
  const given = [id, other].filter((one) => one !== "").length;
  if (given < wanted) return { page: "runs", id: "", other: "", params };
  return { page: page as PageName, id: decode(id), other: decode(other), params };
}

/** Return the part of an address from `#` on. Empty parameters are left out. */
export function formatRoute(
  page: PageName,
  id: string | readonly string[] = "",
  params: Readonly<Record<string, string>> | URLSearchParams = {},
): string {
  const entries = params instanceof URLSearchParams ? [...params] : Object.entries(params);
  const query = new URLSearchParams(entries.filter(([, value]) => value !== "")).toString();
  const ids = [id].flat().filter((one) => one !== "");
  const path = [page, ...ids.map((one) => encodeURIComponent(one))].join("/");
  return `#/${path}${query && `?${query}`}`;
}

function split(text: string, mark: string): [string, string] {
  const place = text.indexOf(mark);
  return place < 0 ? [text, ""] : [text.slice(0, place), text.slice(place + 1)];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
