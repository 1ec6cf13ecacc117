/** The facts below the state line: short, in the order people ask for them. */

import { clock, coarse, duration } from "./format";
import type { StatusView } from "./types";
import type { Words } from "./words/en";

/** The facts of a status that came `age` milliseconds ago, at `now` (milliseconds since 1970). */
export function facts(status: StatusView, age: number, now: number, t: Words, lang: string): string[] {
  const list: string[] = [];
  if (status.state === "connected") {
    if (status.rtt_ms !== null) list.push(duration(status.rtt_ms, lang));
    if (status.pong_age_ms !== null) list.push(t.facts.answered(coarse(status.pong_age_ms + age, lang)));
    if (status.tls) list.push(status.tls.version);
    if (status.connected_ms !== null) {
      list.push(t.facts.since(clock(now - status.connected_ms - age, now, lang, false)));
    }
    if (status.through) list.push(t.facts.through(status.through));
    if (status.streams > 0) list.push(t.facts.inFlight(status.streams));
  }
  if (status.state === "waiting" && status.next_attempt_ms !== null) {
    const rest = status.next_attempt_ms - age;
    // A started second counts, so that nothing is "in 0 s".
    list.push(rest > 0 ? t.facts.next(coarse(Math.ceil(rest / 1000) * 1000, lang)) : t.facts.now);
  }
  return list;
}
