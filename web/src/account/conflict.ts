/** Something that another person changed while it was edited. */

import { ApiError } from "../api";

/** Return the error of a save, with the pages' own message if the noun was changed meanwhile. */
export function ofOthers(error: unknown, noun: string, next: string): unknown {
  if (!(error instanceof ApiError) || error.status !== 409) return error;
  return new Error(`Somebody else has changed the ${noun} since you opened it. ${next}`);
}
