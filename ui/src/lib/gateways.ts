/** A gateway in a form. */

import type { GatewayValue } from "./types";

/** What a form begins with; the engine's own defaults. */
export function blank(): GatewayValue {
  return { port: 443, priority: 0, weight: 0, tls: "modern" };
}

/** Nothing has been typed into it. */
export function isBlank(gateway: GatewayValue): boolean {
  return JSON.stringify(gateway) === JSON.stringify(blank());
}

/** Sets a text that may be missing: an empty one takes the key out. */
export function set<K extends "name" | "host" | "address">(
  gateway: GatewayValue,
  key: K,
  text: string,
): void {
  if (text.trim() === "") delete gateway[key];
  else gateway[key] = text;
}

/** Whether its certificate comes from an authority of its own, given or still to be given. */
export function hasOwnAuthority(gateway: GatewayValue): boolean {
  return gateway.ca_pem !== undefined || gateway.ca_file !== undefined;
}

/** Chooses who issues its certificate. An own authority without a certificate is kept as such: it cannot be saved. */
export function trust(gateway: GatewayValue, who: "public" | "own"): void {
  if (who === "own") {
    if (!hasOwnAuthority(gateway)) gateway.ca_pem = "";
    return;
  }
  delete gateway.ca_pem;
  delete gateway.ca_file;
}

/** Pins, one on each line. */
export function setPins(gateway: GatewayValue, text: string): void {
  const pins = text.split(/[\s,]+/).filter((it) => it !== "");
  if (pins.length === 0) delete gateway.pin;
  else gateway.pin = pins;
}

/** What people call it. */
export function nameOf(gateway: GatewayValue): string | undefined {
  return gateway.name ?? gateway.host ?? gateway.discover?.app_id;
}
