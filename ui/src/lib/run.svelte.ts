/** A test or a diagnosis: steps that tick, and what it comes to. */

import { bridge } from "./bridge";
import type { FindingView, Request, StepView } from "./types";

export class Run {
  steps: StepView[] = $state.raw([]);
  finding: FindingView | null = $state.raw(null);
  running = $state(false);
  /** Why it ended without a finding. */
  problem: string | null = $state(null);

  #close = () => {};

  start(request: Request): void {
    this.stop();
    this.steps = [];
    this.finding = null;
    this.problem = null;
    this.running = true;
    this.#close = bridge.open(
      request,
      (answers) => {
        for (const answer of answers) {
          if (answer.is === "step") this.#step(answer.step);
          else if (answer.is === "finding" || answer.is === "finished") {
            this.finding = answer.finding;
            // The connection may stay open; nothing more comes.
            this.stop();
          } else if (answer.is === "error") {
            this.problem = answer.message;
            this.stop();
          }
        }
      },
      () => {
        this.problem ??= this.finding ? null : "";
        this.running = false;
      },
    );
  }

  stop(): void {
    this.#close();
    this.#close = () => {};
    this.running = false;
  }

  /** A step comes twice: when it begins and when it is over. */
  #step(step: StepView): void {
    const at = this.steps.findIndex((it) => it.id === step.id && it.state === "running");
    this.steps = at < 0 ? [...this.steps, step] : this.steps.with(at, step);
  }
}
