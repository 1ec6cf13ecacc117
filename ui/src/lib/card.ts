/** The one card of the overview: what needs a person now, if anything does. */

import { day } from "./format";
import { hasNoGateway } from "./headline";
import type { Page } from "./page_names";
import { toldFailure } from "./told";
import type { IdentityView, StatusView } from "./types";
import type { Words } from "./words/en";

export interface Card {
  /** What it is about, for tests. */
  id: string;
  /** How loud it is. */
  kind: "alarm" | "wait" | "quiet";
  title: string;
  text: string;
  /** The Client Tag, where the administrator needs it. */
  tag: string | null;
  detail: string | null;
  button: string;
  to: Page;
}

export function cardFor(status: StatusView, t: Words, lang: string): Card | null {
  return failed(status, t) ?? (status.identity && identified(status.identity, t, lang)) ?? builtIn(status, t);
}

function failed(status: StatusView, t: Words): Card | null {
  if (!status.failure || (status.state !== "waiting" && status.state !== "stopped")) return null;
  const told = toldFailure(status.failure, status.advice, t);
  const none = hasNoGateway(status);
  const alarm = status.state === "stopped";
  return {
    id: status.failure.code,
    kind: none ? "quiet" : alarm ? "alarm" : "wait",
    title: told.what,
    text: [told.means, told.do].filter((it) => it !== "").join(" "),
    tag: null,
    detail: told.detail,
    button: none ? t.card.toGateway : t.card.why,
    to: none ? "gateway" : "diagnostics",
  };
}

function identified(identity: IdentityView, t: Words, lang: string): Card | null {
  const card = { tag: null, detail: null, button: t.card.toIdentity, to: "identity" } as const;
  switch (identity.state) {
    case "waiting":
    case "revoked": {
      const { states, texts } = t.identity;
      const state = identity.state;
      return { ...card, id: state, kind: "wait", title: states[state], text: texts[state], tag: identity.client_tag };
    }
    case "rejected":
    case "locked": {
      const state = identity.state;
      return { ...card, id: state, kind: "alarm", title: t.identity.states[state], text: t.identity.texts[state] };
    }
  }
  if (!identity.expiring) return null;
  const until = day(identity.valid_until ?? "", lang);
  return { ...card, id: "expiring", kind: "alarm", title: t.identity.expiring(until), text: "" };
}

function builtIn(status: StatusView, t: Words): Card | null {
  if (!status.demo) return null;
  return {
    id: "demo",
    kind: "quiet",
    title: t.gateway.builtIn,
    text: t.gateway.builtInText,
    tag: null,
    detail: null,
    button: t.card.toGateway,
    to: "gateway",
  };
}
