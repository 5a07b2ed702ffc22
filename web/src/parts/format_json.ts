/** Laying out JSON as lines, away from the page when it is large. */

export interface Formatted {
  lines: readonly string[];
}

// A line is cut where a browser would take seconds to draw it. Copies and downloads have it whole.
const LARGE = 100_000;

/** Return a value's JSON as lines. */
export async function formatJson(value: unknown): Promise<Formatted> {
  const flat = JSON.stringify(value);
  if (flat.length < LARGE) return { lines: JSON.stringify(value, null, 2).split("\n") };
  const worker = new Worker(workerUrl(), { type: "module" });
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

import workerAddress from "./json_worker?worker&url";

interface Policy {
  createScriptURL(text: string): string;
}

interface PolicyFactory {
  createPolicy(name: string, rules: Policy): Policy;
}

let policy: Policy | undefined;

/** The address of the worker, which the page's trusted types let through and nothing else. */
function workerUrl(): string {
  const factory = (globalThis as { trustedTypes?: PolicyFactory }).trustedTypes;
  const allowed = new URL(workerAddress, import.meta.url).href;
  if (!factory) return allowed;
  policy ??= factory.createPolicy("prefactor-worker", {
    createScriptURL(text) {
      if (text !== allowed) throw new TypeError(`no worker of these pages: ${text}`);
      return text;
    },
  });
  return policy.createScriptURL(allowed);
}
