/** Every page at six sizes in both languages: nothing scrolls out of itself, is cut or overlaps. WebKit has the same test. */

import { readFileSync } from "node:fs";

import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { Engine } from "./engine.ts";
import { by, LANGUAGES, painted, PAGES, Windows } from "./window.ts";

const SIZES = [
  [460, 320],
  [640, 480],
  [800, 600],
  [920, 640],
  [1280, 800],
  [1600, 1000],
] as const;

const FAULTS = readFileSync("browser/faults.js", "utf8");

let engine: Engine;
let windows: Windows;

beforeAll(async () => {
  engine = await Engine.start("", ["--port", "0"]);
  windows = await Windows.open(engine.socket);
});

afterAll(async () => {
  await windows?.close();
  await engine?.stop();
});

async function faults(page: Page, what: string): Promise<string[]> {
  await painted(page);
  const found: string[] = await page.evaluate(`(() => { ${FAULTS} })()`);
  return found.map((it) => `${what}: ${it}`);
}

test.each(LANGUAGES)("every page at every size, %s", async (lang) => {
  const { page, context } = await windows.window("overview", { lang });
  const found: string[] = [];
  await by(page, "gateway-host").or(by(page, "page-overview")).first().waitFor();
  for (const setup of [true, false]) {
    if (!setup && (await by(page, "first-later").isVisible())) await by(page, "first-later").click();
    for (const [width, height] of SIZES) {
      await page.setViewportSize({ width, height });
      for (const one of setup ? ["setup"] : PAGES) {
        if (!setup) {
          await by(page, `nav-${one}`).click();
          await by(page, `page-${one}`).waitFor();
        }
        found.push(...(await faults(page, `${one} ${width}x${height}`)));
      }
    }
  }
  expect(found).toEqual([]);
  await context.close();
});

/** Where everything is that can be known by its name. */
function places(page: Page): Promise<[string, number][]> {
  return page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>("main [data-testid]")]
      .filter((it) => it.checkVisibility())
      .map((it) => [it.dataset["testid"] ?? "", it.getBoundingClientRect().top]),
  );
}

test("nothing moves while one types, and what is typed survives a change of page", async () => {
  const { page, context } = await windows.window("gateway");
  await by(page, "page-gateway").or(by(page, "first-later")).first().waitFor();
  if (await by(page, "first-later").isVisible()) await by(page, "first-later").click();
  await by(page, "gateway-host").waitFor();
  const before = await places(page);
  const same = async () => {
    const after = new Map(await places(page));
    return before.filter(([id, top]) => after.has(id) && Math.abs((after.get(id) ?? top) - top) >= 1).map(([id, top]) => [id, top, after.get(id)]);
  };
  await by(page, "gateway-host").fill("gw.example.com");
  await by(page, "gateway-port").fill("8443");
  await page.getByText("Blocked by 14 % of networks").waitFor();
  expect(await same()).toEqual([]);
  await by(page, "gateway-port").fill("x");
  await expect.poll(() => by(page, "gateway-port").getAttribute("aria-invalid"), { timeout: 10_000 }).toBe("true");
  expect(await same()).toEqual([]);

  await by(page, "nav-overview").click();
  await by(page, "unsaved-gateway").waitFor();
  await by(page, "nav-gateway").click();
  expect(await by(page, "gateway-host").inputValue()).toBe("gw.example.com");
  await by(page, "revert").click();
  await expect.poll(() => by(page, "unsaved-gateway").count()).toBe(0);
  await context.close();
});

test("keys lead to the search, the settings and the diagnosis; a switch takes effect at once", async () => {
  const { page, context } = await windows.window("overview");
  await by(page, "page-overview").or(by(page, "first-later")).first().waitFor();
  if (await by(page, "first-later").isVisible()) await by(page, "first-later").click();
  await by(page, "page-overview").waitFor();
  await page.keyboard.press("Control+f");
  await by(page, "page-requests").waitFor();
  await expect.poll(() => page.evaluate(() => (document.activeElement as HTMLElement).dataset["testid"])).toBe("search");
  await page.keyboard.press("F1");
  await by(page, "page-diagnostics").waitFor();
  await page.keyboard.press("Control+,");
  await by(page, "language").selectOption("cs");
  await page.getByText("Upozornit, když něco vyžaduje mou pozornost").waitFor();
  expect(readFileSync(engine.config, "utf8")).toContain('language = "cs"');
  await by(page, "language").selectOption("en");
  await page.getByText("Notify me when").waitFor();
  await by(page, "notifications").uncheck();
  await expect.poll(() => readFileSync(engine.config, "utf8")).toContain("notifications = false");
  await context.close();
});
