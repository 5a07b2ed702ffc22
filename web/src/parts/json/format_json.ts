/** Laying out JSON as lines, away from the page when it is large. */

import { jsonWorkerUrl } from "../worker/trusted_worker";

export interface Formatted {
  lines: readonly string[];
}

// A line is cut where a browser would take seconds to draw it. Copies and downloads have it whole.
const LARGE = 100_000;

/** Return a value's JSON as lines. */
export async function formatJson(value: unknown): Promise<Formatted> {
  const flat = JSON.stringify(value);
  if (flat.length < LARGE) return { lines: JSON.stringify(value, null, 2).split("\n") };
  const worker = new Worker(jsonWorkerUrl(), { type: "module" });
  try {
    return await new Promise<Formatted>((resolve, reject) => {
      worker.onmessage = (event: MessageEvent<Formatted>) => {
        resolve(event.data);
      };
      worker.onerror = (event) => {
        reject(new Error(event.message));
      };
      worker.postMessage(flat);
    });
  } finally {
    worker.terminate();
  }
}
