/** A policy that somebody else changed while it was edited. */

import { ApiError } from "../../api";

/** Return what went wrong with a save, in words of this page if somebody else was faster. */
export function ofOthers(error: unknown, next: string): unknown {
  if (!(error instanceof ApiError) || error.status !== 409) return error;
  return new Error(`Somebody else has changed the policy since you opened this page. ${next}`);
}
