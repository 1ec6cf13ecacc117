/** What the window tells while the engine lives: numbers, lists, copies, and the engine's end. */

import { readFileSync } from "node:fs";

import { afterAll, beforeAll, expect, test } from "vitest";

import { CLIENT_NAMES, CLIENTS } from "../src/lib/client_settings.ts";
import { Engine } from "./engine.ts";
import { by, painted, Windows } from "./window.ts";

let engine: Engine;
let windows: Windows;

beforeAll(async () => {
  engine = await Engine.start("", ["--demo", "--port", "0"]);
  windows = await Windows.open(engine.socket);
  await engine.curl("http://hello.seacat/");
});

afterAll(async () => {
  await windows?.close();
  await engine?.stop();
});

/** Many requests over one connection, as fast as they go or at a pace of curl's (`10000/m`). */
async function load(count: number, pace: string[] = []) {
  await engine.curl(`http://hello.seacat/load/[1-${count}]`, "-o", "/dev/null", ...pace);
}

test("the address and what is copied are what the command line says", async () => {
  const { page, context } = await windows.pastFirstRun("overview");
  const address = await engine.address();
  await expect.poll(() => by(page, "proxy-address").textContent()).toBe(`http://${address}`);
  const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
  await by(page, "copy-address").click();
  expect(await clipboard()).toBe(`http://${address}`);
  for (const client of CLIENTS) {
    await by(page, "copy-settings").click();
    await by(page, `copy-settings-${client}`).click();
    await page.getByText(`${CLIENT_NAMES[client]}: copied`).waitFor();
    const copied = await clipboard();
    const shell = { shell: "bash", powershell: "powershell" }[client as string];
    if (shell) {
      const printed = await engine.cli("env", "--shell", shell);
      expect(copied).toBe(printed.replace(/^#.*\n/gm, ""));
    }
    if (client === "curl") expect(copied).toBe(`curl -x http://${address} `);
  }
  await context.close();
});

test("disconnect and connect tell the truth", async () => {
  const { page, context, faults } = await windows.pastFirstRun("overview");
  const state = () => by(page, "state").getAttribute("data-state");
  await expect.poll(state).toBe("connected");
  await by(page, "state-action").click();
  await expect.poll(state).toBe("off");
  expect(await by(page, "mark").first().getAttribute("data-mark")).toBe("off");
  await by(page, "state-action").click();
  await expect.poll(state, { timeout: 5_000 }).toBe("connected");
  expect(faults).toEqual([]);
  await context.close();
});

test("the list follows, stays still while somebody reads, and can be searched", async () => {
  const { page, context, faults } = await windows.pastFirstRun("requests");
  const rows = by(page, "request-row");
  await rows.first().waitFor();
  await load(40);
  await expect.poll(() => rows.first().textContent()).toContain("/load/40");
  // Read further down: nothing moves, and what is new is counted.
  await by(page, "request-table").evaluate((it) => it.scrollTo({ top: 300 }));
  await expect.poll(() => by(page, "request-table").evaluate((it) => it.scrollTop)).toBe(300);
  await painted(page);
  const seen = await rows.allTextContents();
  await load(12);
  await expect.poll(() => by(page, "pill").textContent()).toBe("12 new");
  expect(await rows.allTextContents()).toEqual(seen);
  await by(page, "pill").click();
  await expect.poll(() => rows.first().textContent()).toContain("/load/12");
  expect(await by(page, "request-table").evaluate((it) => it.scrollTop)).toBe(0);

  await by(page, "search").fill("load/33");
  await expect.poll(() => rows.count()).toBe(1);
  await by(page, "search").fill("");
  await by(page, "pause").click();
  await load(3);
  await expect.poll(() => by(page, "pill").textContent()).toBe("3 new");
  await by(page, "pause").click();
  await expect.poll(() => by(page, "pill").count()).toBe(0);

  await rows.first().click();
  await by(page, "request-sheet").waitFor();
  expect(await by(page, "timeline").locator("li").count()).toBe(3);
  await by(page, "copy-curl").click();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  expect(copied).toBe(`curl -g -x http://${await engine.address()} 'http://hello.seacat/load/3'`);
  await page.keyboard.press("Escape");
  await expect.poll(() => by(page, "request-sheet").count()).toBe(0);

  await by(page, "clear").click();
  await by(page, "no-requests").waitFor();
  expect(faults).toEqual([]);
  await context.close();
});

test("ten thousand requests a minute, and a click is handled at once", async () => {
  const { page, context, faults } = await windows.pastFirstRun("requests");
  await by(page, "request-row").first().waitFor();
  // A quarter of a minute of it.
  let ended = false;
  const done = load(2_500, ["--rate", "10000/m"]).finally(() => (ended = true));
  const clicks: number[] = [];
  while (!ended) {
    // From the click to the frame that shows what it did.
    clicks.push(
      await page.evaluate(
        () =>
          new Promise<number>((resolve) => {
            const button = document.querySelector<HTMLElement>("[data-testid=pause]");
            const start = performance.now();
            button?.click();
            requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - start)));
          }),
      ),
    );
  }
  await done;
  if ((await by(page, "pause").getAttribute("aria-pressed")) === "true") await by(page, "pause").click();
  clicks.sort((a, b) => a - b);
  const at = (share: number) => clicks[Math.min(clicks.length - 1, Math.floor(clicks.length * share))] ?? Infinity;
  console.log(`${clicks.length} clicks: median ${at(0.5).toFixed(0)} ms, 95 % within ${at(0.95).toFixed(0)} ms`);
  expect(at(0.95)).toBeLessThan(100);

  // As fast as they go: the last one is shown, and no more is drawn than is seen.
  const began = Date.now();
  await load(10_000);
  console.log(`10 000 requests in ${Date.now() - began} ms`);
  await expect.poll(() => by(page, "request-row").first().textContent(), { timeout: 10_000 }).toContain("/load/10000");
  expect(await by(page, "request-row").count()).toBeLessThan(60);
  expect(faults).toEqual([]);
  await context.close();
});

test("the engine's end is told within three seconds, and its return too", async () => {
  const { page, context } = await windows.pastFirstRun("overview");
  const state = () => by(page, "state").getAttribute("data-state");
  await expect.poll(state).toBe("connected");
  await engine.kill();
  await expect.poll(state, { timeout: 3_000 }).toBe("no_engine");
  await engine.again();
  await expect.poll(state, { timeout: 5_000 }).toBe("connected");
  await engine.curl("http://hello.seacat/anew");
  await expect.poll(() => by(page, "recent").locator("li").allTextContents()).toHaveLength(1);
  await context.close();
});

test("a stretch of the day leads to its requests, and these go into a file", async () => {
  const { page, context, faults } = await windows.pastFirstRun("overview");
  await engine.curl("http://hello.seacat/day");
  await page.reload();
  await by(page, "page-overview").waitFor();
  await expect.poll(() => by(page, "day-sum").textContent(), { timeout: 15_000 }).toMatch(/^[1-9][\d,]* requests?/);
  // The last bar is now.
  await by(page, "day-picture").focus();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  await by(page, "page-requests").waitFor();
  expect(await by(page, "search").inputValue()).toMatch(/^after:\d\d:\d\d/);
  await expect.poll(() => by(page, "request-row").count()).toBeGreaterThan(0);
  for (const [kind, begins] of [["csv", "time,method,"], ["har", '{\n "log"']] as const) {
    const download = page.waitForEvent("download");
    await by(page, "export").click();
    await by(page, `export-${kind}`).click();
    const file = await download;
    expect(file.suggestedFilename()).toBe(`seacat-requests.${kind}`);
    expect(readFileSync(await file.path(), "utf8").startsWith(begins)).toBe(true);
    await by(page, "export-said").waitFor();
  }
  expect(faults).toEqual([]);
  await context.close();
});
