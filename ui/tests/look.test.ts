/** Contrast of every pair of colours that carries text or a border, in both themes (WCAG 2.1, AA). */

import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

const css = readFileSync("src/look.css", "utf8");

function theme(block: string): Record<string, string> {
  return Object.fromEntries([...block.matchAll(/--([\w-]+): (#[0-9a-f]{6})/g)].map((it) => [it[1], it[2]]));
}

const [lightBlock = "", darkBlock = ""] = css.split("@media (prefers-color-scheme: dark)");
const light = theme(lightBlock);
const dark = { ...light, ...theme(darkBlock) };

function luminance(colour: string): number {
  const channel = (at: number) => {
    const value = parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
}

function contrast(a: string, b: string): number {
  const [lighter = 0, darker = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (lighter + 0.05) / (darker + 0.05);
}

const GROUNDS = ["ground", "side", "raised", "row", "accent-wash", "alarm-wash", "wait-wash"];
const TEXT: [string, string[]][] = [
  ["text", GROUNDS],
  ["muted", ["ground", "side", "raised", "row", "accent-wash"]],
  ["accent", ["ground", "raised", "accent-wash"]],
  ["alarm", ["ground", "row", "accent-wash", "alarm-wash"]],
  ["wait", ["ground", "row", "accent-wash", "wait-wash"]],
  ["on-accent", ["accent", "accent-press"]],
];

for (const [name, colours] of Object.entries({ light, dark })) {
  test(`text is AA in the ${name} theme`, () => {
    for (const [text, grounds] of TEXT) {
      for (const ground of grounds) {
        const ratio = contrast(colours[text] ?? "", colours[ground] ?? "");
        expect(ratio, `${text} on ${ground}`).toBeGreaterThanOrEqual(4.5);
      }
    }
  });

  test(`edges of controls can be seen in the ${name} theme`, () => {
    for (const edge of ["edge", "accent", "alarm", "wait"]) {
      expect(contrast(colours[edge] ?? "", colours["ground"] ?? ""), edge).toBeGreaterThanOrEqual(3);
    }
  });
}
