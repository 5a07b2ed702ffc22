/** Who is signed in, as reactive state. */

import { api, body, noteSession, SignedOut } from "./api";
import type { components } from "./openapi";
import { forgetPosition } from "./position";

export type Who = components["schemas"]["CallerView"];

type State = { known: false } | { known: true; who: Who | null };

let current = $state.raw<State>({ known: false });
let isInterrupted = $state(false);

/** Return who is signed in; null if nobody is, undefined until the server has answered. */
export function who(): Who | null | undefined {
  return current.known ? current.who : undefined;
}

/** Whether the session ended while something was typed. The page stays until its person is back. */
export function mustSignInAgain(): boolean {
  return isInterrupted;
}

/** Whether who is signed in may do what needs a right. */
export function may(right: "read" | "operate" | "administer"): boolean {
  return current.known && current.who?.rights.includes(right) === true;
}

/** Ask the server who is signed in. */
export async function lookUpSession(): Promise<void> {
  try {
    const who = (await body(api.GET("/api/v1/session"))).details;
    if (isInterrupted && !isSamePerson(who)) {
      // The page shows what somebody else may see.
      location.reload();
      return;
    }
    noteSession();
    current = { known: true, who };
    isInterrupted = false;
  } catch (error) {
    if (!(error instanceof SignedOut)) throw error;
    noteSignedOut(error);
  }
}

function isSamePerson(who: Who): boolean {
  const before = current.known ? current.who : null;
  return before?.account_id === who.account_id && before.email === who.email;
}

/** Exchange a token, a link's code or a password for a session. */
export async function signIn(
  credentials:
    | { token: string }
    | { code: string; new_password?: string }
    | { email: string; password: string; account_id?: string },
): Promise<void> {
  // The document's type has a member for every way to sign in; a missing one is null.
  const given = credentials as components["schemas"]["SignInFields"];
  forgetPosition();
  await body(api.POST("/api/v1/session", { body: given }));
  await lookUpSession();
}

/** End the session. */
export async function signOut(): Promise<void> {
  await body(api.DELETE("/api/v1/session", {}));
  forgetSession();
}

/** Show the sign-in page, whatever was typed. */
export function forgetSession(): void {
  isInterrupted = false;
  current = { known: true, who: null };
}

/** Ask to sign in when an answer said that the session is over; other errors pass. */
export function noteSignedOut(error: unknown): void {
  if (!(error instanceof SignedOut)) return;
  if (who() && isTyping()) isInterrupted = true;
  else forgetSession();
}

function isTyping(): boolean {
  const texts = [...document.querySelectorAll("textarea")];
  const unsaved = document.querySelector("dialog[open] form, form[data-unsaved]");
  return unsaved !== null || texts.some(({ value }) => value);
}
