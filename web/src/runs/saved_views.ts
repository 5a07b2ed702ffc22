/** Saved views of the list of runs: a name, and the parameters of the address. */

export interface SavedView {
  name: string;
  query: string;
}

/** Read what is stored. Anything but a list of views is read as an empty one. */
export function readViews(stored: string | null): readonly SavedView[] {
  try {
    const found: unknown = JSON.parse(stored ?? "[]");
    return Array.isArray(found) ? found.filter(isView) : [];
  } catch {
    return [];
  }
}

function isView(one: unknown): one is SavedView {
  if (typeof one !== "object" || one === null) return false;
  const { name, query } = one as Partial<SavedView>;
  return typeof name === "string" && typeof query === "string";
}

/** Add a view, in place of one with the same name, in the order of names. */
export function addView(views: readonly SavedView[], view: SavedView): readonly SavedView[] {
  const named = { ...view, name: view.name.trim() };
  return [...removeView(views, named.name), named].sort((a, b) => a.name.localeCompare(b.name));
}

/** Return the views without the one of a name. */
export function removeView(views: readonly SavedView[], name: string): readonly SavedView[] {
  return views.filter((view) => view.name !== name);
}

/** Return the parameters that a view keeps: the chosen filters, and not the selected run. */
export function queryToSave(params: URLSearchParams): string {
  const kept = new URLSearchParams(params);
  kept.delete("peek");
  kept.sort();
  return kept.toString();
}
