// By hand until they are generated from the engine's Rust types.

export type Word = "off" | "connecting" | "connected" | "waiting" | "stopped" | "draining";
export type TlsView = { version: string; suite: string; issuer: string };
export type FailureView = { code: string; message: string; permanent: boolean };
export type MappedView = { listen: string; host: string };
export type ReverseView = { port: number; target: string; open: number };
export type RouteView = "local" | "gateway" | "direct";
export type IdentityView = {
  state: string;
  sentence: string;
  advice: string | null;
  client_tag: string | null;
  client_id: string | null;
  subject: string | null;
  issuer: string | null;
  serial: string | null;
  valid_from: string | null;
  valid_until: string | null;
  renewal: string | null;
  expiring: boolean;
  key_place: string | null;
  key_problem: string | null;
  problem: string | null;
  characteristics: [string, string][];
};
export type StatusView = {
  state: Word;
  sentence: string;
  advice: string | null;
  gateway: string | null;
  address: string | null;
  target: string | null;
  through: string | null;
  tls: TlsView | null;
  connected_ms: number | null;
  rtt_ms: number | null;
  pong_age_ms: number | null;
  next_attempt_ms: number | null;
  failure: FailureView | null;
  last_failure: FailureView | null;
  streams: number;
  bytes_in: number;
  bytes_out: number;
  identity: IdentityView | null;
  reverse: ReverseView[];
  reference: string;
  version: string;
  pid: number;
  proxy: string[];
  mapped: MappedView[];
  demo: boolean;
  gateways: string[];
};
export type AccessView = {
  time_ms: number;
  method: string;
  host: string;
  path: string;
  status: number | null;
  code: string | null;
  route: RouteView;
  waited_ms: number;
  first_byte_ms: number | null;
  total_ms: number;
  bytes_up: number;
  bytes_down: number;
};
export type Request =
  | { do: "status" | "watch" | "access" | "connect" | "disconnect" | "reload" | "stop" }
  | { do: "enroll"; common_name: string | null }
  | { do: "renew" | "reset_identity" | "export_request" | "export_certificate" };
export type Answer =
  | { is: "status"; status: StatusView }
  | { is: "access"; line: AccessView }
  | { is: "missed"; lines: number }
  | { is: "done" }
  | { is: "pem"; text: string }
  | { is: "reloaded"; restart_for: string[] }
  | { is: "error"; message: string };
