/** Setup at the first start, as the engine remembers it: which question is next, and whether it is shown. */

import { bridge } from "./bridge";
import type { Answer, FirstRunStep, FirstRunView, Request, StatusView } from "./types";

/** The questions, in their order. */
export const STEPS = ["gateway", "identity", "approval", "address"] as const satisfies readonly FirstRunStep[];

/** How often it is asked while it is shown: an approval or a first request shows within a second. */
const POLL_MS = 1_000;

/** What is known of a step: it holds now, it does not apply, or it is still to be done. */
export type Standing = "holds" | "skipped" | "open";

/** Which steps hold. A step that was only left, or whose gateway cannot be reached, does not. */
export function standings(view: FirstRunView | null, status: StatusView | null): Record<FirstRunStep, Standing> {
  const identity = status?.identity?.state;
  const enrolled = identity === "enrolled" || identity === "renewing";
  const asked = enrolled || identity === "waiting" || identity === "sent" || identity === "installing";
  const connected = status?.state === "connected";
  const anonymous = connected && status.identity === null;
  const step = (holds: boolean): Standing => (anonymous ? "skipped" : holds ? "holds" : "open");
  const done = view?.step === "done";
  return {
    gateway: connected ? "holds" : "open",
    identity: step(asked),
    approval: step(enrolled),
    address: done ? "holds" : "open",
    done: done ? "holds" : "open",
  };
}

class FirstRun {
  view: FirstRunView | null = $state.raw(null);
  /** Whether it is shown instead of the pages. */
  open = $state(false);
  /** A page was asked for before it was known whether setup is due. */
  #gaveWay = false;
  /** Whether the engine has said if it is due: before, neither it nor a page is shown. */
  known = $state(false);
  /** A step that the person went to, other than the engine's. */
  wanted: FirstRunStep | null = $state(null);

  /** It was left before its end. */
  get unfinished(): boolean {
    return !this.open && this.view !== null && this.view.later && this.view.step !== "done";
  }

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
    if (this.view?.due && !this.#gaveWay && !this.known) this.show();
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

  /** Another page is wanted now. Setup can be resumed from every page. */
  giveWay(): void {
    this.#gaveWay = true;
    if (this.open) void this.later();
  }

  async later(): Promise<void> {
    this.open = false;
    await this.#ask({ do: "first_run_later" });
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
