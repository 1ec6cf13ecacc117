import { beforeEach, expect, test } from "vitest";

import { slice } from "../src/lib/virtual";
import { KEPT, Requests } from "../src/lib/requests.svelte";
import { timeline } from "../src/lib/timeline";
import { sorted } from "../src/lib/columns.svelte";
import { parse, toggle } from "../src/lib/filter";
import { reason, works } from "../src/lib/outcome";
import { en } from "../src/lib/words/en";
import { access, line } from "./samples";

let list: Requests;
const paths = () => list.shown.map((it) => it.path);

beforeEach(() => {
  list = new Requests();
});

test("new lines show while nobody reads", () => {
  list.take([access({ path: "/1" }), access({ path: "/2" })]);
  list.take([access({ path: "/3" })]);
  expect(paths()).toEqual(["/1", "/2", "/3"]);
  expect(new Set(list.shown.map((it) => it.id)).size).toBe(3);
});

test("the list stays still while somebody reads, and counts", () => {
  list.take([access({ path: "/1" })]);
  list.read(true);
  list.take([access({ path: "/2" }), access({ path: "/3" })]);
  expect(paths()).toEqual(["/1"]);
  expect(list.fresh).toBe(2);
  list.catchUp();
  expect(paths()).toEqual(["/1", "/2", "/3"]);
  expect(list.fresh).toBe(0);
});

test("a pause outlives reading", () => {
  list.pause(true);
  list.read(true);
  list.take([access()]);
  list.read(false);
  expect(list.shown).toHaveLength(0);
  list.pause(false);
  expect(list.shown).toHaveLength(1);
});

test("the search looks at all of a line, old and new", () => {
  list.take([access({ path: "/a" }), access({ host: "hr", path: "/b", status: 503, code: "SC-BUSY" })]);
  list.find("hr busy");
  expect(paths()).toEqual(["/b"]);
  list.take([access({ path: "/c" }), access({ host: "HR", path: "/d", code: "SC-BUSY" })]);
  expect(paths()).toEqual(["/b", "/d"]);
  list.find("");
  expect(paths()).toEqual(["/a", "/b", "/c", "/d"]);
});

test("a list that is left while its search is changed shows the new search", () => {
  list.take([access({ path: "/a" })]);
  list.read(true);
  list.find("zzzz");
  list.take([access({ path: "/b" }), access({ path: "/zzzz" })]);
  // What a table does in its teardown, when nothing matches any more.
  list.read(false);
  expect(paths()).toEqual(["/zzzz"]);
});

test("the overview is not governed by the list", () => {
  list.find("zzzz");
  list.pause(true);
  list.take(Array.from({ length: 9 }, (_, n) => access({ path: `/${n}` })));
  expect(list.recent.map((it) => it.path)).toEqual(["/8", "/7", "/6", "/5", "/4", "/3"]);
  expect(list.shown).toEqual([]);
});

test("a filter holds when all its terms do", () => {
  const slow = line({ host: "erp", path: "/health", status: 502, total_ms: 700, bytes_down: 2_000_000 });
  const holds = (text: string) => parse(text)(slow);
  for (const text of ["status:5xx", "5xx", "status:502", "host:ER", ">500ms", "<1s", ">1MB", "-404", "path:/health 502", "is:failed", "-is:slow", "", "GET", '"erp/health"', "method:get"])
    expect(holds(text), text).toBe(true);
  for (const text of ["status:4xx", "host:hr", "-path:/health", ">1s", "status:5xx host:hr", "is:slow", "-5xx", "method:POST", "code:SC-BUSY"])
    expect(holds(text), text).toBe(false);
  // What is not understood is a word.
  expect([holds("status:many"), holds("is:odd"), holds("-")]).toEqual([false, false, false]);
  expect(parse("status:none")(line({ status: null }))).toBe(true);
});

test("a chip adds its term and takes it out again", () => {
  expect(toggle("erp", "is:failed")).toBe("erp is:failed");
  expect(toggle('is:failed "a b"', "is:failed")).toBe('"a b"');
});

test("any column sorts, the newer of equals first", () => {
  const lines = [line({ path: "/b", total_ms: 5 }), line({ path: "/a", total_ms: 9 }), line({ path: "/c", total_ms: 5 })].map(
    (it, id) => ({ ...it, id }),
  );
  const by = (column: "time" | "path" | "duration", down: boolean) => sorted(lines, { column, down }).map((it) => it.path);
  expect(by("time", true)).toEqual(["/c", "/a", "/b"]);
  expect(by("time", false)).toEqual(["/b", "/a", "/c"]);
  expect(by("path", false)).toEqual(["/a", "/b", "/c"]);
  expect(by("duration", true)).toEqual(["/a", "/c", "/b"]);
});

test("only success and a wish for a sign-in show that it works", () => {
  const all = [200, 204, 301, 401, 403, 404, 500, 502, null].map((status) => works(line({ status })));
  expect(all).toEqual([true, true, true, true, false, false, false, false, false]);
  expect(works(line({ status: 401, code: "SC-AUTH" }))).toBe(false);
  expect(reason(line({ status: 503, code: "SC-NOT-CONNECTED" }), en)).toBe(en.answers["SC-NOT-CONNECTED"][0]);
  expect(reason(line({ status: 418 }), en)).toBe(en.outcome.clientError);
  expect(reason(line({ status: null }), en)).toBe(en.requests.noStatus);
});

test("only matching lines are counted as new", () => {
  list.find("hr");
  list.read(true);
  list.take([access(), access({ host: "hr" })]);
  expect(list.fresh).toBe(1);
});

test("it is bounded, shown and waiting alike", () => {
  list.take(Array.from({ length: KEPT + 5 }, (_, n) => access({ path: `/${n}` })));
  expect(list.shown).toHaveLength(KEPT);
  list.take([access({ path: "/last" })]);
  expect(list.shown).toHaveLength(KEPT);
  expect(list.shown.at(-1)?.path).toBe("/last");
  list.read(true);
  list.take(Array.from({ length: KEPT + 5 }, () => access()));
  expect(list.fresh).toBe(KEPT);
});

test("what was missed is said", () => {
  list.take([{ is: "missed", lines: 7 }, access()]);
  expect(list.missed).toBe(7);
  list.clear();
  expect([list.missed, list.shown.length]).toEqual([0, 0]);
});

test("only rows in sight are drawn", () => {
  expect(slice(10_000, 28, 0, 560)).toEqual({ from: 0, to: 28 });
  expect(slice(10_000, 28, 28 * 5_000, 560)).toEqual({ from: 4_992, to: 5_028 });
  expect(slice(3, 28, 0, 560)).toEqual({ from: 0, to: 3 });
  expect(slice(3, 28, 9_999, 560)).toEqual({ from: 3, to: 3 });
  expect(slice(3, 0, 0, 560)).toEqual({ from: 0, to: 0 });
});

test("a timeline has its phases in order and fills the whole", () => {
  const phases = timeline(line({ waited_ms: 10, first_byte_ms: 60, total_ms: 100 }));
  expect(phases.map((it) => [it.name, it.left, it.width])).toEqual([
    ["waited", 0, 10],
    ["sent", 10, 50],
    ["receiving", 60, 40],
  ]);
  const unanswered = timeline(line({ waited_ms: 10, first_byte_ms: null, total_ms: 50 }));
  expect(unanswered.map((it) => it.name)).toEqual(["waited", "sent"]);
  // Nothing took any time: no division by it.
  const none = timeline(line({ waited_ms: 0, first_byte_ms: 0, total_ms: 0 }));
  expect(none.every((it) => it.left === 0 && it.width === 0)).toBe(true);
});
