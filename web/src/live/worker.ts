/** The shared worker that holds a browser's stream of events, for all of its tabs. */

import { Connection } from "./connection";
import { Hub, type Tab, type ToHub } from "./hub";

// A new topic is requested soon. A topic that is no longer followed is kept for a while, because the
// next page often follows it again.
const SOON_MS = 30;
const LATER_MS = 5_000;
const CHECK_MS = 60_000;

// The address of the stream is relative to the worker's, which is next to the pages.
const address = new URL("../api/v1/events", self.location.href).href;

const hub = new Hub(
  (handlers) =>
    new Connection(address, handlers, {
      fetch: (...request) => fetch(...request),
      setTimeout: (call, milliseconds) => self.setTimeout(call, milliseconds),
      clearTimeout: (timer) => {
        self.clearTimeout(timer);
      },
      random: () => Math.random(),
    }),
);

let timer = 0;
let due = Infinity;

function settleIn(milliseconds: number): void {
  const at = Date.now() + milliseconds;
  if (at >= due) return;
  self.clearTimeout(timer);
  due = at;
  timer = self.setTimeout(() => {
    due = Infinity;
    hub.settle(Date.now());
  }, milliseconds);
}

self.setInterval(() => {
  settleIn(0);
}, CHECK_MS);

addEventListener("connect", (event) => {
  const port = (event as MessageEvent).ports[0]!;
  const tab: Tab = {
    tell: (message) => {
      port.postMessage(message);
    },
  };
  port.onmessage = ({ data }: MessageEvent<ToHub>) => {
    hub.hear(tab, data, Date.now());
    if (data.kind === "follow") settleIn(SOON_MS);
    else if (data.kind === "leave" || data.kind === "bye") settleIn(LATER_MS);
  };
});
