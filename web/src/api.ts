/** The typed client of the API, and readable messages for its errors. */

import type { Client } from "openapi-fetch";
import { addressOf, type Params } from "./api_address";
import type { paths } from "./openapi";
import { noteAnswer, sendPosition } from "./position";

/** An answer other than success, or none. */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Raised when a request had no session or token that works: the reader has to sign in, perhaps again. */
export class SignedOut extends ApiError {}

// The pages may be served below any prefix, and the API is below the same one.
const base = new URL(".", document.baseURI).pathname.replace(/\/$/, "");

// Only the types are openapi-fetch's, because its code does much that no page needs.
export const api = {
  GET: asking("GET"),
  POST: asking("POST"),
  PUT: asking("PUT"),
  DELETE: asking("DELETE"),
} as unknown as Pick<Client<paths>, "GET" | "POST" | "PUT" | "DELETE">;

/** Return the address of a read, for a link. */
export function apiAddress(path: keyof paths, params: Params): string {
  return base + addressOf(path, params);
}

interface Asked {
  params?: Params;
  body?: unknown;
  signal?: AbortSignal;
  parseAs?: "arrayBuffer";
}

let sessions = 0;

/** Ask again what an earlier session is refused from now on: its end does not concern this one. */
export function noteSession(): void {
  sessions += 1;
}

function asking(method: string): (path: string, asked?: Asked) => Promise<Reply<unknown>> {
  return async function ask(path, asked = {}) {
    const { params = {}, body, signal, parseAs } = asked;
    const session = sessions;
    const request = new Request(base + addressOf(path, params), {
      method,
      headers: {
        "X-Prefactor-Request": "1",
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      },
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal ?? null,
    });
    sendPosition(request);
    const response = await fetch(request);
    noteAnswer(response);
    if (response.status === 401 && session !== sessions) return ask(path, asked);
    if (!response.ok) return { error: parsed(await response.text()), response };
    return { data: await response[parseAs ?? "json"](), response };
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

interface Reply<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/**
 * Return the body of a reply.
 *
 * @throws SignedOut when the reader has to sign in
 * @throws ApiError for every other failure, with a message for a person
 */
export async function body<T>(asked: Promise<Reply<T>>): Promise<T> {
  let reply: Reply<T>;
  try {
    reply = await asked;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "The server cannot be reached. Is it running, and are you online?");
  }
  if (reply.data !== undefined && reply.response.ok) return reply.data;
  const { status } = reply.response;
  const message = messageOf(reply.error) ?? `The server answered ${status}.`;
  // A wrong password has the same status, and ends no session.
  const isSignedOut = status === 401 && codeOf(reply.error) !== "bad_credentials";
  throw isSignedOut ? new SignedOut(status, message) : new ApiError(status, message);
}

function messageOf(error: unknown): string | undefined {
  if (typeof error === "object" && error !== null && "message" in error)
    return String(error.message);
  return undefined;
}

function codeOf(error: unknown): unknown {
  return typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
}

/** Return what to show of anything that was thrown. */
export function explain(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Return what to show where something is looked up by its id, such as `This run`. */
export function explainMissing(error: unknown, what: string): string {
  return error instanceof ApiError && error.status === 404
    ? `${what} was not found. It was deleted, or the account has none with this id.`
    : explain(error);
}

/** Whether a request was aborted because a newer one replaced it. */
export function isAborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
