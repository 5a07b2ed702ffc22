/** The shown parts of a model call in a transcript, given the calls around it. */

import type { Skeleton } from "../skeleton";
import type { Call } from "./call";
import { callsBefore, stepsBeside, type Entries } from "./entries";
import { freshInput, heard, toolNames, withoutShownTools } from "./fresh";
import type { Part } from "./parts";

/** How many earlier calls are searched for the parts that a call repeats. */
export const REMEMBERED = 4;

export interface Shown {
  parts: readonly Part[];
  /** How many parts an earlier call has shown. */
  repeated: number;
  call: Call;
}

/** Return what a call shows; null until it and those before it have been read. */
export function shownCall(
  run: Skeleton,
  entries: Entries,
  entry: number,
  read: (id: string) => Call | undefined,
): Shown | null {
  const callOf = (one: number): Call | undefined => read(run.ids[entries.span[one]!]!);
  const call = callOf(entry);
  const before = callsBefore(entries, entry, REMEMBERED).map(callOf);
  if (!call || before.includes(undefined)) return null;
  const earlier = before as readonly Call[];
  const fresh = freshInput(call, earlier.map(heard));
  const names = toolNames([...earlier, call]);
  const tools = (way: 1 | -1): string[] =>
    stepsBeside(entries, entry, way).map((one) => run.names[entries.span[one]!]!);
  return {
    parts: [
      ...withoutShownTools(fresh, tools(-1), names),
      ...withoutShownTools(call.output, tools(1), names),
    ],
    repeated: call.input.length - fresh.length,
    call,
  };
}
