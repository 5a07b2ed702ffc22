/** An action of a person: whether it is in progress, and its error. */

import { ApiError, explain } from "../api";
import { noteSignedOut } from "../session.svelte";

export class Action {
  busy = $state(false);
  failure = $state("");
  /** The status of the answer that it failed with; 0 for none. */
  status = $state(0);

  /** Do it; whether it succeeded. */
  async run(work: () => Promise<void>): Promise<boolean> {
    this.busy = true;
    this.failure = "";
    this.status = 0;
    try {
      await work();
      return true;
    } catch (error) {
      noteSignedOut(error);
      this.failure = explain(error);
      this.status = error instanceof ApiError ? error.status : 0;
      return false;
    } finally {
      this.busy = false;
    }
  }
}
