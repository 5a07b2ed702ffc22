/** Which time the charts show, between the address, the API and the reader. */

export const BUCKETS = ["minute", "hour", "day"] as const;
export type Bucket = (typeof BUCKETS)[number];

/** A part of time, in milliseconds since 1970. */
export interface Range {
  start: number;
  end: number;
  bucket: Bucket;
}

/** Ranges that end now: their names in the address, their labels, and their lengths. */
export const RECENT = [
  { name: "1h", label: "1 hour", hours: 1 },
  { name: "24h", label: "24 hours", hours: 24 },
  { name: "7d", label: "7 days", hours: 7 * 24 },
  { name: "30d", label: "30 days", hours: 30 * 24 },
] as const;

export const DEFAULT_RANGE = "7d";

const HOUR_MS = 3_600_000;
export const BUCKET_MS: Readonly<Record<Bucket, number>> = {
  minute: 60_000,
  hour: HOUR_MS,
  day: 24 * HOUR_MS,
};

/** How long a series may be, and how long small buckets are kept: see `GET …/series`. */
const MAX_BUCKETS = 1_500;
const KEPT_MS: Readonly<Record<Bucket, number>> = {
  minute: 7 * 24 * HOUR_MS,
  hour: 90 * 24 * HOUR_MS,
  day: Infinity,
};

/** The longest range that is drawn in buckets of a size: more bars would be too thin to read. */
const READABLE: Readonly<Record<Bucket, number>> = { minute: 180, hour: 240, day: MAX_BUCKETS };

/** Return the size of buckets for a range: the smallest that is kept and can be read. */
export function bucketOf(start: number, end: number, now: number): Bucket {
  const fits = (bucket: Bucket): boolean =>
    // One bucket more, because the first one is requested from its start.
    start - BUCKET_MS[bucket] > now - KEPT_MS[bucket] &&
    (end - start) / BUCKET_MS[bucket] <= READABLE[bucket];
  return BUCKETS.find(fits) ?? "day";
}

/** The range in an address; `from` and `to` are dates in the reader's time zone. */
export interface ChosenRange {
  /** One of `RECENT`, or `custom`. */
  name: string;
  from: string;
  to: string;
}

/** Read the range from the parameters of an address. */
export function chosenRange(params: URLSearchParams): ChosenRange {
  const from = params.get("from") ?? "";
  const to = params.get("to") ?? "";
  if (from !== "" || to !== "") return { name: "custom", from, to };
  const name = params.get("range") ?? DEFAULT_RANGE;
  return { name: RECENT.some((one) => one.name === name) ? name : DEFAULT_RANGE, from, to };
}

/** Return the range to request, or an error message. */
export function rangeOf(chosen: ChosenRange, now: number): Range | string {
  const recent = RECENT.find(({ name }) => name === chosen.name);
  if (recent) {
    const start = now - recent.hours * HOUR_MS;
    return { start, end: now, bucket: bucketOf(start, now, now) };
  }
  const start = Date.parse(chosen.from);
  // Without an end, up to now.
  const end = chosen.to === "" ? now : Date.parse(chosen.to);
  if (Number.isNaN(start)) return "Choose when the range begins.";
  if (Number.isNaN(end)) return "The end of the range is not a time.";
  if (end <= start) return "The range must end after it begins.";
  if (start < 0) return "The range must begin in 1970 or later.";
  if ((end - start) / BUCKET_MS.day > MAX_BUCKETS - 1)
    return `The range may be at most ${MAX_BUCKETS - 1} days long.`;
  return { start, end, bucket: bucketOf(start, end, now) };
}

/** Return the query that asks the API for a range. */
export function seriesQuery(range: Range): {
  bucket: Bucket;
  start_time: string;
  end_time: string;
} {
  return {
    bucket: range.bucket,
    start_time: new Date(range.start).toISOString(),
    end_time: new Date(range.end).toISOString(),
  };
}

/** Return a note on the time zone: days are those of UTC, as the server counts them. */
export function zoneNote(bucket: Bucket, zone: string): string {
  return bucket === "day" ? "Days are those of UTC" : `Times are in ${zone}`;
}

/** Return the name of the reader's time zone. */
export function ownZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}
