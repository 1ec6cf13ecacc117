/**
 * How often the pages show what keeps coming: ten times a second, or twice where painting is slow (WebKit
 * without a graphics processor takes a tenth of a second to paint a list).
 */

/** From one showing to the next, in milliseconds. */
export const QUICK_MS = 100;
export const SLOW_MS = 500;

/** Two frames further apart than this mean that painting is slow; a display shows one every 16 ms. */
const SLOW_FRAME_MS = 50;

export class Pace<T> {
  #waiting: T[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wait = QUICK_MS;
  #last = -Infinity;
  readonly #show: (all: T[]) => void;

  constructor(show: (all: T[]) => void) {
    this.#show = show;
  }

  /** Shows them at once, or with others when it is time. */
  push(came: T[]): void {
    this.#waiting = this.#waiting.length === 0 ? came : this.#waiting.concat(came);
    const wait = Math.max(0, this.#last + this.#wait - performance.now());
    this.#timer ??= setTimeout(() => this.#flush(), wait);
  }

  /** Forgets what waits. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#waiting = [];
  }

  #flush(): void {
    const all = this.#waiting;
    this.#timer = undefined;
    this.#waiting = [];
    this.#last = performance.now();
    this.#show(all);
    requestAnimationFrame((first) =>
      requestAnimationFrame((second) => (this.#wait = second - first > SLOW_FRAME_MS ? SLOW_MS : QUICK_MS)),
    );
  }
}
