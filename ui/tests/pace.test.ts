import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Pace, QUICK_MS, SLOW_MS } from "../src/lib/pace";

/** From one frame of the pretended display to the next. */
let frame = 16;
const shown: { at: number; all: number[] }[] = [];
let pace: Pace<number>;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  vi.stubGlobal("requestAnimationFrame", (call: (at: number) => void) => setTimeout(() => call(performance.now()), frame));
  shown.length = 0;
  pace = new Pace((all) => shown.push({ at: performance.now(), all }));
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Twenty a second for a second. */
function second() {
  for (let n = 0; n < 20; n += 1) {
    pace.push([n]);
    vi.advanceTimersByTime(50);
  }
}

test("the first are shown at once, and ten times a second on a quick display", () => {
  frame = 16;
  second();
  expect(shown[0]?.all).toEqual([0]);
  expect(shown.length).toBeLessThanOrEqual(1_000 / QUICK_MS + 1);
  expect(shown.length).toBeGreaterThanOrEqual(9);
  expect(shown.flatMap((it) => it.all)).toEqual([...Array(20).keys()]);
});

test("where painting is slow, twice a second, and nothing is lost", () => {
  frame = 120;
  second();
  shown.length = 0;
  second();
  expect(shown.length).toBeLessThanOrEqual(1_000 / SLOW_MS + 1);
  vi.advanceTimersByTime(SLOW_MS);
  expect(shown.at(-1)?.all.at(-1)).toBe(19);
});

test("what waits is forgotten when nobody follows any more", () => {
  frame = 16;
  pace.push([1]);
  pace.stop();
  vi.advanceTimersByTime(1_000);
  expect(shown).toEqual([]);
});
