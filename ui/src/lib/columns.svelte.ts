/** The columns of the request list: which are shown, how wide they are, and by which the list is sorted. */

import { keep, recall } from "./kept";
import type { Line } from "./requests.svelte";

export const COLUMNS = ["time", "method", "host", "path", "status", "duration", "size"] as const;
export type Column = (typeof COLUMNS)[number];

/** Numbers stand at the right. */
export const NUMBERS: readonly Column[] = ["duration", "size"];

/** In a narrow list these go, the first of them first; a request's own sheet has them. */
const DROPPED: readonly Column[] = ["size", "method"];

/** Widths of texts that have no usual length, in rem; the path takes what is left. */
const HOST = 9;
const LEAST_HOST = 6;
const PATH = 10;
const LEAST_PATH = 4;

/** Limits for a width set by hand, in rem. */
const LEAST = 3;
const MOST = 40;

/** One step of an arrow key, in rem. */
const STEP = 1;

export interface Order {
  column: Column;
  down: boolean;
}

/** Newest first. */
const NEWEST: Order = { column: "time", down: true };

export class Columns {
  /** The width that the longest usual text of each column needs in the font in use, in rem. */
  #needed: Record<Column, number> = $state.raw({ time: 6, method: 5, host: HOST, path: PATH, status: 5, duration: 5.4, size: 5.4 });
  /** Widths set by hand, in rem. */
  #own: Partial<Record<Column, number>> = $state(recall("requests.widths", {}));
  /** The width of the list, in rem. */
  #room = $state(60);
  order: Order = $state.raw(recall("requests.order", NEWEST));

  /** What each column needs, as measured. */
  measure(needed: Record<Exclude<Column, "host" | "path">, number>): void {
    this.#needed = { ...this.#needed, ...needed };
  }

  fit(room: number): void {
    this.#room = room;
  }

  /** Those that are shown. */
  readonly shown: readonly Column[] = $derived.by(() => {
    let shown: readonly Column[] = COLUMNS;
    for (const column of DROPPED) if (this.#least(shown) > this.#room) shown = shown.filter((it) => it !== column);
    return shown;
  });

  readonly widths: Record<Column, number> = $derived.by(() => {
    const tight = this.#needs(this.shown) > this.#room;
    const widths = { ...this.#needed, ...this.#own };
    if (tight && this.#own.host === undefined) widths.host = LEAST_HOST;
    if (tight && this.#own.path === undefined) widths.path = LEAST_PATH;
    return widths;
  });

  #needs(columns: readonly Column[]): number {
    return columns.reduce((sum, column) => sum + (this.#own[column] ?? this.#needed[column]), 0);
  }

  /** With host and path as narrow as they may be. */
  #least(columns: readonly Column[]): number {
    return this.#needs(columns) - (HOST - LEAST_HOST) - (PATH - LEAST_PATH);
  }

  /** For `grid-template-columns`. */
  get template(): string {
    return this.shown.map((column) => {
      const width = `${this.widths[column]}rem`;
      return column === "path" ? `minmax(${width}, 1fr)` : width;
    })
      .join(" ");
  }

  resize(column: Column, rem: number): void {
    this.#own[column] = Math.min(MOST, Math.max(LEAST, rem));
    keep("requests.widths", this.#own);
  }

  /** An arrow key on a column's edge; whether it was one. */
  key(column: Column, key: string): boolean {
    const step = { ArrowLeft: -STEP, ArrowRight: STEP }[key];
    if (step === undefined) return false;
    this.resize(column, this.widths[column] + step);
    return true;
  }

  /** Sorts by a column: the largest first, then the smallest, then newest first again. */
  sort(column: Column): void {
    const { column: now, down } = this.order;
    if (now !== column) this.order = { column, down: true };
    else if (down) this.order = { column, down: false };
    else this.order = NEWEST;
    keep("requests.order", this.order);
  }

  /** Whether new lines belong on top. */
  get live(): boolean {
    return this.order.column === "time" && this.order.down;
  }
}

function value(line: Line, column: Column): number | string {
  switch (column) {
    case "time":
      return line.id;
    case "status":
      return line.status ?? 0;
    case "duration":
      return line.total_ms;
    case "size":
      return line.bytes_up + line.bytes_down;
    default:
      return line[column];
  }
}

/** The lines from the top of the list to its end. `lines` are oldest first. */
export function sorted(lines: Line[], { column, down }: Order): Line[] {
  if (column === "time") return down ? lines.toReversed() : lines;
  const sign = down ? -1 : 1;
  return lines.toSorted((a, b) => {
    const [x, y] = [value(a, column), value(b, column)];
    const order = typeof x === "string" ? x.localeCompare(y as string) : x - (y as number);
    // The newer of two equals first.
    return order === 0 ? b.id - a.id : order * sign;
  });
}
