/** The first run, as the engine remembers it: which question is next, and whether it is wanted now. */

import { bridge } from "./bridge";
import type { Answer, FirstRunStep, FirstRunView, Request } from "./types";

/** The questions, in their order. */
export const STEPS = ["gateway", "identity", "approval", "address"] as const satisfies readonly FirstRunStep[];

/** How often it is asked while it is shown: an approval or a first request shows within a second. */
const POLL_MS = 1_000;

class FirstRun {
  view: FirstRunView | null = $state.raw(null);
  /** Whether it is shown instead of the pages. */
  open = $state(false);
  /** Whether the engine has said if it is due: before, neither it nor a page is shown. */
  known = $state(false);
  /** A step that the person went to, other than the engine's. */
  wanted: FirstRunStep | null = $state(null);

  /** The step that is shown. */
  get step(): FirstRunStep {
    const real = this.view?.step ?? "gateway";
    // Both show where the identity stands, and only one of them is true of it.
    const aboutIdentity = [real, this.wanted].every((it) => it === "identity" || it === "approval");
    return aboutIdentity ? real : (this.wanted ?? real);
  }

  /** Asks the engine; the first run is shown when it is due. */
  async begin(): Promise<void> {
    await this.load();
    if (this.view?.due) this.show();
    this.known = true;
  }

  async load(): Promise<void> {
    await this.#ask({ do: "first_run" });
  }

  show(): void {
    this.wanted = null;
    this.open = true;
  }

  /** Follows it for as long as it is shown. */
  follow(): () => void {
    void this.load();
    const timer = setInterval(() => void this.load(), POLL_MS);
    return () => clearInterval(timer);
  }

  async later(): Promise<void> {
    await this.#ask({ do: "first_run_later" });
    this.open = false;
  }

  async done(): Promise<void> {
    await this.#ask({ do: "first_run_done" });
    this.open = false;
  }

  async #ask(request: Request): Promise<void> {
    const answer: Answer | null = await bridge.ask(request).catch(() => null);
    if (answer?.is === "first_run") this.view = answer.first_run;
  }
}

export const firstRun = new FirstRun();
