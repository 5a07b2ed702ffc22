/** What a model call adds to its conversation: not what an earlier call has shown already. */

import type { Call } from "./call";
import type { Part } from "./parts";

/** The hashes of a call's parts, which is all that a later call needs of it. */
export type Heard = readonly number[];

export function heard(call: Call): Heard {
  return [...call.input, ...call.output].map((one) => one.hash);
}

/**
 * Return the parts of a call's input that no earlier call had. A text that comes three times now
 * and twice in an earlier call is new once, so that a second "yes" is not lost.
 */
export function freshInput(call: Call, earlier: readonly Heard[]): readonly Part[] {
  const known = new Map<number, number>();
  for (const hashes of earlier) {
    for (const [hash, times] of tally(hashes)) {
      known.set(hash, Math.max(known.get(hash) ?? 0, times));
    }
  }
  return call.input.filter((one) => {
    const left = known.get(one.hash) ?? 0;
    if (left > 0) known.set(one.hash, left - 1);
    return left === 0;
  });
}

function tally(hashes: Heard): Map<number, number> {
  const times = new Map<number, number>();
  for (const hash of hashes) times.set(hash, (times.get(hash) ?? 0) + 1);
  return times;
}

/**
 * Leave out the calls and results of tools that have a line of their own, one for each line.
 *
 * `names` has the tool of a result, by the id of its call.
 */
export function withoutShownTools(
  parts: readonly Part[],
  lines: readonly string[],
  names: ReadonlyMap<string, string>,
): readonly Part[] {
  const left = new Map<string, number>();
  for (const name of lines) left.set(name, (left.get(name) ?? 0) + 1);
  return parts.filter((one) => {
    if (one.kind !== "call" && one.kind !== "result") return true;
    const name = one.name || names.get(one.id) || "";
    const more = left.get(name) ?? 0;
    if (more > 0) left.set(name, more - 1);
    return more === 0;
  });
}

/** Return the tools that calls name, by the ids of the calls. */
export function toolNames(calls: readonly Call[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const { input, output } of calls) {
    for (const one of [...input, ...output]) {
      if (one.kind === "call" && one.id) names.set(one.id, one.name);
    }
  }
  return names;
}
