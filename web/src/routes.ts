/**
 * Addresses of the pages. All of a page's state is behind `#`, so that the server needs no paths of
 * its own, the pages work below any prefix, and what is behind it never reaches a log.
 */

export type PageName = "runs" | "run" | "sign-in";

export interface Route {
  page: PageName;
  /** The id of what the page is about; empty for lists. */
  id: string;
  params: URLSearchParams;
}

const PAGES: ReadonlySet<string> = new Set<PageName>(["runs", "run", "sign-in"]);

/** Read the part of an address from `#` on; anything unknown is the list of runs. */
export function parseRoute(hash: string): Route {
  const [path, query] = split(hash.replace(/^#\/?/, ""), "?");
  const [page, id] = split(path, "/");
  const params = new URLSearchParams(query);
  if (!PAGES.has(page) || (page === "run" && !id)) return { page: "runs", id: "", params };
  return { page: page as PageName, id: decode(id), params };
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
