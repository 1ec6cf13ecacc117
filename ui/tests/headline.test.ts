import { expect, test } from "vitest";

import { cardFor } from "../src/lib/card";
import { facts } from "../src/lib/facts";
import { headline, mark } from "../src/lib/headline";
import { identityText, identityTitle } from "../src/lib/identity";
import { kindOf, toldFailure, toldFinding } from "../src/lib/told";
import type { Word } from "../src/lib/types";
import { cs } from "../src/lib/words/cs";
import { en } from "../src/lib/words/en";
import { identity, status } from "./samples";

const failure = { code: "SC-TIMED-OUT", title: "t", message: "the TCP connection took longer than 20 s", permanent: false, params: {} };

test("each state has a mark, a title and one action", () => {
  const all: [Word, string, string, string | null][] = [
    ["off", "off", "Disconnected", "connect"],
    ["connecting", "connecting", "Connecting to gw.example.com", "disconnect"],
    ["connected", "connected", "Connected to gw.example.com", "disconnect"],
    ["waiting", "waiting", "Not connected", "retry"],
    ["stopped", "attention", "Not connected", "retry"],
    ["draining", "connecting", "Finishing running requests", null],
  ];
  for (const [state, shape, title, action] of all) {
    expect(headline(status({ state }), en)).toEqual({ mark: shape, title, action });
  }
});

test("no network has words of its own", () => {
  const lost = { ...failure, code: "SC-UNREACHABLE" };
  expect(headline(status({ state: "waiting", failure: lost }), en).title).toBe("No network");
});

test("without a gateway nothing looks connected, and nothing looks broken", () => {
  const none = { ...failure, code: "SC-NO-GATEWAY", permanent: true };
  const view = status({ state: "stopped", gateway: null, failure: none });
  expect(headline(view, en)).toEqual({ mark: "off", title: "Choose a gateway", action: null });
  expect(cardFor(view, en, "en")).toMatchObject({ id: "SC-NO-GATEWAY", kind: "quiet", to: "gateway" });
});

test("what waits for an administrator is no alarm in a diagnosis either", () => {
  const of = (code: string, ok = false) => kindOf({ code, ok, message: "", meaning: "", advice: "", params: {} });
  expect(["SC-OK", "SC-WAITING-FOR-APPROVAL", "SC-ENROLLING", "SC-REJECTED"].map((it) => of(it, it === "SC-OK"))).toEqual([
    "ok",
    "wait",
    "wait",
    "alarm",
  ]);
});

test("an identity that needs somebody shows in the mark, as in the panel", () => {
  const of = (word: string, expiring = false) => mark(status({ identity: identity(word, { expiring }) }));
  expect(["enrolled", "waiting", "revoked", "rejected", "locked"].map((it) => of(it))).toEqual([
    "connected",
    "waiting",
    "waiting",
    "attention",
    "attention",
  ]);
  expect(of("enrolled", true)).toBe("attention");
  expect(mark(status({ state: "off", identity: identity("rejected") }))).toBe("off");
});

test("a certificate that the gateway has not confirmed is not called registered", () => {
  const one = identity("enrolled", { confirmed: null });
  expect(identityTitle(one, en, "en")).toContain("not confirmed");
  expect(identityText(one, en)).toBe(en.identity.unconfirmedText);
  expect(identityTitle(identity("enrolled"), en, "en")).toMatch(/^Registered until/);
});

test("facts grow older between two statuses", () => {
  const at = new Date("2026-11-25T09:13:00").getTime();
  expect(facts(status(), 2_000, at, en, "en")).toEqual(["12 ms", "answered 6 s ago", "TLS 1.3", "since 09:11"]);
  const yesterday = status({ connected_ms: 86_400_000 });
  expect(facts(yesterday, 0, at, en, "en")[3]).toBe("since Nov 24 09:13");
  const waiting = status({ state: "waiting", next_attempt_ms: 12_000 });
  expect(facts(waiting, 500, at, en, "en")).toEqual(["next attempt in 12 s"]);
  expect(facts(waiting, 12_000, at, en, "en")).toEqual(["next attempt now"]);
});

test("there is a card when a person must act, and only then", () => {
  expect(cardFor(status(), en, "en")).toBeNull();
  const stopped = cardFor(status({ state: "stopped", failure }), en, "en");
  expect(stopped).toMatchObject({ id: "SC-TIMED-OUT", kind: "alarm", to: "diagnostics" });
  const waiting = cardFor(status({ identity: identity("waiting") }), en, "en");
  expect(waiting).toMatchObject({ id: "waiting", tag: "[OY4PHTSP5YAU5AUK]", to: "identity" });
  expect(cardFor(status({ identity: identity("enrolled", { expiring: true }) }), en, "en")?.id).toBe("expiring");
  expect(cardFor(status({ demo: true }), en, "en")?.id).toBe("demo");
});

test("a failure without words of ours is told in the engine's", () => {
  const odd = { code: "SC-NEW", title: "t", message: "something new", permanent: true, params: {} };
  const card = cardFor(status({ state: "stopped", failure: odd, advice: "do this" }), en, "en");
  expect(card).toMatchObject({ title: "Something new", text: "Do this" });
});

test("a failure names what it knows, and says it without names otherwise", () => {
  const ca = { code: "SC-CERT-CA", title: "t", message: "m", permanent: true };
  const named = toldFailure({ ...ca, params: { issuer: "CN=X" } }, null, cs);
  expect(named.what).toBe("Certifikát brány vydal „CN=X“, kterému zde nevěříme");
  expect(named.detail).toBeNull();
  expect(toldFailure({ ...ca, params: {} }, null, cs)).toMatchObject({
    what: "Certifikát brány vydala autorita, které zde nevěříme",
    detail: "m",
  });
});

test("a finding is told in the window's language, and in English as the engine says it", () => {
  const finding = { code: "SC-OFF", ok: false, message: "it is off", meaning: "m", advice: "`seacat-proxy connect`", params: {} };
  expect(toldFinding(finding, en, "en")).toMatchObject({ what: "It is off", do: "Choose Connect under Overview." });
  expect(toldFinding(finding, cs, "cs")).toMatchObject({ what: "SeaCat Proxy byla od brány odpojena", detail: "it is off" });
  const named = { ...finding, message: "gw is a web server", params: { host: "gw" } };
  expect(toldFinding(named, en, "en").what).toBe("gw is a web server");
  const odd = { ...finding, code: "SC-NEW" };
  expect(toldFinding(odd, cs, "cs")).toMatchObject({ what: "It is off", do: "`seacat-proxy connect`" });
});
