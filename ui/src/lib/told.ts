/** A failure or a finding in the window's language, with the engine's English where there are no words. */

import { day } from "./format";
import { identityTitle } from "./identity";
import type { Fact, FailureView, FindingView, StepView } from "./types";
import type { Text } from "./words/failures.en";
import type { Words } from "./words/en";

type Params = { [name: string]: string };

export interface InFull {
  what: string;
  means: string;
  do: string;
  /** The engine's own sentence, when it says more than our words: they do not name what it is about. */
  detail: string | null;
}

/** The words with their names in, or those without names when one is missing. */
export function fill(text: Text, params: Params): string {
  if (typeof text === "string") return text;
  const [named, bare] = text;
  const names = [...named.matchAll(/\{(\w+)\}/g)].map((it) => it[1] ?? "");
  if (!names.every((name) => params[name])) return bare;
  return put(named, params);
}

function put(text: string, params: Params): string {
  return text.replace(/\{(\w+)\}/g, (_, name: string) => params[name] ?? "");
}

function known(code: string, message: string, params: Params, t: Words): InFull | null {
  if (Object.hasOwn(t.failures, code)) {
    const told = t.failures[code as keyof typeof t.failures];
    const what = fill(told.what, params);
    const isNamed = typeof told.what !== "string" && what !== told.what[1];
    return { what, means: fill(told.means, params), do: fill(told.do, params), detail: isNamed ? null : message };
  }
  if (Object.hasOwn(t.answers, code)) {
    const [what, todo] = t.answers[code as keyof typeof t.answers];
    return { what, means: "", do: todo, detail: message };
  }
  return null;
}

/** What a diagnosis found. In English the engine knows best what happened; what to do in this window, we do. */
export function toldFinding(finding: FindingView, t: Words, lang: string): InFull {
  const words = known(finding.code, finding.message, finding.params, t);
  if (words && lang !== "en") return finding.ok ? { ...words, detail: null } : words;
  return {
    what: capital(finding.message, finding.params),
    means: capital(finding.meaning),
    do: finding.ok ? "" : (words?.do ?? capital(finding.advice)),
    detail: null,
  };
}

/** Why there is no channel; `advice` is what the engine would do about it. */
export function toldFailure(failure: FailureView, advice: string | null, t: Words): InFull {
  const words = known(failure.code, failure.message, failure.params, t);
  if (words) return words;
  return { what: capital(failure.message, failure.params), means: "", do: capital(advice ?? ""), detail: null };
}

/** Findings that pass without anything being wrong: the next move is not this computer's. */
const ON_ITS_WAY = ["SC-WAITING-FOR-APPROVAL", "SC-ENROLLING"];

/** How loud a finding is, the same as on the overview. */
export function kindOf(finding: FindingView): "ok" | "wait" | "alarm" {
  return finding.ok ? "ok" : ON_ITS_WAY.includes(finding.code) ? "wait" : "alarm";
}

/** What a step has seen, a line for each fact; the engine's English when one has no words here. */
export function toldEvidence(step: StepView, t: Words, lang: string): string {
  const lines = step.facts.map((fact) => toldFact(fact, t, lang));
  return lines.length > 0 && lines.every((it) => it !== null) ? lines.join("\n") : step.evidence;
}

/** Values of facts that are days. */
const DAYS = ["until", "date"];

function toldFact(fact: Fact, t: Words, lang: string): string | null {
  if (fact.is === "identity") return capital(identityTitle(fact, t, lang));
  if (fact.is === "wrong") {
    const words = lang.startsWith("en") ? null : known(fact.code, fact.message, fact.params, t);
    return words?.what ?? capital(fact.message, fact.params);
  }
  if (!Object.hasOwn(t.evidence, fact.is)) return null;
  const values = Object.entries(fact).map(([name, value]) => [name, DAYS.includes(name) ? day(`${value}`, lang) : `${value}`]);
  return put(t.evidence[fact.is], Object.fromEntries(values));
}

/** What to do about a code, if we have words for it. */
export function todo(code: string | null, t: Words): string | null {
  return (code && known(code, "", {}, t)?.do) || null;
}

/** The engine's sentences begin small, so that they can stand in others; a name stays as it is. */
function capital(text: string, params: Params = {}): string {
  if (Object.values(params).some((name) => name !== "" && text.startsWith(name))) return text;
  return text.charAt(0).toUpperCase() + text.slice(1);
}
