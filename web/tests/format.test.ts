import { describe, expect, it } from "vitest";
import {
  ago,
  bytes,
  compact,
  counted,
  duration,
  money,
  shortMoment,
  withoutName,
} from "../src/format";

describe("a duration", () => {
  it.each([
    [0, "0 µs"],
    [999, "999 µs"],
    [1_500, "1.5 ms"],
    [138_000, "138 ms"],
    [999_700, "1.00 s"],
    [1_480_000, "1.48 s"],
    [30_000_000, "30.0 s"],
    [59_960_000, "1 m 00 s"],
    [127_400_000, "2 m 07 s"],
    [3_599_700_000, "1 h 00 m"],
    [7_920_000_000, "2 h 12 m"],
    [86_399_000_000, "1 d 00 h"],
    [200_000_000_000, "2 d 08 h"],
    [-5_000_000, "−5.00 s"],
  ])("of %i microseconds is written %s", (microseconds, text) => {
    expect(duration(microseconds)).toBe(text);
  });
});

describe("a count", () => {
  it.each([
    [0, "0 spans"],
    [1, "1 span"],
    [100_000, "100,000 spans"],
  ])("of %i has its noun in the right number", (value, text) => {
    expect(counted(value, "span")).toBe(text);
  });

  it.each([
    [842, "842"],
    [12_400, "12.4k"],
    [3_140_000, "3.14M"],
  ])("of %i is short when it has to be", (value, text) => {
    expect(compact(value)).toBe(text);
  });
});

describe("money", () => {
  it.each([
    [0, "$0.00"],
    [41.2, "$41.20"],
    [0.0123, "$0.012"],
    [0.00123, "$0.0012"],
    [0.00000001, "< $0.0001"],
  ])("of %d says something", (amount, text) => {
    expect(money(amount)).toBe(text);
  });
});

it("shows an age, and the date for older times", () => {
  const now = Date.parse("2026-11-29T12:00:00Z");
  const before = (seconds: number): string => ago(now - seconds * 1000, now);
  expect([0, 42, 180, 7_200, 5 * 86_400].map(before)).toEqual([
    "just now",
    "42 s ago",
    "3 min ago",
    "2 h ago",
    "5 d ago",
  ]);
  expect(before(60 * 86_400)).toContain("2026");
});

it("shows bytes in a suitable unit", () => {
  expect([59, 2_048, 20_480, 20 * 1024 * 1024, 3 * 1024 ** 3].map(bytes)).toEqual([
    "59 B",
    "2.0 KiB",
    "20 KiB",
    "20.0 MiB",
    "3.0 GiB",
  ]);
});

it("removes the name from a summary that is shown next to it", () => {
  expect(withoutName("Clerk: INV-1", "Clerk")).toBe("INV-1");
  expect(withoutName("Clerks: INV-1", "Clerk")).toBe("Clerks: INV-1");
  expect(withoutName(": INV-1", "")).toBe(": INV-1");
});

describe("a moment to the minute", () => {
  const at = new Date(2026, 2, 5, 7, 4).getTime();
  it.each([
    [new Date(2026, 11, 1).getTime(), "Mar 5, 07:04"],
    [new Date(2027, 0, 1).getTime(), "Mar 5, 2026, 07:04"],
  ])("has the year only in another one", (now, text) => {
    expect(shortMoment(at, now)).toBe(text);
  });
});
