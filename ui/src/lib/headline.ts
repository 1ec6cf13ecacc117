/** The state of everything as the title of the overview: one mark, one sentence, one action. */

import type { IdentityView, StatusView } from "./types";
import type { Words } from "./words/en";

/** A shape for each, as in the panel, so that nobody needs to tell colours apart. */
export type Mark = "connected" | "off" | "connecting" | "waiting" | "attention";

export type Action = "connect" | "disconnect" | "retry";

export interface Headline {
  mark: Mark;
  title: string;
  action: Action | null;
}

/** How loud the identity is. */
export function standing(identity: IdentityView | null): "quiet" | "waiting" | "alarm" {
  switch (identity?.state) {
    case "rejected":
    case "locked":
      return "alarm";
    case "waiting":
    case "revoked":
      return identity.expiring ? "alarm" : "waiting";
    default:
      return identity?.expiring ? "alarm" : "quiet";
  }
}

/** There is nothing to connect to until a person names a gateway. */
export function hasNoGateway(status: StatusView): boolean {
  return status.failure?.code === "SC-NO-GATEWAY";
}

/** The same as the panel's icon. */
export function mark(status: StatusView): Mark {
  const identity = standing(status.identity);
  if (status.state === "stopped" && hasNoGateway(status) && identity === "quiet") return "off";
  switch (status.state) {
    case "off":
      return "off";
    case "stopped":
      return "attention";
    case "draining":
      return "connecting";
    case "connecting":
      return identity === "alarm" ? "attention" : "connecting";
    case "waiting":
      return identity === "alarm" ? "attention" : "waiting";
    case "connected":
      return identity === "alarm" ? "attention" : identity === "waiting" ? "waiting" : "connected";
  }
}

/** No way out of this computer, as far as it can tell. */
const NO_NETWORK = ["SC-UNREACHABLE", "SC-DNS"];

export function headline(status: StatusView, t: Words): Headline {
  if (hasNoGateway(status)) return { mark: mark(status), title: t.state.noGateway, action: null };
  const gateway = status.demo ? t.state.builtIn : (status.gateway ?? t.state.theGateway);
  const titles = {
    off: t.state.off,
    connecting: t.state.connecting(gateway),
    connected: t.state.connected(gateway),
    waiting: NO_NETWORK.includes(status.failure?.code ?? "") ? t.state.noNetwork : t.state.waiting,
    stopped: t.state.stopped,
    draining: t.state.draining,
  };
  const actions = {
    off: "connect",
    connecting: "disconnect",
    connected: "disconnect",
    waiting: "retry",
    stopped: "retry",
    draining: null,
  } as const;
  return { mark: mark(status), title: titles[status.state], action: actions[status.state] };
}
