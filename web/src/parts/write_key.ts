/**
 * The idempotency key of a form's write: the same when it is sent again after a lost answer, another
 * one when something else is sent.
 */
export class WriteKey {
  #content = "";
  #key = "";

  /** Return the key for what is sent. */
  for(content: unknown): string {
    const text = JSON.stringify(content);
    if (text !== this.#content || this.#key === "") {
      this.#content = text;
      this.#key = crypto.randomUUID();
    }
    return this.#key;
  }
}
