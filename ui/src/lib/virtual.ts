/** Which rows of a long list are drawn: those in sight and a few around them. */

export interface Slice {
  /** Index of the first row drawn. */
  from: number;
  /** Index after the last row drawn. */
  to: number;
}

/** Rows drawn outside of what is seen, so that quick scrolling shows no gap. */
const SPARE = 8;

/** All in pixels but `count`. */
export function slice(count: number, rowHeight: number, top: number, height: number): Slice {
  if (rowHeight <= 0) return { from: 0, to: 0 };
  const from = Math.max(0, Math.min(Math.floor(top / rowHeight) - SPARE, count));
  const to = Math.min(count, Math.ceil((top + height) / rowHeight) + SPARE);
  return { from, to: Math.max(from, to) };
}
