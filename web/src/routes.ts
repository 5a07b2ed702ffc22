/**
 * Addresses of the pages. All of a page's state is behind `#`, so that the server needs no paths of
 * its own, the pages work below any prefix, and what is behind it never reaches a log.
 */

export type PageName = "runs" | "run" | "agents" | "agent" | "sign-in";

export interface Route {
  page: PageName;
  /** The id of what the page is about; empty for lists. */
  id: string;
  params: URLSearchParams;
}

/** The pages, and whether they are about something that has an id. */
const PAGES: ReadonlyMap<string, boolean> = new Map<PageName, boolean>([
  ["runs", false],
  ["run", true],
  ["agents", false],
  ["agent", true],
  ["sign-in", false],
]);

/** Read the part of an address from `#` on; anything unknown is the list of runs. */
export function parseRoute(hash: string): Route {
  const [path, query] = split(hash.replace(/^#\/?/, ""), "?");
  const [page, rest] = split(path, "/");
  const params = new URLSearchParams(query);
  const needsId = PAGES.get(page);
  if (needsId === undefined || (needsId && !rest)) return { page: "runs", id: "", params };
  return { page: page as PageName, id: decode(rest), params };
}

/** Return the part of an address from `#` on. Empty parameters are left out. */
export function formatRoute(
  page: PageName,
  id = "",
  params: Readonly<Record<string, string>> | URLSearchParams = {},
): string {
  const entries = params instanceof URLSearchParams ? [...params] : Object.entries(params);
  const query = new URLSearchParams(entries.filter(([, value]) => value !== "")).toString();
  return `#/${page}${id && `/${encodeURIComponent(id)}`}${query && `?${query}`}`;
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
