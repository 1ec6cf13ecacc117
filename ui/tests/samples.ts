/** Plain values that the engine would send. */

import type { AccessView, Answer, IdentityView, SettingsView, SettingValues, StatusView } from "../src/lib/types";

export function status(change: Partial<StatusView> = {}): StatusView {
  return {
    state: "connected",
    sentence: "connected to gw.example.com",
    advice: null,
    gateway: "gw.example.com",
    address: "192.0.2.7:443",
    target: null,
    through: null,
    tls: { version: "TLS 1.3", suite: "TLS13_AES_128_GCM_SHA256", issuer: "CN=Example CA" },
    connected_ms: 60_000,
    rtt_ms: 12,
    pong_age_ms: 4_000,
    next_attempt_ms: null,
    failure: null,
    last_failure: null,
    last_failure_age_ms: null,
    reload: null,
    streams: 0,
    bytes_in: 0,
    bytes_out: 0,
    identity: null,
    other_identities: [],
    reverse: [],
    reference: "ER*",
    version: "0.1.0",
    pid: 7,
    proxy: ["127.0.0.1:3128"],
    mapped: [],
    demo: false,
    quitting: false,
    gateways: ["gw.example.com"],
    ...change,
  };
}

export function identity(state: string, change: Partial<IdentityView> = {}): IdentityView {
  return {
    gateway: "gw.example.com",
    state,
    sentence: state,
    advice: null,
    client_tag: "[OY4PHTSP5YAU5AUK]",
    client_id: "OY4PHTSP5YAU5AUK",
    subject: null,
    issuer: null,
    serial: null,
    valid_from: null,
    valid_until: "2027-01-02",
    renewal: null,
    confirmed: 1_790_000_000,
    expiring: false,
    key_place: null,
    key_problem: null,
    problem: null,
    characteristics: [],
    ...change,
  };
}

export function line(change: Partial<AccessView> = {}): AccessView {
  return {
    request_code: null,
    program: null,
    time_ms: 0,
    method: "GET",
    host: "erp",
    path: "/orders",
    status: 200,
    code: null,
    answered_by: "server",
    route: "gateway",
    waited_ms: 1,
    first_byte_ms: 80,
    total_ms: 100,
    bytes_up: 0,
    bytes_down: 10,
    ...change,
  };
}

export function access(change: Partial<AccessView> = {}): Answer {
  return { is: "access", line: line(change) };
}

const VALUES = {
  "proxy.port": 3128,
  "proxy.map": [],
  gateway: [{ host: "gw.example.com", port: 443, priority: 0, weight: 0, tls: "modern" }],
  "desktop.language": "system",
} satisfies Partial<SettingValues>;

/** Settings with the few values that a test needs. */
export function settings(change: Partial<SettingValues> = {}, locked: string[] = []): SettingsView {
  const values = Object.entries({ ...VALUES, ...change }).map(([key, value]) => [
    key,
    { value, origin: "file", from: "config.toml:1", locked: locked.includes(key) },
  ]);
  return {
    file: "config.toml",
    values: Object.fromEntries(values),
    authorities: [null],
    characteristics: [],
    autostart: false,
    advice: [],
  };
}
