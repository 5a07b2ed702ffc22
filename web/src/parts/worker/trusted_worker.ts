/** The addresses of workers, which the policy of the pages lets through, and no others. */

import jsonWorker from "../json/json_worker?worker&url";
import liveWorker from "../../live/worker?sharedworker&url";

interface Policy {
  createScriptURL(text: string): string;
}

interface PolicyFactory {
  createPolicy(name: string, rules: Policy): Policy;
}

// Everything that was built with these pages lies in one folder.
const built = new URL(".", import.meta.url).href;
let policy: Policy | undefined;

/** Where JSON is laid out. */
export function jsonWorkerUrl(): string {
  return trustedUrl(jsonWorker);
}

/** Where the stream of events is held. */
export function liveWorkerUrl(): string {
  return trustedUrl(liveWorker);
}

/** Accept only scripts that were built with these pages. */
export function trustedUrl(address: string): string {
  const asked = new URL(address, import.meta.url).href;
  const factory = (globalThis as { trustedTypes?: PolicyFactory }).trustedTypes;
  if (!factory) return asked;
  policy ??= factory.createPolicy("prefactor-worker", {
    createScriptURL(text) {
      if (!text.startsWith(built)) throw new TypeError(`no worker of these pages: ${text}`);
      return text;
    },
  });
  return policy.createScriptURL(asked);
}
