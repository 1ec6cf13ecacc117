/** The life of a request in phases: waited for the channel, sent, first byte, last byte. */

import type { AccessView } from "./types";

export interface Phase {
  /** What was going on; the catalogue has the words. */
  name: "waited" | "sent" | "receiving";
  /** What ended it. */
  end: "sentAt" | "firstByte" | "lastByte";
  /** Milliseconds after the request arrived. */
  from: number;
  to: number;
  /** Where it lies in the whole, in per cent. */
  left: number;
  width: number;
}

export function timeline(line: AccessView): Phase[] {
  const total = Math.max(line.total_ms, line.waited_ms, line.first_byte_ms ?? 0);
  const phase = (name: Phase["name"], end: Phase["end"], from: number, to: number): Phase => {
    const share = (ms: number) => (total > 0 ? (ms / total) * 100 : 0);
    return { name, end, from, to, left: share(from), width: share(to - from) };
  };
  const first = line.first_byte_ms;
  const waited = phase("waited", "sentAt", 0, line.waited_ms);
  if (first === null) return [waited, phase("sent", "lastByte", line.waited_ms, total)];
  // What we answer ourselves was never sent on, so it may have waited longer than to its first byte.
  const sent = phase("sent", "firstByte", line.waited_ms, Math.max(first, line.waited_ms));
  return [waited, sent, phase("receiving", "lastByte", sent.to, total)];
}
