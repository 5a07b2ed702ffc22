/** The current route, as reactive state over the browser's history. */

import { formatRoute, parseRoute, type PageName, type Route } from "./routes";

let current = $state.raw<Route>(parseRoute(location.hash));
// The address that `current` was read from. The browser's may be ahead, because its event is later.
let address = location.hash;

addEventListener("hashchange", () => {
  address = location.hash;
  current = parseRoute(address);
});

/** Return the route that is shown. */
export function route(): Route {
  return current;
}

/** Go to a page; `replace` leaves no entry in the history. */
export function navigate(
  page: PageName,
  id: string | readonly string[] = "",
  params: Readonly<Record<string, string>> | URLSearchParams = {},
  { replace = false } = {},
): void {
  const hash = formatRoute(page, id, params);
  if (replace) {
    try {
      history.replaceState(null, "", hash);
    } catch {
      // Browsers refuse this when a held key asks too often. The address catches up with the next call.
    }
    address = location.hash;
    current = parseRoute(hash);
  } else if (hash !== location.hash) {
    location.hash = hash;
  }
}

/** Change some parameters of the shown page in place; an empty value removes one. */
export function setParams(changes: Readonly<Record<string, string>>): void {
  // The page is being left: a late change must not bring the reader back.
  if (location.hash !== address) return;
  const params = { ...Object.fromEntries(current.params), ...changes };
  navigate(current.page, [current.id, current.other], params, { replace: true });
}
