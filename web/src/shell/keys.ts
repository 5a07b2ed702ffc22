/** The keys of each page, as the list of keys shows them. */

export type Keys = readonly (readonly [keys: string, meaning: string])[];

/** The keys that work on every page. */
export const COMMON_KEYS: Keys = [
  ["Ctrl K", "go to a page, an agent, a run, or do something"],
  ["?", "these keys"],
];

const KEYS: Readonly<Record<string, Keys>> = {
  runs: [
    ["j  k", "next and previous run"],
    ["Enter", "open the run"],
    ["p", "look at the run beside the list; again to close it"],
    ["x", "mark the run; two that are marked can be compared"],
    ["/", "search what runs say"],
    ["Esc", "close the peek; choose and mark no run"],
  ],
  agents: [["/", "search agents"]],
  compare: [
    ["n  p", "next and previous difference"],
    ["↑ ↓", "previous and next span"],
    ["← →", "fold and open"],
    ["Esc", "close the span"],
  ],
};

/** Return the keys of a page by its name. */
export function keysOf(page: string): Keys {
  return KEYS[page] ?? [];
}
