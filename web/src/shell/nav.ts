/** The pages that the header and the command palette lead to, in this order. */

import type { PageName } from "../routes";

export const NAV: readonly (readonly [page: PageName, label: string])[] = [
  ["runs", "Runs"],
  ["agents", "Agents"],
  ["account", "Account"],
];
