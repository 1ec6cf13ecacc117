/** The last 24 hours for the picture on the overview: as bars of ten minutes, and when there was no connection. */

import type { ChangeView, DayView } from "./types";

const MINUTE_MS = 60_000;
/** A bar: as wide as can be pointed at in a window of 640 px. */
export const BAR_MS = 10 * MINUTE_MS;
export const BARS = 144;

export interface Bar {
  from: number;
  well: number;
  failed: number;
  bytes: number;
}

/** When the first bar begins: bars begin at whole tens of minutes, so that they stay the same while time passes. */
export function beginning(now: number): number {
  return (Math.floor(now / BAR_MS) - BARS + 1) * BAR_MS;
}

export function bars(day: DayView, now: number): Bar[] {
  const start = beginning(now);
  const all = Array.from({ length: BARS }, (_, i): Bar => ({ from: start + i * BAR_MS, well: 0, failed: 0, bytes: 0 }));
  for (const minute of day.minutes) {
    const bar = all[Math.floor((minute.time_ms - start) / BAR_MS)];
    if (!bar) continue;
    bar.well += minute.well;
    bar.failed += minute.failed;
    bar.bytes += minute.bytes;
  }
  return all;
}

export interface Gap {
  from: number;
  to: number;
  code: string | null;
}

/** When there was no connection. Before the first change nothing is known, and nothing is shown. */
export function gaps(changes: ChangeView[], now: number): Gap[] {
  const start = beginning(now);
  return changes.flatMap((it, i) => {
    const to = changes[i + 1]?.time_ms ?? now;
    return it.connected || to <= start ? [] : [{ from: Math.max(start, it.time_ms), to, code: it.code }];
  });
}

/**
 * The terms by which the list of requests finds what happened between two moments: `after:10:20 before:10:50`. A
 * time of day is one that has been, so an end that is still to come is left out.
 */
export function between(from: number, to: number, now: number): string {
  return to > now ? `after:${ofDay(from)}` : `after:${ofDay(from)} before:${ofDay(to)}`;
}

function ofDay(ms: number): string {
  const time = new Date(ms);
  return [time.getHours(), time.getMinutes()].map((it) => it.toString().padStart(2, "0")).join(":");
}

/** The latest moment that a clock showed `HH:MM`; null when that is no time of day. */
export function momentOf(text: string, now: number): number | null {
  const [, hours, minutes] = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(text) ?? [];
  if (hours === undefined || minutes === undefined) return null;
  const then = new Date(now);
  then.setHours(Number(hours), Number(minutes), 0, 0);
  if (then.getTime() > now) then.setDate(then.getDate() - 1);
  return then.getTime();
}
