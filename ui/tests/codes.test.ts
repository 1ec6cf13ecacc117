/** Every code that the engine may send has words in the window. */

import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { en } from "../src/lib/words/en";

/** The table of codes that is generated from the engine's own types. */
const docs = readFileSync("../docs/errors.md", "utf8");

test("every code of docs/errors.md is known", () => {
  const codes = [...docs.matchAll(/^\| `(SC-[A-Z-]+)`/gm)].map((it) => it[1] ?? "");
  expect(codes.length).toBeGreaterThan(60);
  const unknown = codes.filter((it) => !Object.hasOwn(en.answers, it) && !Object.hasOwn(en.failures, it));
  expect(unknown).toEqual([]);
});
