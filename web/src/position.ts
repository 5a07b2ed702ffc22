/**
 * The highest position that this browser has seen, for all of its tabs.
 *
 * A read that sends it may be answered by a copy of the database, if the copy has reached it.
 */

const HEADER = "X-Prefactor-Position";
const KEY = "prefactor.position";

let highest = 0n;

/** Note the position of an answer or of a live change. */
export function notePosition(position: string | null): void {
  const seen = parse(position);
  if (seen <= current()) return;
  highest = seen;
  try {
    localStorage.setItem(KEY, String(seen));
  } catch {
    // Without storage, each tab knows only its own.
  }
}

/** Forget the position, because another database may answer from now on. */
export function forgetPosition(): void {
  highest = 0n;
  try {
    localStorage.removeItem(KEY);
  } catch {
    // There was none.
  }
}

/** Send the position with a read. A browser that has seen none reads the latest state. */
export function sendPosition(request: Request): void {
  const position = current();
  if (request.method === "GET" && position > 0n) request.headers.set(HEADER, String(position));
}

/** Note the position of an answer, if it has one. */
export function noteAnswer(response: Response): void {
  notePosition(response.headers.get(HEADER));
}

function current(): bigint {
  try {
    const stored = parse(localStorage.getItem(KEY));
    if (stored > highest) highest = stored;
  } catch {
    // Storage may be forbidden.
  }
  return highest;
}

function parse(text: string | null): bigint {
  return text !== null && /^\d{1,19}$/.test(text) ? BigInt(text) : 0n;
}
