/** How figures are written: durations, moments, counts and money. */

const MICROSECONDS = { second: 1e6, minute: 60e6, hour: 3600e6, day: 86_400e6 };

/** Return a duration in microseconds with the two units that matter: `2 h 05 m`, `1.48 s`, `38 ms`. */
export function duration(microseconds: number): string {
  const { second, minute, hour, day } = MICROSECONDS;
  if (microseconds < 0) return `−${duration(-microseconds)}`;
  if (microseconds < 1000) return `${Math.round(microseconds)} µs`;
  if (microseconds < 9_950) return `${fixed(microseconds / 1000, 1)} ms`;
  if (microseconds < 999_500) return `${Math.round(microseconds / 1000)} ms`;
  if (microseconds < 9.995 * second) return `${fixed(microseconds / second, 2)} s`;
  if (microseconds < 59.95 * second) return `${fixed(microseconds / second, 1)} s`;
  // Rounded to the smaller unit first, so that 59.6 seconds never become "60 s".
  if (Math.round(microseconds / second) < 3600) {
    const seconds = Math.round(microseconds / second);
    return `${Math.floor(seconds / 60)} m ${two(seconds % 60)} s`;
  }
  if (Math.round(microseconds / minute) < 1440) {
    const minutes = Math.round(microseconds / minute);
    return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} m`;
  }
  const hours = Math.round(microseconds / hour);
  return `${Math.floor((hours * hour) / day)} d ${two(hours % 24)} h`;
}

/** Return a whole number with thin groups of thousands. */
export function count(value: number): string {
  return GROUPED.format(value);
}

/** Return a number with its noun, in the plural unless it is one: `1 span`, `3,210 spans`. */
export function counted(value: number, noun: string, plural = `${noun}s`): string {
  return `${count(value)} ${value === 1 ? noun : plural}`;
}

/** Return a large number in four characters or fewer and a unit: `842`, `12.4k`, `3.1M`. */
export function compact(value: number): string {
  return COMPACT.format(value).toLowerCase().replace("m", "M").replace("b", "B");
}

/** Return an amount of money with as many digits as it needs to say something. */
export function money(amount: number, currency = "USD"): string {
  if (amount !== 0 && Math.abs(amount) < 0.0001) return `< ${money(0.0001, currency)}`;
  const digits = amount === 0 || Math.abs(amount) >= 1 ? 2 : Math.abs(amount) >= 0.01 ? 3 : 4;
  return new Intl.NumberFormat("en", {
    style: "currency",
    currency,
    minimumFractionDigits: 2,
    maximumFractionDigits: digits,
  }).format(amount);
}

/** Return a difference of money, however small, with the two digits that say most. */
export function moneyDifference(amount: number, currency = "USD"): string {
  if (amount >= 0.01) return money(amount, currency);
  return new Intl.NumberFormat("en", {
    style: "currency",
    currency,
    maximumSignificantDigits: 2,
  }).format(amount);
}

/** Return a summary without the name that is shown next to it. */
export function withoutName(summary: string, name: string): string {
  return name !== "" && summary.startsWith(`${name}: `) ? summary.slice(name.length + 2) : summary;
}

/** Return how long ago a moment was, both in milliseconds since 1970. */
export function ago(moment: number, now: number): string {
  const seconds = Math.max(0, Math.round((now - moment) / 1000));
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  if (seconds < 14 * 86_400) return `${Math.floor(seconds / 86_400)} d ago`;
  return DAY.format(moment);
}

/** Return a moment, in milliseconds since 1970, to the second and in the reader's own time zone. */
export function moment(milliseconds: number): string {
  return MOMENT.format(milliseconds);
}

/** Return a moment to the minute, without the year if that is the current one. */
export function shortMoment(milliseconds: number, now: number): string {
  const isThisYear = new Date(milliseconds).getFullYear() === new Date(now).getFullYear();
  return (isThisYear ? MINUTE : MINUTE_AND_YEAR).format(milliseconds);
}

/** Return bytes in the largest unit that leaves a number above one. */
export function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  if (value < 1024 * 1024) return `${fixed(value / 1024, value < 10_240 ? 1 : 0)} KiB`;
  if (value < 1024 ** 3) return `${fixed(value / 1024 / 1024, 1)} MiB`;
  return `${fixed(value / 1024 ** 3, 1)} GiB`;
}

const GROUPED = new Intl.NumberFormat("en");
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const DAY = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", year: "numeric" });
const MOMENT = new Intl.DateTimeFormat("en", {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const TO_MINUTES = {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
} as const;
const MINUTE = new Intl.DateTimeFormat("en", TO_MINUTES);
const MINUTE_AND_YEAR = new Intl.DateTimeFormat("en", { ...TO_MINUTES, year: "numeric" });

function fixed(value: number, digits: number): string {
  return value.toFixed(digits);
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
