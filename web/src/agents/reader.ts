/** Reads series: a few at a time, because a page of tiles asks for one of each agent. */

import { api, body } from "../api";
import { seriesQuery, type Range } from "./range";
import type { Series } from "./series";

const AT_ONCE = 4;

let running = 0;
const waiting: (() => void)[] = [];

/** Read what an agent did in a range. */
export async function readAgentSeries(
  agent_id: string,
  range: Range,
  environment_id: string,
  signal: AbortSignal,
): Promise<Series> {
  const query = { ...seriesQuery(range), ...(environment_id ? { environment_id } : {}) };
  const params = { path: { agent_id }, query };
  const read = (): Promise<{ details: Series }> =>
    body(api.GET("/api/v1/agent/{agent_id}/series", { params, signal }));
  return (await inTurn(read, signal)).details;
}

/** Read what all agents of an account did in a range. */
export async function readAccountSeries(
  account_id: string,
  range: Range,
  environment_id: string,
  signal: AbortSignal,
): Promise<Series> {
  const query = { ...seriesQuery(range), ...(environment_id ? { environment_id } : {}) };
  const params = { path: { account_id }, query };
  return (await body(api.GET("/api/v1/account/{account_id}/series", { params, signal }))).details;
}

async function inTurn<T>(read: () => Promise<T>, signal: AbortSignal): Promise<T> {
  if (running >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  running++;
  try {
    signal.throwIfAborted();
    return await read();
  } finally {
    running--;
    waiting.shift()?.();
  }
}
