/** Receives JSON in one line and answers with it in many. */

self.onmessage = (event: MessageEvent<string>) => {
  const lines = JSON.stringify(JSON.parse(event.data), null, 2).split("\n");
  self.postMessage({ lines });
};
