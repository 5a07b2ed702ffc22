/** A policy that another person changed while it was edited. */

import { ApiError } from "../../api";

/** Return the error of a save, with this page's own message if the policy was changed meanwhile. */
export function ofOthers(error: unknown, next: string): unknown {
  if (!(error instanceof ApiError) || error.status !== 409) return error;
  return new Error(`Somebody else has changed the policy since you opened this page. ${next}`);
}
