/** The pages, each loaded when it is opened: the first one does not wait for all the others. */

import type { PageName } from "./routes";

export const PAGES = {
  runs: () => import("./runs/Runs.svelte"),
  run: () => import("./run/Run.svelte"),
  agents: () => import("./agents/Agents.svelte"),
  agent: () => import("./agents/Agent.svelte"),
  compare: () => import("./compare/Compare.svelte"),
  account: () => import("./account/Account.svelte"),
  entrance: () => import("./sign_in/Entrance.svelte"),
} as const;

/** Begin to load a page before anything is shown; whether that fails is known when it is opened. */
export function preload(page: PageName): void {
  if (page in PAGES) void PAGES[page as keyof typeof PAGES]().catch(() => undefined);
}
