/** Which program sent a request, and why it failed, in the built pages in front of a real engine. */

import { afterAll, beforeAll, expect, test } from "vitest";

import { Engine } from "./engine.ts";
import { by, LANGUAGES, PICTURES, THEMES, violations, Windows } from "./window.ts";

let engine: Engine;
let windows: Windows;

beforeAll(async () => {
  engine = await Engine.start("", ["--demo", "--port", "0"]);
  windows = await Windows.open(engine.socket);
});

afterAll(async () => {
  await windows?.close();
  await engine?.stop();
});

/** The answer of a host that the gateway does not know, and the code on its page. */
async function fail(): Promise<string> {
  return JSON.parse(await engine.curl("http://nosuch.seacat/orders", "-H", "Accept: application/json")).request;
}

test("why does an application fail: two clicks from its row to a finding", async () => {
  const { page, context, faults } = await windows.pastFirstRun("applications");
  await by(page, "no-applications").waitFor();
  await engine.curl("http://hello.seacat/");
  const curl = page.locator('[data-testid="application"][data-name="curl"]');
  await curl.waitFor();
  expect(await by(page, "verdict").textContent()).toContain("Works");
  await fail();
  await page.getByText("1 of the last 2 failed: 404 from nosuch").waitFor();
  await by(page, "application-requests").click();
  await by(page, "page-requests").waitFor();
  await expect.poll(() => by(page, "request-row").count()).toBe(2);
  await by(page, "nav-applications").click();
  await by(page, "application-diagnose").click();
  await by(page, "page-diagnostics").waitFor();
  expect(await by(page, "diagnose-subject").textContent()).toContain("nosuch.seacat/orders");
  const finding = by(page, "finding");
  await finding.waitFor();
  expect(await finding.getAttribute("data-code")).toBe("SC-HOST-UNKNOWN");
  expect(faults).toEqual([]);
  await context.close();
});

test("the code on an error page finds the request, also after a restart of the engine", async () => {
  const code = await fail();
  const kept = () => engine.cli("requests", code, "--json");
  await expect.poll(kept).toContain(code);
  // Failed requests are written within a second.
  await expect.poll(() => engine.kept(), { timeout: 10_000 }).toContain(code);
  await engine.kill();
  await engine.again();
  const { page, context, faults } = await windows.pastFirstRun("requests");
  await by(page, "search").fill(code.toLowerCase());
  await expect.poll(() => by(page, "request-row").count()).toBe(1);
  await by(page, "request-row").first().click();
  const why = by(page, "request-why");
  await why.getByText("The gateway knows no host of this name.").waitFor();
  expect(await by(page, "answered-by").textContent()).toBe("the gateway");
  await by(page, "how-often").waitFor();
  expect(await by(page, "request-code").textContent()).toBe(code);
  expect(await by(page, "request-program").textContent()).toBe("curl");
  expect(await by(page, "mend-request").getAttribute("data-mend")).toBe("diagnose");
  expect(await violations(page)).toEqual([]);
  expect(faults).toEqual([]);
  await context.close();
});

test.each(LANGUAGES.flatMap((lang) => THEMES.map((theme) => [lang, theme] as const)))("%s, %s: for axe and for people", async (lang, theme) => {
  const { page, context } = await windows.pastFirstRun("applications", { lang, theme });
  await engine.curl("http://hello.seacat/");
  await fail();
  await by(page, "application").first().waitFor();
  expect(await violations(page)).toEqual([]);
  await page.screenshot({ path: `${PICTURES}/applications-${lang}-${theme}.png` });
  await by(page, "nav-requests").click();
  await by(page, "search").fill("is:failed");
  await by(page, "request-row").first().click();
  await by(page, "request-why").waitFor();
  expect(await violations(page)).toEqual([]);
  await page.screenshot({ path: `${PICTURES}/explained-${lang}-${theme}.png` });
  await context.close();
});
