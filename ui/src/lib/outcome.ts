/** What became of a request, for people: it works, it works with a remark, or it failed. */

import { isFailed } from "./filter";
import { toldFinding } from "./told";
import type { AccessView, Answer } from "./types";
import type { Words } from "./words/en";

export interface Outcome {
  kind: "ok" | "alarm";
  text: string;
}

/** A server that asks for a sign-in was reached: the way there works. */
const SIGN_IN = 401;

/** Whether the way to the server works, as far as one request shows. */
export function works(line: Pick<AccessView, "status" | "code">): boolean {
  return !isFailed(line) || (line.status === SIGN_IN && line.code === null);
}

/** Why a request failed, in a sentence. */
export function reason(line: Pick<AccessView, "status" | "code" | "host">, t: Words): string {
  const known = line.code !== null && Object.hasOwn(t.answers, line.code) ? t.answers[line.code as keyof Words["answers"]] : null;
  if (known) return known[0];
  if (line.status === null) return t.requests.noStatus;
  const text = t.outcome.statuses[line.status as keyof Words["outcome"]["statuses"]];
  return text ?? (line.status >= 500 ? t.outcome.serverError : t.outcome.clientError);
}

/** What a test request came to. */
export function tested(answer: Answer, t: Words, lang: string): Outcome {
  if (answer.is === "error") return { kind: "alarm", text: answer.message };
  if (answer.is !== "tested") return { kind: "alarm", text: t.outcome.none };
  const said = t.outcome.answered(answer.host, answer.status.toString());
  if (!answer.finding) return { kind: "ok", text: said };
  const { what, do: todo } = toldFinding(answer.finding, t, lang);
  return { kind: "alarm", text: [`${what}.`, todo].filter((it) => it !== "").join(" ") };
}
