// @vitest-environment jsdom

import { beforeEach, expect, test, vi } from "vitest";

import type { Answer, Request } from "../src/lib/types";
import { settings as view } from "./samples";

const asked: Request[] = [];
let answers: ((request: Request) => Answer)[] = [];
vi.mock("../src/lib/bridge", () => ({
  bridge: {
    ask: async (request: Request) => {
      asked.push(request);
      return answers.shift()?.(request) ?? { is: "error", message: "nobody answers" };
    },
  },
}));
const { Form } = await import("../src/lib/form.svelte");

beforeEach(() => {
  asked.length = 0;
  answers = [];
});

function form() {
  const form = new Form(["proxy.port", "gateway"]);
  form.show(view());
  return form;
}

test("only what changed is sent", () => {
  const it = form();
  expect(it.changed).toBe(false);
  it.draft!["proxy.port"] = 3129;
  expect(it.change).toEqual({ values: { "proxy.port": 3129 } });
  it.revert();
  expect(it.changed).toBe(false);
  it.draft!.gateway[0]!.host = "other";
  it.autostart = true;
  expect(it.change).toMatchObject({ values: { gateway: [{ host: "other" }] }, autostart: true });
});

test("settings that are read again leave what is being typed alone", () => {
  const it = form();
  it.draft!["proxy.port"] = 3129;
  it.show(view({ gateway: [] }));
  expect(it.draft!["proxy.port"]).toBe(3129);
  expect(it.draft!.gateway).toEqual([]);
});

test("what the engine says stands under its field, problems first", async () => {
  const it = form();
  it.draft!.gateway[0]!.port = 80;
  const note = { field: "gateway.0.port", message: "m", code: "reachability", params: {} } as const;
  answers = [() => ({ is: "checked", problems: [], advice: [note], authorities: [] })];
  await it.check();
  expect(asked).toMatchObject([{ do: "check_settings", change: { values: { gateway: [{ port: 80 }] } } }]);
  expect(it.note("gateway.0.port")).toEqual({ note, wrong: false });
  const problem = { ...note, code: "invalid" } as const;
  answers = [() => ({ is: "checked", problems: [problem], advice: [note], authorities: [] })];
  await it.check();
  expect(it.note("gateway.0.port")).toEqual({ note: problem, wrong: true });
  expect(it.note("proxy.port")).toBeNull();
});

test("an older check does not overwrite a newer one", async () => {
  const it = form();
  let late: (answer: Answer) => void = () => {};
  answers = [() => new Promise<Answer>((resolve) => (late = resolve)) as never, () => ({ is: "checked", problems: [], advice: [], authorities: [] })];
  const first = it.check();
  await it.check();
  late({ is: "checked", problems: [{ field: "", message: "old", code: "invalid", params: {} }], advice: [], authorities: [] });
  await first;
  expect(it.problems).toEqual([]);
});

test("what cannot be saved stays in the form", async () => {
  const it = form();
  it.draft!["proxy.port"] = 1;
  const problem = { field: "proxy.port", message: "taken", code: "port_taken", params: {} } as const;
  answers = [() => ({ is: "checked", problems: [problem], advice: [], authorities: [] })];
  expect(await it.save()).toBe(false);
  expect([it.changed, it.problems.length, it.saving]).toEqual([true, 1, false]);
  answers = [() => ({ is: "error", message: "disk full" })];
  expect(await it.save()).toBe(false);
  expect(it.problems).toMatchObject([{ field: "", message: "disk full" }]);
});

test("what was saved is no change any more", async () => {
  const it = form();
  it.draft!["proxy.port"] = 3129;
  answers = [
    () => ({ is: "saved", restart_for: [] }),
    () => ({ is: "settings", settings: view({ "proxy.port": 3129 }) }),
  ];
  expect(await it.save()).toBe(true);
  expect(asked.map((it) => it.do)).toEqual(["save_settings", "settings"]);
  expect([it.changed, it.saved]).toEqual([false, { restart: false }]);
});

test("the organisation's settings are locked", () => {
  const it = new Form(["proxy.port"]);
  it.show(view({}, ["proxy.port"]));
  expect(it.locked("proxy.port")).toBe(true);
});
