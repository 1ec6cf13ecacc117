/** A failure or a finding in the window's language, with the engine's English where there are no words. */

import type { FailureView, FindingView } from "./types";
import type { Told } from "./words/failures.en";
import type { Words } from "./words/en";

export interface InFull extends Told {
  /** The engine's own sentence, when it says more than the words do. */
  detail: string | null;
}

function known(code: string, t: Words): Told | undefined {
  return Object.hasOwn(t.failures, code) ? t.failures[code as keyof typeof t.failures] : undefined;
}

/** What a diagnosis found. In English the engine's sentences are better: they name names. */
export function toldFinding(finding: FindingView, t: Words, lang: string): InFull {
  const words = lang === "en" ? undefined : known(finding.code, t);
  if (words) return { ...words, detail: finding.ok ? null : finding.message };
  return { what: finding.message, means: finding.meaning, do: finding.advice, detail: null };
}

/** Why there is no channel; `advice` is what the engine would do about it. */
export function toldFailure(failure: FailureView, advice: string | null, t: Words): InFull {
  const words = known(failure.code, t);
  if (words) return { ...words, detail: failure.message };
  return { what: failure.message, means: "", do: advice ?? "", detail: null };
}
