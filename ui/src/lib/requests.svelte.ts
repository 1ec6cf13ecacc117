/**
 * The list of requests. It is live while the newest line is in sight; while somebody reads further down,
 * or has paused it, what is shown stays as it is and new lines are only counted.
 */

import { bridge } from "./bridge";
import type { AccessView, Answer } from "./types";

/** Lines kept, shown and waiting alike: at 10 000 requests a minute, the last minute. */
export const KEPT = 10_000;

/** A line with a number of its own, by which a row is the same row after a change. */
export interface Line extends AccessView {
  id: number;
}

export class Requests {
  /** What is shown, oldest first, as far as it matches the search. */
  shown: Line[] = $state.raw([]);
  /** How many lines that match are waiting to be shown. */
  fresh = $state(0);
  /** Lines that this window was too slow for. */
  missed = $state(0);
  /** Nothing new is shown, by the person's wish. */
  paused = $state(false);
  /** Words that must occur in a line. */
  search = $state("");

  #all: Line[] = [];
  #waiting: Line[] = [];
  #reading = false;
  #anew = false;
  #next = 0;

  /** Follows the engine's requests until the returned function is called. */
  follow(): () => void {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let close = () => {};
    const again = () => {
      this.#anew = true;
      close = bridge.open({ do: "access" }, (it) => this.take(it), () => {
        timer = setTimeout(again, 1_000);
      });
    };
    again();
    return () => {
      clearTimeout(timer);
      close();
    };
  }

  /** Takes lines that came. */
  take(answers: Answer[]): void {
    const came: Line[] = [];
    for (const answer of answers) {
      if (answer.is === "access") came.push({ ...answer.line, id: this.#next++ });
      if (answer.is === "missed") this.missed += answer.lines;
    }
    if (came.length === 0) return;
    if (this.#anew) {
      // A new stream begins with the lines that the engine has kept.
      this.clear();
      this.#anew = false;
    }
    if (this.paused || this.#reading) {
      this.#waiting = this.#waiting.concat(came).slice(-KEPT);
      this.fresh = this.#waiting.filter(this.#matches()).length;
    } else {
      this.#show(came);
    }
  }

  /** Whether somebody reads further down than the newest line. */
  read(further: boolean): void {
    this.#reading = further;
    if (!further && !this.paused) this.catchUp();
  }

  pause(on: boolean): void {
    this.paused = on;
    if (!on && !this.#reading) this.catchUp();
  }

  /** Shows what has been waiting. */
  catchUp(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.fresh = 0;
    if (waiting.length > 0) this.#show(waiting);
  }

  find(search: string): void {
    this.search = search;
    this.shown = this.#all.filter(this.#matches());
    this.fresh = this.#waiting.filter(this.#matches()).length;
  }

  clear(): void {
    this.#all = [];
    this.#waiting = [];
    this.shown = [];
    this.fresh = 0;
    this.missed = 0;
  }

  #show(came: Line[]): void {
    this.#all = this.#all.concat(came).slice(-KEPT);
    const oldest = this.#all[0]?.id ?? 0;
    const kept = (it: Line) => it.id >= oldest;
    // Most of the time nothing falls out at the old end, and the list is not gone through.
    const shown = this.shown[0] && !kept(this.shown[0]) ? this.shown.filter(kept) : this.shown;
    this.shown = shown.concat(came.filter(kept).filter(this.#matches()));
  }

  #matches(): (line: Line) => boolean {
    const words = this.search.toLowerCase().split(/\s+/).filter((it) => it !== "");
    if (words.length === 0) return () => true;
    return (line) => {
      const text = `${line.method} ${line.host}${line.path} ${line.status ?? ""} ${line.code ?? ""}`.toLowerCase();
      return words.every((word) => text.includes(word));
    };
  }
}

export const requests = new Requests();
