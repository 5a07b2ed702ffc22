/** The totals of a risk profile's preview, over several runs. */

import type { components } from "../../openapi";
import { LEVELS, type Level } from "./draft";

export type PreviewedRun = components["schemas"]["PreviewedRunView"];

/** How many runs have a level now, and how many would. */
export interface LevelChange {
  level: Level;
  now: number;
  then: number;
}

/** Return the counts of each level, from the highest. */
export function levelChanges(runs: readonly PreviewedRun[]): readonly LevelChange[] {
  return LEVELS.toReversed().map((level) => ({
    level,
    now: runs.filter((run) => run.now?.level === level).length,
    then: runs.filter((run) => run.preview?.level === level).length,
  }));
}

/** Return the sentence that sums a preview up. */
export function summaryOf(runs: readonly PreviewedRun[]): string {
  const changed = runs.filter((run) => run.preview && run.now?.level !== run.preview.level).length;
  const exceeding = runs.filter((run) => run.preview?.exceeds_agreed_risk).length;
  const of = `of ${runs.length} ${runs.length === 1 ? "run" : "runs"}`;
  const moved = changed === 0 ? "No run changes its level" : `${changed} ${of} would change level`;
  return exceeding === 0 ? `${moved}.` : `${moved}; ${exceeding} would exceed the agreed risk.`;
}

/** Return a score as it is written: whole where it is, else with two digits. */
export function score(value: number): string {
  return Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toFixed(2)));
}
