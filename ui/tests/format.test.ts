import { expect, test } from "vitest";

import { bytes, coarse, day, duration, rate } from "../src/lib/format";

test("numbers carry units", () => {
  expect([0.04, 0.2, 9.94, 12, 131.4, 999.4].map((ms) => duration(ms, "en"))).toEqual([
    "0 ms",
    "0.2 ms",
    "9.9 ms",
    "12 ms",
    "131 ms",
    "999 ms",
  ]);
  expect([999.5, 1_240, 59_000, 180_000, 9_000_000].map((ms) => duration(ms, "en"))).toEqual([
    "1.0 s",
    "1.2 s",
    "59 s",
    "3 min",
    "3 h",
  ]);
  expect([0, 999, 1_100, 12_000, 999_500, 3_100_000].map((n) => bytes(n, "en"))).toEqual([
    "0 B",
    "999 B",
    "1.1 kB",
    "12 kB",
    "1.0 MB",
    "3.1 MB",
  ]);
  expect(rate(3_100_000, "en")).toBe("3.1 MB/s");
});

test("ages do not flicker", () => {
  expect([0, 999, 1_999, 119_000, 120_000].map((ms) => coarse(ms, "en"))).toEqual([
    "0 s",
    "0 s",
    "1 s",
    "119 s",
    "2 min",
  ]);
});

test("Czech writes a comma", () => {
  expect(duration(1_240, "cs")).toBe("1,2 s");
});

test("days are written as people write them", () => {
  expect(day("2027-01-02", "en-GB")).toBe("2 January 2027");
  expect(day("2027-01-02", "cs")).toBe("2. ledna 2027");
  expect(day("an unknown day", "en")).toBe("an unknown day");
});
