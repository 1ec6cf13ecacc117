/** Every page without a finding of axe, in both themes and both languages; and pictures of them. */

import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { Engine, freePort } from "./engine.ts";
import { by, LANGUAGES, PAGES, PICTURES, THEMES, violations, Windows } from "./window.ts";

/** Sizes that must work: the usual, the least, and the usual at 200 % of text. */
const SIZES = [
  { name: "920", width: 920, height: 640 },
  { name: "640", width: 640, height: 480 },
  { name: "200%", width: 460, height: 320 },
];

const CONFIG = (port: number) => `
[[proxy.map]]
listen = "127.0.0.1:${port}"
host = "erp"

[[route]]
pattern = "*.example.com"
to = "direct"
`;

let engine: Engine;
let windows: Windows;

beforeAll(async () => {
  engine = await Engine.start(CONFIG(await freePort()), ["--demo", "--port", "0"]);
  windows = await Windows.open(engine.socket);
  for (const path of ["", "orders?open=1", "orders/7", "none"]) await engine.curl(`http://hello.seacat/${path}`);
  await engine.curl("http://erp.seacat/orders", "-d", "a=1");
  await engine.curl("http://hello.seacat/");
});

afterAll(async () => {
  await windows?.close();
  await engine?.stop();
});

for (const lang of LANGUAGES) {
  for (const theme of THEMES) {
    test(`every page, ${lang}, ${theme}`, async () => {
      for (const { name, width, height } of SIZES) {
        const { page, context, faults } = await windows.window("overview", { lang, theme, width, height });
        await by(page, "recent").or(by(page, "first-later")).first().waitFor();
        if (await by(page, "first-later").isVisible()) {
          expect(await violations(page), `first run ${name}`).toEqual([]);
          await page.screenshot({ path: join(PICTURES, `first-${lang}-${theme}-${name}.png`) });
          await by(page, "first-later").click();
        }
        for (const one of PAGES) {
          await by(page, `nav-${one}`).click();
          await by(page, `page-${one}`).waitFor();
          if (one === "requests") await by(page, "request-row").first().waitFor();
          if (one === "diagnostics") await by(page, "finding").waitFor();
          if (["gateway", "identity", "proxy"].includes(one)) await page.locator("form").waitFor();
          expect(await violations(page), `${one} ${name}`).toEqual([]);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
          expect(wide, `${one} ${name} must not scroll sideways`).toBe(false);
          const high = await page.evaluate(() => document.documentElement.scrollHeight - innerHeight);
          expect(high, `${one} ${name} must not scroll the window`).toBeLessThanOrEqual(0);
          await page.screenshot({ path: join(PICTURES, `${one}-${lang}-${theme}-${name}.png`) });
        }
        await by(page, "nav-requests").click();
        await by(page, "request-row").nth(1).click();
        await by(page, "request-sheet").waitFor();
        expect(await violations(page), `sheet ${name}`).toEqual([]);
        await page.screenshot({ path: join(PICTURES, `sheet-${lang}-${theme}-${name}.png`) });
        expect(await page.locator("html").getAttribute("lang")).toBe(lang);
        expect(faults).toEqual([]);
        await context.close();
      }
    });
  }
}

test("questions and menus too", async () => {
  const { page, faults } = await windows.window("settings");
  await by(page, "quit").or(by(page, "first-later")).first().waitFor();
  if (await by(page, "first-later").isVisible()) await by(page, "first-later").click();
  await by(page, "quit").click();
  await by(page, "quit-ask").waitFor();
  expect(await violations(page)).toEqual([]);
  await by(page, "quit-ask-cancel").click();
  await by(page, "nav-overview").click();
  await by(page, "copy-settings").click();
  await by(page, "copy-settings-curl").waitFor();
  expect(await violations(page)).toEqual([]);
  await page.screenshot({ path: join(PICTURES, "menu-en-light-920.png") });
  expect(faults).toEqual([]);
});
