/** A gateway of one's own: typed, tested, its CA pasted, saved, enrolled, approved, and the identity reset. */

import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { Engine, freePort, program, until } from "./engine.ts";
import { by, PICTURES, violations, Windows } from "./window.ts";

let gateway: { folder: string; port: number; ca: string; child: ChildProcess };
let engine: Engine;
let windows: Windows;

async function startGateway() {
  const folder = await mkdtemp(join(tmpdir(), "seacat-gw-"));
  execFileSync(program("seacat-gateway"), ["init", ".", "--name", "localhost"], { cwd: folder, stdio: "ignore" });
  const port = await freePort();
  const config = `
[gateway]
listen = "127.0.0.1:${port}"
certificate = "server.pem"
key = "server.key"

[enroll]
mode = "pending"
validity = 3600
`;
  await writeFile(join(folder, "gateway.toml"), config);
  const child = spawn(program("seacat-gateway"), ["run", "--config", "gateway.toml"], { cwd: folder, stdio: "ignore" });
  await until("the gateway", () => {
    return new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => resolve(true)).on("error", () => resolve(false));
      socket.on("connect", () => socket.destroy());
    });
  });
  return { folder, port, ca: readFileSync(join(folder, "ca.pem"), "utf8"), child };
}

function administer(...args: string[]): string {
  return execFileSync(program("seacat-gateway"), [...args, "--config", "gateway.toml"], { cwd: gateway.folder, encoding: "utf8" });
}

beforeAll(async () => {
  gateway = await startGateway();
  // Not a gateway yet, and a first run that somebody has left: the pages are shown.
  engine = await Engine.start("[proxy]\nport = 0\n\n# a remark of mine\n[identity]\nkey_store = \"file\"\n");
  windows = await Windows.open(engine.socket);
});

afterAll(async () => {
  await windows?.close();
  await engine?.stop();
  gateway?.child.kill("SIGKILL");
  if (gateway) await rm(gateway.folder, { recursive: true, force: true });
});

test("a gateway of one's own, from its name to an identity", async () => {
  const { page, context, faults } = await windows.window("overview");
  await by(page, "first-later").click();
  await by(page, "nav-gateway").click();
  await by(page, "gateway-host").fill("localhost");
  await by(page, "gateway-port").fill(String(gateway.port));
  // The reachability of a port of one's own stands under it.
  await page.getByText("Blocked by 14 % of networks").waitFor();

  // Without its CA it is not believed, and the steps say so.
  await by(page, "test-gateway").click();
  await by(page, "finding").waitFor();
  expect(await by(page, "finding").getAttribute("data-code")).toBe("SC-CERT-CA");
  expect(await by(page, "step-tcp").getAttribute("data-state")).toBe("ok");
  expect(await by(page, "step-issuer").getAttribute("data-state")).toBe("failed");
  expect(await violations(page)).toEqual([]);
  await by(page, "finding").scrollIntoViewIfNeeded();
  await page.screenshot({ path: join(PICTURES, "gateway-test-failed-en-light-920.png") });

  // Half a certificate is none; the whole one is shown with its fingerprint.
  await by(page, "gateway-trust-own").check();
  await by(page, "gateway-ca").fill(gateway.ca.slice(0, 100));
  await expect.poll(() => by(page, "gateway-ca").getAttribute("aria-invalid")).toBe("true");
  expect(await by(page, "save").isDisabled()).toBe(true);
  await by(page, "gateway-ca").fill(gateway.ca);
  const print = new X509Certificate(gateway.ca).fingerprint256;
  await expect.poll(async () => (await by(page, "gateway-authority").textContent())?.replace(/\s/g, "")).toContain(print);
  expect(await by(page, "gateway-authority").textContent()).toMatch(/([bdfghjklmnprstvz][aiou]){2}[bdfghjklmnprstvz] /);
  await by(page, "test-gateway").click();
  await expect.poll(() => by(page, "test-said").textContent()).toContain("Gateway reached");
  expect(await by(page, "step-seacat").getAttribute("data-state")).toBe("ok");
  await by(page, "steps").scrollIntoViewIfNeeded();
  await page.screenshot({ path: join(PICTURES, "gateway-test-ok-en-light-920.png") });

  await by(page, "save").click();
  await expect.poll(() => by(page, "saved").textContent()).toBe("Saved");
  expect(readFileSync(engine.config, "utf8")).toContain("# a remark of mine");
  await by(page, "nav-overview").click();
  await expect.poll(() => by(page, "state").textContent(), { timeout: 10_000 }).toBe("Connected to localhost");

  // It has asked for a certificate by itself: the tag is there to be sent.
  await by(page, "nav-identity").click();
  const state = () => by(page, "identity-state").getAttribute("data-state");
  await expect.poll(state, { timeout: 20_000 }).toBe("waiting");
  const tag = (await by(page, "client-tag").textContent()) ?? "";
  expect(administer("pending")).toContain(tag.replace(/[[\]]/g, ""));
  const size = await by(page, "client-tag").evaluate((it) => getComputedStyle(it).fontSize);
  expect(size).toBe("28px");
  expect(await violations(page)).toEqual([]);
  await page.screenshot({ path: join(PICTURES, "identity-waiting-en-light-920.png") });
  await by(page, "nav-overview").click();
  await expect.poll(() => by(page, "card").getAttribute("data-card")).toBe("waiting");
  await page.screenshot({ path: join(PICTURES, "overview-waiting-en-light-920.png") });

  administer("approve", tag);
  await by(page, "nav-identity").click();
  await expect.poll(state, { timeout: 30_000 }).toBe("enrolled");
  expect(await violations(page)).toEqual([]);
  await page.screenshot({ path: join(PICTURES, "identity-enrolled-en-light-920.png") });

  await by(page, "export-certificate").waitFor();

  // A reset asks first; Cancel leaves everything as it is.
  await by(page, "identity-reset").click();
  await by(page, "reset-cancel").click();
  expect(await state()).toBe("enrolled");
  await by(page, "identity-reset").click();
  await by(page, "reset-confirm").click();
  await expect.poll(async () => (await by(page, "client-tag").count()) && (await by(page, "client-tag").textContent()) !== tag, {
    timeout: 20_000,
  }).toBe(true);
  expect(faults).toEqual([]);
  await context.close();
});

test("a gateway that is gone is told within three seconds, in Czech too", async () => {
  const { page, context } = await windows.window("overview", { lang: "cs", theme: "dark" });
  const state = () => by(page, "state").getAttribute("data-state");
  await expect.poll(state).toBe("connected");
  gateway.child.kill("SIGKILL");
  await expect.poll(state, { timeout: 3_000 }).not.toBe("connected");
  // Lost first, then tried again and refused.
  await expect.poll(() => by(page, "card").getAttribute("data-card"), { timeout: 20_000 }).toBe("SC-TCP-REFUSED");
  expect(await violations(page)).toEqual([]);
  await page.screenshot({ path: join(PICTURES, "overview-refused-cs-dark-920.png") });
  await by(page, "card-action").click();
  await by(page, "finding").waitFor();
  expect(await by(page, "finding").getAttribute("data-code")).toBe("SC-TCP-REFUSED");
  // What the steps have seen is told in the window's language, too.
  expect(await by(page, "step-tcp").textContent()).toContain("odmítá spojení");
  expect(await by(page, "step-identity").textContent()).not.toMatch(/enrol|approval|gateway/);
  expect(await violations(page)).toEqual([]);
  await page.screenshot({ path: join(PICTURES, "diagnostics-refused-cs-dark-920.png") });
  await context.close();
});
