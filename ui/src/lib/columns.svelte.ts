/** The columns of the request list and their widths. */

export const COLUMNS = ["time", "method", "host", "path", "status", "duration", "size"] as const;
export type Column = (typeof COLUMNS)[number];

/** Numbers stand at the right. */
export const NUMBERS: readonly Column[] = ["duration", "size"];

/** Widths in rem; the path takes what is left. */
const WIDTHS: Record<Column, number> = {
  time: 5.2,
  method: 5,
  host: 9,
  path: 10,
  status: 4.8,
  duration: 5.4,
  size: 5.4,
};
const LEAST = 3;
const MOST = 40;

/** One step of an arrow key, in rem. */
const STEP = 1;

export class Columns {
  widths: Record<Column, number> = $state({ ...WIDTHS });

  /** For `grid-template-columns`. */
  get template(): string {
    return COLUMNS.map((column) => {
      const width = `${this.widths[column]}rem`;
      return column === "path" ? `minmax(${width}, 1fr)` : width;
    }).join(" ");
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
