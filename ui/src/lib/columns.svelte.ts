/** The columns of the request list and their widths. */

export const COLUMNS = ["time", "method", "host", "path", "status", "duration", "size"] as const;
export type Column = (typeof COLUMNS)[number];

/** Numbers stand at the right. */
export const NUMBERS: readonly Column[] = ["duration", "size"];

/** Widths in rem; the path takes what is left. */
const WIDE: Record<Column, number> = {
  time: 5.2,
  method: 5,
  host: 9,
  path: 10,
  status: 4.8,
  duration: 5.4,
  size: 5.4,
};

/** In a narrow window the size goes; a request's own sheet has it. */
const NARROW: Record<Column, number> = { ...WIDE, method: 4.9, host: 6, path: 4, status: 4.6, duration: 5.6, size: 0 };
const LEAST = 3;
const MOST = 40;

/** One step of an arrow key, in rem. */
const STEP = 1;

export class Columns {
  widths: Record<Column, number>;
  /** Those that are shown. */
  readonly shown: readonly Column[];

  constructor(narrow: boolean) {
    this.widths = $state({ ...(narrow ? NARROW : WIDE) });
    this.shown = COLUMNS.filter((column) => this.widths[column] > 0);
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
    this.widths[column] = Math.min(MOST, Math.max(LEAST, rem));
  }

  /** An arrow key on a column's edge; whether it was one. */
  key(column: Column, key: string): boolean {
    const step = { ArrowLeft: -STEP, ArrowRight: STEP }[key];
    if (step === undefined) return false;
    this.resize(column, this.widths[column] + step);
    return true;
  }
}
