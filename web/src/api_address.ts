/** The address of a request: a path of the API with its ids, and its query. */

export interface Params {
  path?: Readonly<Record<string, string>>;
  query?: Readonly<Record<string, string | number | boolean | null | undefined>>;
}

/** Return the address. Parameters of the query without a value are left out. */
export function addressOf(path: string, { path: ids = {}, query = {} }: Params): string {
  const given = Object.entries(query).filter(([, value]) => value != null);
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  const named = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(ids[name]!));
  return named + (search.size > 0 ? `?${search}` : "");
}
