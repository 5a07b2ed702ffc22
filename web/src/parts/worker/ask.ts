/** Workers of the pages, for what would block the page. */

import { trustedUrl } from "./trusted_worker";
import type { Answer } from "./answer";

interface Waiting {
  resolve: (answer: never) => void;
  reject: (error: Error) => void;
}

/** A worker that answers questions, started with the first one. */
export class Asked {
  readonly #address: string;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | null = null;
  #number = 0;

  constructor(address: string) {
    this.#address = address;
  }

  /** Ask and wait. Transferred objects then belong to the worker. */
  ask<A>(question: unknown, transferred: Transferable[] = []): Promise<A> {
    const worker = (this.#worker ??= this.#start());
    const number = this.#number++;
    return new Promise<A>((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      worker.postMessage({ number, question }, transferred);
    });
  }

  /** End the worker. Pending answers never arrive. */
  close(): void {
    this.#worker?.terminate();
    this.#worker = null;
    this.#waiting.clear();
  }

  #start(): Worker {
    const worker = new Worker(trustedUrl(this.#address), { type: "module" });
    worker.onmessage = (event: MessageEvent<Answer<never>>) => {
      const answer = event.data;
      const waiting = this.#waiting.get(answer.number);
      this.#waiting.delete(answer.number);
      if ("answer" in answer) waiting?.resolve(answer.answer);
      else waiting?.reject(new Error(answer.failure));
    };
    worker.onerror = (event) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(event.message));
      this.#waiting.clear();
    };
    return worker;
  }
}
