/** Throughput and round trip of the last minute, a sample a second. */

import type { StatusView } from "./types";

/** One second. Rates are bytes a second; null where nothing was measured. */
export interface Sample {
  down: number;
  up: number;
  rtt: number | null;
}

/** Samples kept: the last minute. */
export const SECONDS = 60;

/** Where nobody looked for longer than this, the picture begins anew. */
const GAP_MS = 5_000;

/** A line for the whole minute. A value stands for the second before it, so that one alone is a line, too. */
export function minute(line: (number | null)[]): (number | null)[] {
  const all = [...Array<null>(SECONDS).fill(null), ...line].slice(-SECONDS);
  return all.map((it, n) => it ?? all[n + 1] ?? null);
}

export class Traffic {
  samples: Sample[] = $state.raw([]);

  #last: { in: number; out: number; at: number } | null = null;

  /** Takes the counters of a status that came at `at`, in milliseconds. */
  take(status: StatusView, at: number): void {
    const last = this.#last;
    this.#last = { in: status.bytes_in, out: status.bytes_out, at };
    if (!last || at <= last.at) return;
    if (at - last.at > GAP_MS) {
      this.samples = [];
      return;
    }
    const seconds = (at - last.at) / 1000;
    // The counters begin anew with every connection.
    const anew = status.bytes_in < last.in || status.bytes_out < last.out;
    const rate = (now: number, then: number) => (anew ? now : now - then) / seconds;
    const sample = {
      down: rate(status.bytes_in, last.in),
      up: rate(status.bytes_out, last.out),
      rtt: status.state === "connected" ? status.rtt_ms : null,
    };
    this.samples = [...this.samples, sample].slice(-SECONDS);
  }
}

export const traffic = new Traffic();
