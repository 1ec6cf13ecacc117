/** First run and settings with nothing but a keyboard. */

import { join } from "node:path";

import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { Engine, freePort } from "./engine.ts";
import { by, PICTURES, violations, Windows } from "./window.ts";

/** More steps than any page has. */
const MOST = 80;

let engine: Engine;
let windows: Windows;

beforeAll(async () => {
  // An empty home, as at a first start.
  engine = await Engine.start("[proxy]\nport = 0\n");
  windows = await Windows.open(engine.socket);
});

afterAll(async () => {
  await windows?.close();
  await engine?.stop();
});

/** The thing that has the focus. It must be seen that it has. */
async function focused(page: Page): Promise<string | null> {
  return page.evaluate(() => {
    const at = document.activeElement;
    if (!(at instanceof HTMLElement) || at === document.body) return null;
    const style = getComputedStyle(at);
    const shown = at.matches(":focus-visible") && (style.outlineStyle !== "none" || at.getAttribute("role") === "menuitem");
    return `${at.dataset["testid"] ?? at.tagName}${shown ? "" : " (not seen)"}`;
  });
}

/** Tabs to a thing, and fails when it is not on the way. */
async function tabTo(page: Page, testid: string, key = "Tab"): Promise<void> {
  const passed: (string | null)[] = [];
  for (let n = 0; n < MOST; n += 1) {
    await page.keyboard.press(key);
    const at = await focused(page);
    if (at === testid) return;
    passed.push(at);
  }
  throw new Error(`${testid} is not reached by ${key}; passed ${passed.join(", ")}`);
}

test("first run with the built-in gateway, to the tick", async () => {
  const { page, context, faults } = await windows.window("overview");
  await by(page, "first-run").waitFor();
  expect(await by(page, "first-run").getAttribute("data-step")).toBe("gateway");
  await by(page, "gateway-host").waitFor();
  expect(await violations(page)).toEqual([]);
  await page.screenshot({ path: join(PICTURES, "first-gateway-en-light-920.png") });

  // Left, and resumed, also after a restart of the engine.
  await tabTo(page, "first-later");
  await page.keyboard.press("Enter");
  await by(page, "first-resume").waitFor();
  await engine.kill();
  await engine.again();
  await page.reload();
  await by(page, "first-resume").locator("button").waitFor();
  await by(page, "first-resume").locator("button").focus();
  await page.keyboard.press("Enter");
  await by(page, "first-run").waitFor();

  await tabTo(page, "first-builtin");
  await page.keyboard.press("Enter");
  await by(page, "first-listening").waitFor();
  expect(await violations(page)).toEqual([]);
  await page.screenshot({ path: join(PICTURES, "first-address-en-light-920.png") });
  await tabTo(page, "copy-command");
  await page.keyboard.press("Enter");
  const command = await page.evaluate(() => navigator.clipboard.readText());
  expect(command).toBe(`curl -x http://${await engine.address()} http://hello.seacat/`);
  await engine.curl("http://hello.seacat/");
  await by(page, "first-tick").waitFor({ timeout: 5_000 });
  expect(await violations(page)).toEqual([]);
  await page.screenshot({ path: join(PICTURES, "first-done-en-light-920.png") });
  await tabTo(page, "first-finish");
  await page.keyboard.press("Enter");
  await by(page, "page-overview").waitFor();
  expect(faults).toEqual([]);
  await context.close();
});

test("pages, a port that is typed, checked, saved and reverted", async () => {
  const { page, context, faults } = await windows.window("overview");
  await by(page, "page-overview").waitFor();
  await tabTo(page, "nav-proxy");
  await page.keyboard.press("Enter");
  await by(page, "proxy-port").waitFor();
  const before = await engine.address();

  await tabTo(page, "proxy-port");
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.type("70000");
  await expect.poll(() => by(page, "proxy-port").getAttribute("aria-invalid")).toBe("true");
  expect(await by(page, "save").isDisabled()).toBe(true);
  await page.screenshot({ path: join(PICTURES, "problem-en-light-920.png") });
  await tabTo(page, "revert");
  await page.keyboard.press("Enter");
  await expect.poll(() => by(page, "save").count()).toBe(0);

  await by(page, "proxy-port").focus();
  await page.keyboard.press("ControlOrMeta+A");
  const port = await freePort();
  await page.keyboard.type(String(port));
  await expect.poll(() => by(page, "save").isEnabled()).toBe(true);
  await tabTo(page, "save");
  await page.keyboard.press("Enter");
  await expect.poll(() => engine.address(), { timeout: 5_000 }).toBe(`127.0.0.1:${port}`);
  expect(await engine.address()).not.toBe(before);
  await expect.poll(() => by(page, "listens").textContent()).toContain(`:${port}`);
  await engine.curl("http://hello.seacat/");

  // Rows: one is added, filled and removed.
  await tabTo(page, "routes-add");
  await page.keyboard.press("Enter");
  await tabTo(page, "route-0-pattern", "Shift+Tab");
  await page.keyboard.type("*.example.com");
  await expect.poll(() => by(page, "save").isEnabled()).toBe(true);
  await tabTo(page, "routes-remove-0");
  await page.keyboard.press("Enter");
  await expect.poll(() => by(page, "save").count()).toBe(0);
  expect(faults).toEqual([]);
  await context.close();
});

test("requests: through the list, into the sheet and back", async () => {
  await engine.curl("http://hello.seacat/one");
  await engine.curl("http://hello.seacat/two");
  const { page, context } = await windows.window("requests");
  await by(page, "request-row").first().waitFor();
  await tabTo(page, "request-table");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await by(page, "request-sheet").waitFor();
  await expect.poll(() => by(page, "request-sheet").textContent()).toContain("/one");
  await expect.poll(() => focused(page)).toBe("close-sheet");
  await page.keyboard.press("Escape");
  await expect.poll(() => by(page, "request-sheet").count()).toBe(0);
  await expect.poll(() => focused(page)).toBe("request-table");
  await context.close();
});

test("a menu opens, moves, copies and closes", async () => {
  const { page, context } = await windows.window("overview");
  await by(page, "copy-settings").waitFor();
  await tabTo(page, "copy-settings");
  await page.keyboard.press("ArrowDown");
  await expect.poll(() => focused(page)).toBe("copy-settings-shell");
  await page.keyboard.press("Escape");
  await expect.poll(() => focused(page)).toBe("copy-settings");
  await page.keyboard.press("Enter");
  await expect.poll(() => focused(page)).toBe("copy-settings-shell");
  await page.keyboard.press("End");
  await page.keyboard.press("Enter");
  await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toContain("/proxy.pac");
  await context.close();
});
