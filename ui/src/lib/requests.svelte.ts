/**
 * The list of requests. It is live while the newest line is in sight; while a person reads further down,
 * sorts it or has paused it, what is shown stays as it is and new lines are only counted.
 *
 * The lists are plain fields and only what is shown is state: a component that is being removed still
 * calls in here, and reading state in its teardown gives the value before the change (Svelte 5).
 */

import { bridge } from "./bridge";
import { parse, type Filter } from "./filter";
import { Pace } from "./pace";
import type { AccessView, Answer } from "./types";

/** Lines kept, shown and waiting alike: at 10 000 requests a minute, the last minute. */
export const KEPT = 10_000;

/** Lines of the overview: as many as fit without scrolling. */
export const RECENT = 6;

/** A line with a number of its own, by which a row is the same row after a change. */
export interface Line extends AccessView {
  id: number;
}

export class Requests {
  /** What is shown, oldest first, as far as it matches the search. */
  shown: Line[] = $state.raw([]);
  /** The latest lines, newest first, whatever is searched for or paused. */
  recent: Line[] = $state.raw([]);
  /** How many lines that match are waiting to be shown. */
  fresh = $state(0);
  /** Lines that this window was too slow for. */
  missed = $state(0);
  /** Nothing new is shown until it is resumed. */
  paused = $state(false);
  /** What a line must match, as typed; the language is that of `filter.ts`. */
  search = $state("");

  #all: Line[] = [];
  #waiting: Line[] = [];
  #shown: Line[] = [];
  #recent: Line[] = [];
  #matches: Filter = () => true;
  #paused = false;
  #reading = false;
  #anew = false;
  #next = 0;

  /** Follows the engine's requests until the returned function is called. */
  follow(): () => void {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let close = () => {};
    const pace = new Pace<Answer>((answers) => this.take(answers));
    const again = () => {
      this.#anew = true;
      close = bridge.open({ do: "access" }, (it) => pace.push(it), () => {
        timer = setTimeout(again, 1_000);
      });
    };
    again();
    return () => {
      clearTimeout(timer);
      pace.stop();
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
    this.#recent = came.toReversed().concat(this.#recent).slice(0, RECENT);
    this.recent = this.#recent;
    if (this.#paused || this.#reading) {
      this.#waiting = this.#waiting.concat(came).slice(-KEPT);
      this.#count();
    } else {
      this.#show(came);
    }
  }

  /** Whether a person reads further down than the newest line. */
  read(further: boolean): void {
    this.#reading = further;
    if (!further && !this.#paused) this.catchUp();
  }

  pause(on: boolean): void {
    this.#paused = this.paused = on;
    if (!on && !this.#reading) this.catchUp();
  }

  /** Shows what has been waiting. */
  catchUp(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#count();
    if (waiting.length > 0) this.#show(waiting);
  }

  find(search: string): void {
    this.search = search;
    this.#matches = parse(search);
    this.shown = this.#shown = this.#all.filter(this.#matches);
    this.#count();
  }

  clear(): void {
    this.#all = [];
    this.#waiting = [];
    this.shown = this.#shown = [];
    this.recent = this.#recent = [];
    this.missed = 0;
    this.#count();
  }

  #count(): void {
    this.fresh = this.#waiting.filter(this.#matches).length;
  }

  #show(came: Line[]): void {
    this.#all = this.#all.concat(came).slice(-KEPT);
    const oldest = this.#all[0]?.id ?? 0;
    const kept = (it: Line) => it.id >= oldest;
    // Most of the time nothing falls out at the old end, and the list is not gone through.
    const shown = this.#shown[0] && !kept(this.#shown[0]) ? this.#shown.filter(kept) : this.#shown;
    this.shown = this.#shown = shown.concat(came.filter(kept).filter(this.#matches));
  }
}

export const requests = new Requests();
