/** The requests of the list as files: CSV (RFC 4180) for tables, HAR 1.2 for other tools. Without bodies, as they were never kept. */

import { programName } from "./applications.svelte";
import type { AccessView } from "./types";

const COLUMNS = [
  "time",
  "method",
  "host",
  "path",
  "status",
  "code",
  "answered_by",
  "route",
  "program",
  "duration_ms",
  "waited_ms",
  "first_byte_ms",
  "bytes_up",
  "bytes_down",
  "request_code",
] as const;

function cell(value: string | number | null): string {
  const text = `${value ?? ""}`;
  // A table program would take these for a formula (OWASP, CSV injection).
  const plain = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

export function csv(lines: AccessView[]): string {
  const rows = lines.map((it) => [
    new Date(it.time_ms).toISOString(),
    it.method,
    it.host,
    it.path,
    it.status,
    it.code,
    it.answered_by,
    it.route,
    it.program && programName(it.program),
    it.total_ms,
    it.waited_ms,
    it.first_byte_ms,
    it.bytes_up,
    it.bytes_down,
    it.request_code,
  ]);
  return [COLUMNS, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

/** Of what is not known HAR wants -1, and no value for none (http://www.softwareishard.com/blog/har-12-spec/). */
export function har(lines: AccessView[], version: string): string {
  const message = { httpVersion: "HTTP/1.1", cookies: [], headers: [], headersSize: -1 };
  const entries = lines.map((it) => {
    const wait = (it.first_byte_ms ?? it.total_ms) - it.waited_ms;
    const receive = it.first_byte_ms === null ? 0 : it.total_ms - it.first_byte_ms;
    return {
      startedDateTime: new Date(it.time_ms).toISOString(),
      time: it.total_ms,
      request: {
        ...message,
        method: it.method,
        url: it.method === "CONNECT" ? `https://${it.host}/` : `http://${it.host}${it.path}`,
        queryString: [],
        bodySize: it.bytes_up,
      },
      response: {
        ...message,
        status: it.status ?? 0,
        statusText: "",
        content: { size: it.bytes_down, mimeType: "" },
        redirectURL: "",
        bodySize: it.bytes_down,
      },
      cache: {},
      timings: { blocked: it.waited_ms, dns: -1, connect: -1, ssl: -1, send: 0, wait: Math.max(0, wait), receive: Math.max(0, receive) },
      comment: [it.code, it.program && programName(it.program), it.request_code].filter(Boolean).join(" "),
    };
  });
  const creator = { name: "SeaCat Proxy", version };
  return JSON.stringify({ log: { version: "1.2", creator, entries } }, null, 1);
}
