import { expect, test } from "vitest";

import { BAR_MS, BARS, bars, beginning, between, gaps, momentOf } from "../src/lib/day";
import { parse } from "../src/lib/filter";
import { line } from "./samples";

const NOW = new Date(2026, 10, 28, 10, 55, 30).getTime();
const at = (hours: number, minutes: number, day = 28) => new Date(2026, 10, day, hours, minutes).getTime();
const minute = (time_ms: number, well: number, failed: number) => ({ time_ms, well, failed, bytes: 5 });

test("minutes become bars of ten minutes, the last of them now", () => {
  const day = { minutes: [minute(NOW - 2 * 86_400_000, 9, 9), minute(at(10, 50), 1, 0), minute(at(10, 55), 2, 3)], changes: [] };
  const all = bars(day, NOW);
  expect(all).toHaveLength(BARS);
  expect(all[0]?.from).toBe(beginning(NOW));
  expect(all.at(-1)).toEqual({ from: at(10, 50), well: 3, failed: 3, bytes: 10 });
  expect(all.reduce((sum, it) => sum + it.well + it.failed, 0)).toBe(6);
});

test("a gap lasts until the next change, and begins in the picture", () => {
  const change = (time_ms: number, code: string | null) => ({ time_ms, connected: code === null, code });
  const changes = [change(1, "SC-DNS"), change(at(9, 0), null), change(at(10, 0), "SC-REFUSED")];
  expect(gaps(changes, NOW)).toEqual([
    { from: beginning(NOW), to: at(9, 0), code: "SC-DNS" },
    { from: at(10, 0), to: NOW, code: "SC-REFUSED" },
  ]);
  expect(gaps([change(1, null)], NOW)).toEqual([]);
});

test("a stretch of the day is a term that a person can read and type", () => {
  expect(between(at(10, 20), at(10, 20) + BAR_MS, NOW)).toBe("after:10:20 before:10:30");
  expect(between(at(10, 50), at(10, 50) + BAR_MS, NOW)).toBe("after:10:50");
  expect(momentOf("10:50", NOW)).toBe(at(10, 50));
  expect(momentOf("23:00", NOW)).toBe(at(23, 0, 27));
  for (const wrong of ["", "24:00", "1:60", "x"]) expect(momentOf(wrong, NOW)).toBe(null);
  const found = parse("after:10:20 before:10:30", NOW);
  expect(found(line({ time_ms: at(10, 25) }))).toBe(true);
  expect(found(line({ time_ms: at(10, 30) }))).toBe(false);
  expect(found(line({ time_ms: at(10, 19) }))).toBe(false);
  // Over midnight.
  const night = parse("after:23:50 before:00:10", NOW);
  expect(night(line({ time_ms: at(0, 5) }))).toBe(true);
  expect(night(line({ time_ms: at(0, 15) }))).toBe(false);
});
