/** What the identity page says and offers for each state. */

import { day } from "./format";
import type { IdentityView } from "./types";
import type { Words } from "./words/en";

type State = keyof Words["identity"]["states"];

function isState(word: string, t: Words): word is State {
  return Object.hasOwn(t.identity.states, word);
}

/** There is a certificate, and the gateway has not said yet that it knows it: only it can say "registered". */
function isUnconfirmed(identity: { state: string; confirmed?: number | null }): boolean {
  return identity.state === "enrolled" && identity.confirmed === null;
}

/** The state in a sentence; the engine's own where we have no words. */
export function identityTitle(
  identity: Pick<IdentityView, "state" | "sentence" | "valid_until"> & { confirmed?: number | null },
  t: Words,
  lang: string,
): string {
  if (!isState(identity.state, t)) return identity.sentence;
  const words = t.identity.states[identity.state];
  const until = identity.valid_until ? day(identity.valid_until, lang) : t.unknown;
  if (isUnconfirmed(identity)) return t.identity.unconfirmed(until);
  return typeof words === "string" ? words : words(until);
}

/** What it means and what comes next. */
export function identityText(identity: IdentityView, t: Words): string {
  if (!isState(identity.state, t)) return identity.advice ?? "";
  if (isUnconfirmed(identity)) return t.identity.unconfirmedText;
  return t.identity.texts[identity.state];
}

/** The one thing to do, if a person can do something. */
export function identityAction(identity: IdentityView): "enroll" | "again" | "renew" | null {
  switch (identity.state) {
    case "no_key":
    case "not_enrolled":
      return "enroll";
    case "rejected":
      return "again";
    case "enrolled":
      return "renew";
    default:
      return null;
  }
}
