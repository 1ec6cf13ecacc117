import { expect, test } from "vitest";

import lock from "../package-lock.json?raw";
import { asCurl, asPowerShell, CLIENTS, clientSettings } from "../src/lib/client_settings";
import { blank, hasOwnAuthority, isBlank, set, setPins, trust } from "../src/lib/gateways";
import { optional, port, say } from "../src/lib/notes";
import { firstRun, standings } from "../src/lib/first_run.svelte";
import { minute, SECONDS, Traffic } from "../src/lib/traffic.svelte";
import type { FirstRunStep, NoteCode } from "../src/lib/types";
import { en } from "../src/lib/words/en";
import { identity, line, status } from "./samples";

test("every client gets what it can use", () => {
  expect(CLIENTS.slice(2).map((it) => clientSettings(it, "127.0.0.1:3128"))).toEqual([
    "curl -x http://127.0.0.1:3128 ",
    "git config --global http.proxy http://127.0.0.1:3128",
    "-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=3128",
    "http://127.0.0.1:3128/proxy.pac",
  ]);
  expect(clientSettings("java", "[::1]:3128")).toBe("-Dhttp.proxyHost=::1 -Dhttp.proxyPort=3128");
});

test("a request can be repeated with curl, and stays one request", () => {
  const at = "127.0.0.1:3128";
  // -g: brackets in a path are no list of requests.
  expect(asCurl(line({ path: "/g[1-3]x" }), at)).toBe(`curl -g -x http://${at} 'http://erp/g[1-3]x'`);
  expect(asCurl(line({ path: "/it's" }), at)).toBe(`curl -g -x http://${at} 'http://erp/it'\\''s'`);
  expect(asCurl(line({ method: "POST" }), at)).toBe(`curl -g -x http://${at} -X 'POST' 'http://erp/orders'`);
  expect(asCurl(line({ method: "CONNECT", host: "erp:443" }), at)).toBe(`curl -g -x http://${at} 'https://erp:443/'`);
  // A method may hold what a shell obeys (RFC 9110, section 5.6.2).
  expect(asCurl(line({ method: "A`b`$C" }), at)).toContain("-X 'A`b`$C'");
  expect(asPowerShell(line({ path: "/it's" }), at)).toBe(`curl.exe -g -x http://${at} 'http://erp/it''s'`);
});

test("rates are differences, and a new connection begins at nought", () => {
  const traffic = new Traffic();
  traffic.take(status({ bytes_in: 1_000, bytes_out: 10 }), 0);
  traffic.take(status({ bytes_in: 3_000, bytes_out: 20 }), 2_000);
  traffic.take(status({ bytes_in: 500, bytes_out: 0 }), 3_000);
  traffic.take(status({ state: "waiting", bytes_in: 500, bytes_out: 0 }), 4_000);
  expect(traffic.samples).toEqual([
    { down: 1_000, up: 5, rtt: 12 },
    { down: 500, up: 0, rtt: 12 },
    { down: 0, up: 0, rtt: null },
  ]);
});

test("the picture is of the last minute, and one value alone is drawn", () => {
  const traffic = new Traffic();
  for (const at of [0, 1_000, 2_000]) traffic.take(status(), at);
  expect(traffic.samples.length).toBe(2);
  // The window was hidden meanwhile.
  traffic.take(status({ bytes_in: 1_000_000 }), 600_000);
  expect(traffic.samples).toEqual([]);
  traffic.take(status({ bytes_in: 1_000_500 }), 601_000);
  expect(traffic.samples).toEqual([{ down: 500, up: 0, rtt: 12 }]);

  const drawn = (line: (number | null)[]) => minute(line).filter((it) => it !== null);
  expect(minute([]).length).toBe(SECONDS);
  expect([drawn([]), drawn([7]), drawn([7, 8]), drawn([0, null, 5, null])]).toEqual([[], [7, 7], [7, 7, 8], [0, 0, 5, 5]]);
  expect(minute([...Array(70).keys()])).toEqual([...Array(70).keys()].slice(-SECONDS));
});

test("the first run shows one step, and the same in its line of steps", () => {
  const shown = (step: FirstRunStep, wanted: FirstRunStep | null) => {
    firstRun.view = { due: true, step, later: false, builtin: false, locked: false, address: null, request_seen: false };
    firstRun.wanted = wanted;
    return firstRun.step;
  };
  expect(shown("approval", null)).toBe("approval");
  expect(shown("approval", "identity")).toBe("approval");
  expect(shown("identity", "approval")).toBe("identity");
  expect(shown("approval", "gateway")).toBe("gateway");
  expect(shown("identity", "address")).toBe("address");
  expect(shown("address", "identity")).toBe("identity");
});

test("a step is ticked because it holds, not because it was left", () => {
  const view = { due: true, step: "approval", later: false, builtin: false, locked: false, address: null, request_seen: false } as const;
  const of = (change: Parameters<typeof status>[0]) => {
    const { gateway, identity: who, approval } = standings(view, status(change));
    return [gateway, who, approval];
  };
  expect(of({ state: "stopped" })).toEqual(["open", "open", "open"]);
  expect(of({ identity: identity("making_key") })).toEqual(["holds", "open", "open"]);
  expect(of({ identity: identity("waiting") })).toEqual(["holds", "holds", "open"]);
  expect(of({ identity: identity("enrolled") })).toEqual(["holds", "holds", "holds"]);
  // What never happens is not ticked.
  expect(of({ demo: true })).toEqual(["holds", "skipped", "skipped"]);
});

test("an own authority without a certificate stays chosen", () => {
  const gateway = blank();
  trust(gateway, "own");
  expect([gateway.ca_pem, hasOwnAuthority(gateway), isBlank(gateway)]).toEqual(["", true, false]);
  trust(gateway, "public");
  expect([hasOwnAuthority(gateway), isBlank(gateway)]).toEqual([false, true]);
});

test("ports stay what was typed until they are numbers", () => {
  expect([port(" 443 "), port("44x"), port("")]).toEqual([443, "44x", ""]);
  expect([optional("  "), optional("a")]).toEqual([null, "a"]);
});

test("a gateway's empty texts are left out", () => {
  const gateway = blank();
  set(gateway, "host", "gw");
  setPins(gateway, "sha256/a\n sha256/b");
  expect(gateway).toMatchObject({ host: "gw", pin: ["sha256/a", "sha256/b"] });
  set(gateway, "host", " ");
  setPins(gateway, "");
  expect(isBlank(gateway)).toBe(true);
});

test("every note has words", () => {
  const codes: NoteCode[] = [
    "invalid",
    "required",
    "unknown",
    "locked",
    "conflict",
    "port_taken",
    "file",
    "broken_file",
    "not_saved",
    "reachability",
    "overridden",
    "restart",
  ];
  for (const code of codes) expect(say({ field: "", message: "why", code, params: {} }, en)).not.toBe("");
  const taken = { field: "proxy.port", message: "", code: "port_taken", params: { owner: "squid (7)", free: "3129" } };
  expect(say(taken as never, en)).toBe("squid (7) uses this port; 3129 is free");
});

test("the lock file names no registry", () => {
  expect(lock.length).toBeGreaterThan(1_000);
  expect(lock).not.toContain('"resolved"');
});
