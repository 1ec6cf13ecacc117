/**
 * The filter language of the request list: words, `status:5xx`, `host:erp`, `path:/orders`, `method:GET`,
 * `code:SC-BUSY`, `program:curl`, `route:direct`, `is:failed`, `is:slow`, `after:10:20`, `before:10:50`, `>500ms`, `<1s`, `>1MB`. All terms must hold; `-` in
 * front of one negates it; quotes keep spaces together.
 */

import { momentOf } from "./day";
import type { AccessView } from "./types";

export type Filter = (line: AccessView) => boolean;

/** From this duration on a request is slow: people notice a wait of a second (Nielsen, 1993). */
export const SLOW_MS = 1_000;

/** The terms that have a button of their own. */
export const CHIPS = ["is:failed", "is:slow"] as const;
export type Chip = (typeof CHIPS)[number];

/** Whether the application did not get what it asked for. */
export function isFailed(line: Pick<AccessView, "status" | "code">): boolean {
  return line.code !== null || line.status === null || line.status >= 400;
}

const UNITS: Record<string, ["total_ms" | "bytes", number]> = {
  "": ["total_ms", 1],
  ms: ["total_ms", 1],
  s: ["total_ms", 1_000],
  min: ["total_ms", 60_000],
  b: ["bytes", 1],
  kb: ["bytes", 1_000],
  mb: ["bytes", 1_000_000],
  gb: ["bytes", 1_000_000_000],
};

function comparison(term: string): Filter | null {
  const [, sign, digits = "", unit = ""] = /^([<>])(\d+(?:[.,]\d+)?)([a-z]*)$/.exec(term) ?? [];
  const known = UNITS[unit];
  if (!sign || !known) return null;
  const [what, factor] = known;
  const limit = Number(digits.replace(",", ".")) * factor;
  return (line) => {
    const value = what === "bytes" ? line.bytes_up + line.bytes_down : line.total_ms;
    return sign === ">" ? value > limit : value < limit;
  };
}

function status(value: string): Filter | null {
  if (value === "none") return (line) => line.status === null;
  if (/^[1-5]xx$/.test(value)) return (line) => Math.floor((line.status ?? 0) / 100) === Number(value[0]);
  return /^\d{1,3}$/.test(value) ? (line) => `${line.status ?? ""}`.startsWith(value) : null;
}

/** A term `key:value`; null when it is none, and then it is a word. Times of day are the latest before `now`. */
function named(key: string, value: string, now: number): Filter | null {
  if (value === "") return null;
  switch (key) {
    case "status":
      return status(value);
    case "host":
    case "path":
    case "code":
      return (line) => (line[key] ?? "").toLowerCase().includes(value);
    case "program":
      return (line) => programOf(line).includes(value);
    case "method":
    case "route":
      return (line) => line[key].toLowerCase() === value;
    case "after":
    case "before": {
      const moment = momentOf(value, now);
      if (moment === null) return null;
      return key === "after" ? (line) => line.time_ms >= moment : (line) => line.time_ms < moment;
    }
    case "is":
      if (value === "failed") return isFailed;
      return value === "slow" ? (line) => line.total_ms >= SLOW_MS : null;
    default:
      return null;
  }
}

function programOf({ program }: AccessView): string {
  return program ? `${program.name} ${program.runs ?? ""}`.trim().toLowerCase() : "";
}

function word(text: string): Filter {
  return (line) =>
    `${line.method} ${line.host}${line.path} ${line.status ?? ""} ${line.code ?? ""} ${line.request_code ?? ""} ${programOf(line)}`
      .toLowerCase()
      .includes(text);
}

function term(text: string, now: number): Filter {
  const colon = text.indexOf(":");
  const key = colon > 0 ? named(text.slice(0, colon), text.slice(colon + 1), now) : null;
  return key ?? comparison(text) ?? (/^[1-5]xx$/.test(text) ? status(text) : null) ?? word(text);
}

/** The terms of a text, as typed. */
export function terms(text: string): string[] {
  return text.match(/(?:[^\s"]|"[^"]*"?)+/g) ?? [];
}

/** What a text asks for. Any text is a filter: what is not understood is looked for as a word. */
export function parse(text: string, now = Date.now()): Filter {
  const all = terms(text.toLowerCase()).map((one): Filter => {
    const negated = one.length > 1 && one.startsWith("-");
    const holds = term((negated ? one.slice(1) : one).replaceAll('"', ""), now);
    return negated ? (line) => !holds(line) : holds;
  });
  return (line) => all.every((holds) => holds(line));
}

/** The text with a term added, or taken out when it is there. */
export function toggle(text: string, chip: Chip): string {
  const all = terms(text);
  return (all.includes(chip) ? all.filter((it) => it !== chip) : [...all, chip]).join(" ");
}
