/** Every code that the engine may send has words in the window. */

import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { toldEvidence } from "../src/lib/told";
import type { Fact, StepView } from "../src/lib/types";
import { cs } from "../src/lib/words/cs";
import { en } from "../src/lib/words/en";
import type { FactCode } from "../src/lib/words/evidence.en";

/** The table of codes that is generated from the engine's own types. */
const docs = readFileSync("../docs/errors.md", "utf8");
const types = readFileSync("src/lib/types.ts", "utf8").replace(/^[^]*export type Fact = /, "").replace(/;\n[^]*$/, "");

test("every code of docs/errors.md is known", () => {
  const codes = [...docs.matchAll(/^\| `(SC-[A-Z-]+)`/gm)].map((it) => it[1] ?? "");
  expect(codes.length).toBeGreaterThan(60);
  const unknown = codes.filter((it) => !Object.hasOwn(en.answers, it) && !Object.hasOwn(en.failures, it));
  expect(unknown).toEqual([]);
});

/** The engine's facts and the names of their values, from its own types. */
const facts = [...types.matchAll(/"is": "(\w+)"([^}]*)/g)].map(([, code = "", values = ""]) => ({
  code,
  names: [...values.matchAll(/(\w+): /g)].map((it) => it[1] ?? "").sort(),
}));

test.each([
  ["English", en],
  ["Czech", cs],
])("every fact of a diagnosis is told in %s, with all its values", (_, { evidence }) => {
  const told = facts.filter((it) => Object.hasOwn(evidence, it.code));
  expect(told.length).toBe(Object.keys(evidence).length);
  for (const { code, names } of told) {
    const text = evidence[code as FactCode];
    const used = [...text.matchAll(/\{(\w+)\}/g)].map((it) => it[1] ?? "").sort();
    expect(used, code).toEqual(names);
  }
});

test("what a step has seen is told in the window's language, and in English where there are no words", () => {
  const step = (facts: Fact[]): StepView => ({
    id: "tcp",
    state: "failed",
    ms: 1,
    evidence: "the engine's own words",
    facts,
    advice: null,
    code: null,
  });
  const wrong: Fact = { is: "wrong", code: "SC-NOT-TLS", message: "the answer is not TLS", params: {} };
  const all: Fact[] = [
    { is: "accepts", address: "192.0.2.7:443" },
    { is: "today", date: "2026-11-26" },
    { is: "identity", state: "enrolled", sentence: "enrolled", valid_until: "2027-01-02" },
    wrong,
  ];
  expect(toldEvidence(step(all), cs, "cs").split("\n")).toEqual([
    "192.0.2.7:443 přijímá spojení",
    "Podle tohoto počítače je dnes 26. listopadu 2026",
    "Registrováno do 2. ledna 2027",
    cs.failures["SC-NOT-TLS"].what,
  ]);
  expect(toldEvidence(step([wrong]), en, "en-GB")).toBe("The answer is not TLS");
  for (const unknown of [[], [{ is: "of a later engine" } as never]])
    expect(toldEvidence(step(unknown), cs, "cs")).toBe("the engine's own words");
});
