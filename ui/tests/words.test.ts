import { expect, test } from "vitest";

import { cs } from "../src/lib/words/cs";
import { en } from "../src/lib/words/en";

type Leaf = string | ((...args: never[]) => string);

/** Every word by its path. */
function leaves(of: object, path = ""): Map<string, Leaf> {
  const all = new Map<string, Leaf>();
  for (const [key, value] of Object.entries(of)) {
    if (value && typeof value === "object") {
      for (const [inner, word] of leaves(value, `${path}${key}.`)) all.set(inner, word);
    } else all.set(path + key, value);
  }
  return all;
}

/** A word as it comes out for likely arguments. */
function said(word: Leaf): string {
  return typeof word === "string" ? word : word(...(["443", "86", "12", "erp"] as never[]));
}

/** The same in both languages, and right so. */
const SHARED = [
  /^app$/,
  /^gateway\.(tls|port)$/,
  /^proxy\.(port|reverseTargetHint)$/,
  /^identity\.(tag|id)$/,
  /^settings\.languages\.(en|cs)$/,
  /^identity\.texts\.(opening|installing|resetting)$/,
  /^failures\.SC-OK\.do$/,
  /^gateway\.fingerprint$/,
  /^evidence\.addresses$/,
];

const english = leaves(en);
const czech = leaves(cs);

test("both languages have the same words", () => {
  expect([...czech.keys()].sort()).toEqual([...english.keys()].sort());
});

test("every word is translated, and takes as much", () => {
  for (const [path, word] of english) {
    const other = czech.get(path);
    expect(typeof other, path).toBe(typeof word);
    if (typeof word === "function") expect((other as typeof word).length, path).toBe(word.length);
    if (SHARED.some((it) => it.test(path))) continue;
    // A message of the engine is passed on as it is in English.
    if (typeof word === "function" && said(word) === "443") continue;
    expect(said(other as Leaf), path).not.toBe(said(word));
  }
});

test("nothing is empty by mistake, nothing shouts, nothing names a command", () => {
  for (const [path, word] of [...english, ...czech]) {
    const text = said(word);
    if (!SHARED.some((it) => it.test(path))) expect(text, path).not.toBe("");
    expect(text, path).not.toContain("!");
    expect(text, path).not.toContain("seacat-proxy ");
    expect(text, path).not.toContain("undefined");
  }
});

test("Czech counts as Czech does", () => {
  expect([1, 2, 5, 12].map((n) => cs.requests.fresh(n))).toEqual(["1 nový", "2 nové", "5 nových", "12 nových"]);
  expect([1, 3, 1500].map((n) => cs.requests.shown(n))).toEqual([
    "1 požadavek",
    "3 požadavky",
    `${(1500).toLocaleString("cs")} požadavků`,
  ]);
});

test("English counts as English does", () => {
  expect([1, 2].map((n) => en.requests.shown(n))).toEqual(["1 request", "2 requests"]);
});
