/** Views that a reader has saved: filters of the list under a name, kept in this browser. */

import { addView, readViews, removeView, type SavedView } from "./saved_views";

const KEY = "prefactor.views";

let views = $state.raw<readonly SavedView[]>(readViews(localStorage.getItem(KEY)));

// Another tab may have saved one.
addEventListener("storage", ({ key, newValue }) => {
  if (key === KEY) views = readViews(newValue);
});

/** Return the saved views in the order of their names. */
export function savedViews(): readonly SavedView[] {
  return views;
}

/** Save a view, in place of one with the same name. */
export function saveView(name: string, query: string): void {
  keep(addView(views, { name, query }));
}

/** Delete a view. */
export function deleteView(name: string): void {
  keep(removeView(views, name));
}

function keep(next: readonly SavedView[]): void {
  views = next;
  localStorage.setItem(KEY, JSON.stringify(next));
}
