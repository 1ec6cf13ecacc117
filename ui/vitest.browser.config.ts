import { defineConfig } from "vitest/config";

/** The built pages in a real browser, in front of a real engine. */
export default defineConfig({
  test: {
    include: ["browser/**/*.test.ts"],
    // A browser and an engine each: two processors are not enough for more at a time.
    fileParallelism: false,
    // An enrolment asks every ten seconds, and at most once a minute after a reset.
    testTimeout: 180_000,
    hookTimeout: 60_000,
  },
});
