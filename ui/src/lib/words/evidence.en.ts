/** What a step of a diagnosis has seen: the engine's facts, with their values in. */

import type { Fact } from "../types";

/** What is wrong is told by its code, and the identity by its state. */
export type FactCode = Exclude<Fact["is"], "wrong" | "identity">;

export const evidence = {
  listens: "This program (process {pid}) listens on {addresses}",
  nobody_listens: "Nobody listens on port {port}",
  any_port: "Any free port will do",
  no_proxy: "SeaCat Proxy is not running",
  answers: "{address} answers",
  built_in: "No gateway is set, so the proxy brings its own",
  announced: "{host}, port {port}, priority {priority}, weight {weight}",
  addresses: "{addresses}",
  not_looked_up: "Not looked up: {addresses} is set",
  looked_up_proxy: "Through the proxy {proxy}: {addresses}",
  accepts: "{address} accepts the connection",
  gateway_answers: "{address} accepts the connection, and a SeaCat gateway answers there",
  silent: "{address} does not answer",
  refused: "{address} refuses the connection",
  unreachable: "{address} cannot be reached from this network",
  named: "{variable} names the proxy {proxy}",
  lets_through: "{proxy} lets us through to {target}",
  secured: "{host}:{port} at {address}, {version}, {suite}",
  issued: "The certificate was issued by {issuer} and is valid until {until}",
  ping_answered: "It answers a PING",
  today: "Today is {date}, as far as this computer knows",
  no_identity: "This proxy uses no identity",
  not_known: "Only a running proxy knows",
  not_sent: "Not sent: the proxy is not connected",
  no_host: "No host behind the gateway is known yet",
  asked: "{host} was asked",
  answered: "{host} answered {status}, {bytes} B",
} satisfies Record<FactCode, string>;
