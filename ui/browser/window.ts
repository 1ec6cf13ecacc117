/** The built pages in Chromium, with what the window would do to them: its policy, frozen prototypes. */

import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import { preview, type PreviewServer } from "vite";

import { bridge } from "../dev/bridge.ts";
import { PAGES } from "../src/lib/page_names.ts";

export { PAGES };
export const LANGUAGES = ["en", "cs"] as const;
export const THEMES = ["light", "dark"] as const;

const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** Where pictures go, to be looked at. */
export const PICTURES = join("..", process.env["CARGO_TARGET_DIR"] ?? "target", "screenshots", "ui");

export interface Look {
  lang?: (typeof LANGUAGES)[number];
  theme?: (typeof THEMES)[number];
  width?: number;
  height?: number;
}

export class Windows {
  #server: PreviewServer;
  #browser: Browser;
  #url: string;

  private constructor(server: PreviewServer, browser: Browser, url: string) {
    this.#server = server;
    this.#browser = browser;
    this.#url = url;
  }

  /** A browser in front of the engine whose control socket is `socket`. */
  static async open(socket: string): Promise<Windows> {
    const server = await preview({
      configFile: false,
      plugins: [bridge(socket)],
      preview: { host: "127.0.0.1", port: 0 },
      logLevel: "warn",
    });
    const url = server.resolvedUrls?.local[0];
    if (!url) throw new Error("the pages are not served");
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
    mkdirSync(PICTURES, { recursive: true });
    return new Windows(server, browser, url);
  }

  /** A window of its own. What goes wrong in it is in `faults`. */
  async window(page: string, look: Look = {}): Promise<{ page: Page; context: BrowserContext; faults: string[] }> {
    const { lang = "en", theme = "light", width = 920, height = 640 } = look;
    const context = await this.#browser.newContext({
      locale: lang,
      colorScheme: theme,
      reducedMotion: "reduce",
      viewport: { width, height },
      permissions: ["clipboard-read", "clipboard-write"],
    });
    const shown = await context.newPage();
    const faults: string[] = [];
    shown.on("pageerror", (error) => faults.push(error.message));
    shown.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") faults.push(message.text());
    });
    await shown.addInitScript({ path: AXE });
    await shown.addInitScript(() => Object.freeze(Object.prototype));
    await shown.goto(`${this.#url}#${page}`);
    return { page: shown, context, faults };
  }

  /** The same, past the first run. */
  async pastFirstRun(page: string, look: Look = {}) {
    const window = await this.window(page, look);
    const shown = window.page;
    await by(shown, `page-${page}`).or(by(shown, "first-later")).first().waitFor();
    if (await by(shown, "first-later").isVisible()) await by(shown, "first-later").click();
    await by(shown, `nav-${page}`).click();
    await by(shown, `page-${page}`).waitFor();
    return window;
  }

  async close(): Promise<void> {
    await this.#browser.close();
    await this.#server.close();
  }
}

/** What axe finds, in words; empty when all is well. */
export async function violations(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    const { axe } = window as unknown as { axe: typeof import("axe-core") };
    const found = await axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    });
    return found.violations.flatMap((it) =>
      it.nodes.map((node) => `${it.id}: ${it.help}: ${node.html.slice(0, 160)}: ${node.any[0]?.message ?? ""}`),
    );
  });
}

/** By what tests know a thing. */
export function by(page: Page, testid: string) {
  return page.locator(`[data-testid="${testid}"]`);
}

/** Waits until what the page has just been told (a scroll, a size) is on the screen. */
export function painted(page: Page): Promise<void> {
  return page.evaluate(
    () => new Promise<void>((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve()))),
  );
}
