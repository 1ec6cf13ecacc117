/** What one click can do about a request that failed. */

import type { Page } from "./page_names";
import type { AccessView, StatusView } from "./types";

export type Mend = "connect" | "diagnose" | Extract<Page, "identity" | "proxy" | "diagnostics">;

/** Where a setting decides. */
const PAGE: Record<string, Mend> = {
  "SC-GW-IDENTITY": "identity",
  "SC-AUTH": "proxy",
  "SC-REFUSED": "proxy",
  "SC-LOOPBACK": "proxy",
  "SC-BUSY": "proxy",
  "SC-MISDIRECTED": "proxy",
  "SC-DIRECT-NAME": "proxy",
  "SC-DIRECT-CONNECT": "proxy",
  "SC-DIRECT-TIMEOUT": "proxy",
};

/** Not in order at the server or on the way; asking again shows whether it still is. */
const AGAIN = ["SC-LOST", "SC-STOPPING", "SC-GATEWAY-REFUSED", "SC-GATEWAY-RESET", "SC-BACKEND-UNREACHABLE", "SC-BACKEND-TIMEOUT", "SC-BAD-REPLY"];

/** Null where nothing on this computer helps. */
export function mendOf(line: Pick<AccessView, "code" | "host" | "answered_by">, status: StatusView | null): Mend | null {
  const { code, host } = line;
  if (code === "SC-NOT-CONNECTED") return status?.state === "off" ? "connect" : "diagnostics";
  if (code !== null && code in PAGE) return PAGE[code] ?? null;
  const again = code === null || code.startsWith("SC-GW-") || AGAIN.includes(code);
  return again && host !== "" && line.answered_by !== "program" ? "diagnose" : null;
}
