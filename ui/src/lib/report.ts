/** A diagnosis as a text to be sent to somebody. In the engine's English: support reads it. */

import type { FindingView, StepView } from "./types";

export function report(steps: StepView[], finding: FindingView): string {
  const lines = steps.map((step) => {
    const time = step.ms === null ? "" : ` ${step.ms} ms`;
    return `${step.state.padEnd(8)} ${step.id}${time}${step.evidence ? `: ${step.evidence}` : ""}`;
  });
  const end = [`${finding.code}: ${finding.message}`, finding.meaning, finding.advice];
  return [...lines, ...end.filter((it) => it !== "")].join("\n") + "\n";
}
