/** The labels of times on an axis. */

/** Return a tick's label: the units of its step and no digits that say nothing. */
export function tickLabel(at: number): string {
  if (at < 0) return `−${tickLabel(-at)}`;
  if (at === 0) return "0";
  if (at < 1e3) return `${at} µs`;
  if (at < 1e6) return `${trimmed(at / 1e3)} ms`;
  const seconds = at / 1e6;
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ] as const;
  return parts
    .filter(([value]) => value > 0)
    .map(([value, unit]) => `${trimmed(value)} ${unit}`)
    .join(" ");
}

function trimmed(value: number): string {
  return String(Number(value.toFixed(6)));
}
