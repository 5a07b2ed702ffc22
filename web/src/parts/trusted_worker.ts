/** The addresses of workers, which the policy of the pages lets through one by one. */

import jsonWorker from "./json_worker?worker&url";
import liveWorker from "../live/worker?sharedworker&url";

interface Policy {
  createScriptURL(text: string): string;
}

interface PolicyFactory {
  createPolicy(name: string, rules: Policy): Policy;
}

const built = [jsonWorker, liveWorker].map((address) => new URL(address, import.meta.url).href);
let policy: Policy | undefined;

/** Where JSON is laid out. */
export function jsonWorkerUrl(): string {
  return trusted(built[0]!);
}

/** Where the stream of events is held. */
export function liveWorkerUrl(): string {
  return trusted(built[1]!);
}

/** Let through what was built with these pages, and nothing else. */
function trusted(address: string): string {
  const factory = (globalThis as { trustedTypes?: PolicyFactory }).trustedTypes;
  if (!factory) return address;
  policy ??= factory.createPolicy("prefactor-worker", {
    createScriptURL(text) {
      if (!built.includes(text)) throw new TypeError(`no worker of these pages: ${text}`);
      return text;
    },
  });
  return policy.createScriptURL(address);
}
