/** One run, kept up to date for as long as its page is open. */

import { api, ApiError, body, explain, explainMissing, isAborted } from "../api";
import { follow } from "../live/live.svelte";
import type { Changes } from "../live/topic";
import type { components } from "../openapi";
import { noteSignedOut } from "../session.svelte";
import { openEnd, openUntil } from "./axis";
import { axisOf, type Axis } from "./cut_axis";
import type { ChangedSpan, FullSkeleton } from "./patch_skeleton";
import { readSkeleton, type Skeleton } from "./skeleton";

export type RunDetails = components["schemas"]["AgentInstanceDetails"];

/** How long the first look waits for the stream, so that nothing is missed between the two. */
const PATIENCE_MS = 1_000;
/** How often figures that are computed from all spans, such as the cost, are requested. */
const FIGURES_MS = 3_000;
/** The shortest time between two complete reads. */
const REREAD_MS = 2_000;
const CLOCK_MS = 1_000;
/** Drawing patches takes at most this part of the time. */
const PATCH_SHARE = 0.1;

export class LiveRun {
  details = $state.raw<RunDetails | null>(null);
  run = $state.raw<Skeleton | null>(null);
  failure = $state("");
  /** The time of the clock that unfinished durations are counted by, in milliseconds since 1970. */
  now = $state(Date.now());
  /**
   * Until when open spans have lasted, in microseconds since the run's origin. NaN for a run that
   * has ended, or fell silent: nobody knows it.
   */
  readonly until = $derived(
    this.run && this.isOpen && !this.details?.abandoned ? openUntil(this.run, this.now) : NaN,
  );
  /** The time without what is still going on. */
  readonly #past = $derived(this.run && axisOf(this.run, this.run.end));
  /** When the work of the run began, in microseconds since its origin. */
  readonly zero = $derived(this.#past?.work.from ?? 0);
  readonly #end = $derived(this.zero + openEnd(this.until - this.zero));
  /** The time of the run, up to a little after now while it goes on. */
  readonly axis: Axis | null = $derived(
    this.run && !Number.isNaN(this.#end) ? axisOf(this.run, this.#end) : this.#past,
  );

  readonly #id: string;
  readonly #abort = new AbortController();
  readonly #cleanups: (() => void)[] = [];
  // Nothing that is shown depends on these.
  // eslint-disable-next-line svelte/prefer-svelte-reactivity
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  // eslint-disable-next-line svelte/prefer-svelte-reactivity
  readonly #waiting = new Map<string, ChangedSpan>();
  #skeleton: FullSkeleton | null = null;
  // Loaded for a run that goes on: one that has ended needs none.
  #patcher: typeof import("./patch_skeleton") | null = null;
  #reading: Promise<void> | null = null;
  #wanted: { always: boolean } | null = null;
  #isGone = false;
  #isFollowing = false;
  #onready: (() => void) | null = null;
  #lastRead = 0;

  constructor(id: string) {
    this.#id = id;
  }

  get isOpen(): boolean {
    return this.details !== null && isOpen(this.details.status);
  }

  /** Read the run, and follow it if it goes on. Resolves when it can be shown, or cannot. */
  async start(): Promise<void> {
    await this.#attempt(() => this.#readDetails());
    if (this.#isGone || this.failure) return;
    if (this.isOpen) {
      await this.#followed();
      await this.#readAll();
    } else {
      await this.#attempt(() => this.#readSkeleton());
    }
  }

  stop(): void {
    this.#isGone = true;
    this.#abort.abort();
    this.#onready?.();
    for (const cleanup of this.#cleanups.splice(0)) cleanup();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  /** Read everything again, after something was done to the run. */
  async refresh(): Promise<void> {
    await this.#readAll(true);
  }

  async #attempt(read: () => Promise<void>): Promise<void> {
    try {
      await read();
      this.failure = "";
    } catch (error) {
      if (isAborted(error)) return;
      noteSignedOut(error);
      this.failure = `${explain(error)} Trying again.`;
      // A run that does not exist for this reader will not appear later.
      if (error instanceof ApiError && (error.status === 404 || error.status === 401)) {
        this.stop();
        this.failure = explainMissing(error, "This run");
      }
      this.#later("reread", REREAD_MS, () => void this.#readAll(true));
    }
  }

  /** Follow the run, and wait a moment until all further changes are reported. */
  async #followed(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#onready = resolve;
      this.#later("patience", PATIENCE_MS, resolve);
      this.#follow();
    });
    this.#onready = null;
  }

  #follow(): void {
    if (this.#isFollowing) return;
    this.#isFollowing = true;
    const leave = follow(
      { kind: "run", id: this.#id },
      {
        reread: () => {
          if (this.#onready) this.#onready();
          else this.#readSoon(false);
        },
        changes: (changes) => {
          this.#take(changes);
        },
      },
    );
    const clock = setInterval(() => {
      if (this.isOpen) this.now = Date.now();
    }, CLOCK_MS);
    this.#cleanups.push(leave, () => {
      clearInterval(clock);
    });
  }

  /** Do something later, unless the same is due already. */
  #later(what: string, milliseconds: number, call: () => void): void {
    if (this.#timers.has(what) || this.#isGone) return;
    const timer = setTimeout(() => {
      this.#timers.delete(what);
      call();
    }, milliseconds);
    this.#timers.set(what, timer);
  }

  #readSoon(always: boolean): void {
    const pause = Math.max(0, this.#lastRead + REREAD_MS - Date.now());
    this.#later("reread", pause, () => void this.#readAll(always));
  }

  /**
   * Read the run, and its spans if they have changed or `always`. One reading at a time: whatever
   * asks for another one while an answer is slow gets the same next one.
   */
  async #readAll(always = false): Promise<void> {
    if (this.#isGone) return;
    this.#wanted = { always: always || (this.#wanted?.always ?? false) };
    this.#reading ??= this.#readWanted();
    await this.#reading;
  }

  async #readWanted(): Promise<void> {
    while (this.#wanted && !this.#isGone) {
      const { always } = this.#wanted;
      this.#wanted = null;
      this.#lastRead = Date.now();
      await this.#attempt(async () => {
        const before = this.details;
        await this.#readDetails();
        if (always || !this.run || !before || hasChanged(before, this.details!)) {
          await this.#readSkeleton();
        }
      });
    }
    this.#reading = null;
    if (this.isOpen) this.#follow();
    this.#patch();
  }

  async #readDetails(): Promise<void> {
    const path = "/api/v1/agent_instance/{agent_instance_id}";
    this.details = (await body(api.GET(path, this.#request))).details;
    this.now = Date.now();
  }

  async #readSkeleton(): Promise<void> {
    const path = "/api/v1/agent_instance/{agent_instance_id}/skeleton";
    const skeleton = (await body(api.GET(path, this.#request))).details;
    this.run = readSkeleton(skeleton);
    if (this.isOpen) this.#patcher ??= await import("./patch_skeleton");
    // Columns are kept to patch them later, which takes as much memory as the run itself.
    this.#skeleton = this.isOpen ? skeleton : null;
  }

  get #request() {
    const params = { path: { agent_instance_id: this.#id } };
    return { params, signal: this.#abort.signal };
  }

  #take(changes: Changes): void {
    if (changes.deleted_runs.includes(this.#id)) {
      this.failure = "This run was deleted.";
      this.stop();
      return;
    }
    for (const span of changes.spans) this.#waiting.set(span.id, span);
    const row = changes.runs.find(({ id }) => id === this.#id);
    // Events of what happened while the run was being read may be older than what was read.
    if (row && this.details && row.updated_at >= this.details.updated_at) {
      const wasOpen = this.isOpen;
      // Figures that a row does not hold stay as they are until they are read again.
      this.details = { ...this.details, ...row };
      this.now = Date.now();
      if (wasOpen && !isOpen(row.status)) void this.#readAll(true);
      else this.#later("figures", FIGURES_MS, () => void this.#readFigures());
    }
    this.#patch();
  }

  async #readFigures(): Promise<void> {
    if (!this.#reading) await this.#attempt(() => this.#readDetails());
  }

  /** Draw the spans that have changed, no more often than there is time for. */
  #patch(): void {
    if (this.#reading || this.#waiting.size === 0 || this.#timers.has("patch")) return;
    const changed = [...this.#waiting.values()];
    this.#waiting.clear();
    const began = performance.now();
    const patched = this.#skeleton && this.#patcher?.patchSkeleton(this.#skeleton, changed);
    if (!patched) {
      this.#readSoon(true);
      return;
    }
    this.#skeleton = patched;
    this.run = readSkeleton(patched);
    this.#later("patch", (performance.now() - began) / PATCH_SHARE, () => {
      this.#patch();
    });
  }
}

function isOpen(status: RunDetails["status"]): boolean {
  return status === "active" || status === "pending";
}

function hasChanged(before: RunDetails, now: RunDetails): boolean {
  return (
    before.updated_at !== now.updated_at ||
    JSON.stringify(before.span_counts) !== JSON.stringify(now.span_counts)
  );
}
