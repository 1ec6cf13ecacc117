/** What the engine says about itself, kept up to date for as long as the window is open. */

import { bridge } from "./bridge";
import type { Answer, Request, StatusView } from "./types";

/** The picture on the overview has a point a second. */
const POLL_MS = 1_000;

class Engine {
  /** The latest status; null until the first one comes, and while there is no engine. */
  status: StatusView | null = $state.raw(null);
  /** Whether there is an engine; null until we know. */
  running: boolean | null = $state(null);
  /** How long ago the latest status came, in milliseconds: ages in it grow by that much. */
  age = $state(0);

  #came = 0;
  #listeners = new Set<(status: StatusView) => void>();

  /** Follows the engine until the window closes. */
  start(): void {
    this.#watch();
    setInterval(() => void this.#poll(), POLL_MS);
  }

  /** Calls `hear` with a fresh status every second. */
  everySecond(hear: (status: StatusView) => void): () => void {
    this.#listeners.add(hear);
    return () => this.#listeners.delete(hear);
  }

  /** Starts an engine; why it did not, or null. */
  async launch(): Promise<string | null> {
    return bridge.startEngine().then(
      () => null,
      (error) => String(error),
    );
  }

  /** Asks for something, and gives what the engine says against it, or null. */
  async wish(request: Request): Promise<string | null> {
    try {
      const answer = await bridge.ask(request);
      return answer.is === "error" ? answer.message : null;
    } catch (error) {
      return String(error);
    }
  }

  #take(status: StatusView): void {
    this.status = status;
    this.running = true;
    // Quit in the panel or in this window: there is nothing left to look at.
    if (status.quitting) void bridge.closeWindow();
    this.#came = performance.now();
    this.age = 0;
  }

  #watch(): void {
    bridge.open(
      { do: "watch" },
      (answers: Answer[]) => {
        const last = answers.findLast((it) => it.is === "status");
        if (last) this.#take(last.status);
      },
      () => {
        this.running = false;
        // What it said is not so any more. The next second finds out whether there is another engine.
        this.status = null;
      },
    );
  }

  async #poll(): Promise<void> {
    if (this.running === false) {
      if (await bridge.engine().catch(() => false)) {
        this.running = true;
        this.#watch();
      }
      return;
    }
    this.age = performance.now() - this.#came;
    if (document.hidden || this.running === null) return;
    const answer = await bridge.ask({ do: "status" }).catch(() => null);
    if (answer?.is !== "status") return;
    this.#take(answer.status);
    for (const hear of this.#listeners) hear(answer.status);
  }
}

export const engine = new Engine();
