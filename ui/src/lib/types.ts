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
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };
export type Secret = string;
export type RouteTo = "gateway" | "direct" | "refuse";
export type TlsValue = "modern" | "compat";
export type ConnectByValue = "name" | "address";
export type EnrollValue = "auto" | "manual" | "off";
export type KeyStoreValue = "system" | "file";
export type LevelValue = "error" | "warn" | "info" | "debug" | "trace";
export type IconValue = "colour" | "light" | "dark";
export type LanguageValue = "system" | "en" | "cs";
export type MapValue = { listen: string; host: string };
export type RouteValue = { pattern: string; to: RouteTo };
export type ReverseValue = { port: number; target: string };
export type DiscoverValue = { app_id: string; platform: string; suffix?: string; domain: string };
export type GatewayValue = {
  name?: string;
  host?: string;
  discover?: DiscoverValue;
  port: number;
  address?: string;
  ca_file?: string;
  ca_pem?: string;
  pin?: string[];
  priority: number;
  weight: number;
  tls: TlsValue;
};
export type SettingValues = {
  "proxy.listen": string[];
  "proxy.port": number;
  "proxy.allow_remote": boolean;
  "proxy.credentials_file": string | null;
  "proxy.max_connections": number;
  "proxy.map": MapValue[];
  route: RouteValue[];
  gateway: GatewayValue[];
  "channel.wait": string;
  "channel.keepalive": string;
  "channel.drain": string;
  "channel.dns_servers": string[];
  "upstream.proxy": string;
  "upstream.credentials_file": string | null;
  "upstream.connect_by": ConnectByValue;
  "identity.enroll": EnrollValue;
  "identity.key_store": KeyStoreValue;
  "identity.key_bits": number;
  "identity.common_name": string | null;
  "identity.organization": string | null;
  "identity.unit": string | null;
  "identity.country": string | null;
  "identity.email": string | null;
  "identity.application": string | null;
  "identity.characteristics": string[];
  reverse: ReverseValue[];
  "log.level": LevelValue;
  "log.file": boolean;
  "log.max_file": string;
  "log.max_total": string;
  "desktop.notifications": boolean;
  "desktop.icon": IconValue;
  "desktop.language": LanguageValue;
};
export type OriginView = "default" | "file" | "environment" | "command_line" | "policy";
export type FieldView<T> = { value: T; origin: OriginView; from: string; locked: boolean };
export type AuthorityView = {
  subject: string;
  fingerprint: string;
  valid_until: string;
  certificates: number;
  problem: string | null;
};
export type CharacteristicView = { key: string; meaning: string; value: string | null };
export type NoteCode =
  | "invalid"
  | "required"
  | "unknown"
  | "locked"
  | "conflict"
  | "port_taken"
  | "file"
  | "broken_file"
  | "not_saved"
  | "reachability"
  | "overridden"
  | "restart";
export type Note = { field: string; message: string; code: NoteCode; params: { [key: string]: string } };
export type SettingsView = {
  file: string;
  values: { [K in keyof SettingValues]: FieldView<SettingValues[K]> };
  authorities: (AuthorityView | null)[];
  characteristics: CharacteristicView[];
  autostart: boolean | null;
  advice: Note[];
};
export type SettingsChange = { values: { [K in keyof SettingValues]?: JsonValue }; autostart?: boolean };
export type StepId =
  | "port"
  | "loopback"
  | "dns"
  | "tcp"
  | "other_ports"
  | "upstream"
  | "tls"
  | "issuer"
  | "seacat"
  | "clock"
  | "identity"
  | "request";
export type StepState = "running" | "ok" | "warning" | "failed" | "skipped";
export type StepView = {
  id: StepId;
  state: StepState;
  ms: number | null;
  evidence: string;
  advice: string | null;
  code: string | null;
};
export type FindingView = {
  code: string;
  ok: boolean;
  message: string;
  meaning: string;
  advice: string;
  params: { [key: string]: string };
};
export type FirstRunStep = "gateway" | "identity" | "approval" | "address" | "done";
export type FirstRunView = {
  due: boolean;
  step: FirstRunStep;
  later: boolean;
  builtin: boolean;
  locked: boolean;
  address: string | null;
  request_seen: boolean;
};
export type Request =
  | { do: "status" | "watch" | "access" | "connect" | "disconnect" | "reload" | "stop" }
  | { do: "enroll"; common_name?: string }
  | { do: "renew" | "reset_identity" | "export_request" | "export_certificate" }
  | { do: "import_identity"; file: Secret; password?: Secret }
  | { do: "settings" }
  | { do: "check_settings" | "save_settings"; change: SettingsChange }
  | { do: "test_gateway"; gateway: JsonValue }
  | { do: "diagnose" }
  | { do: "test_request"; host?: string }
  | { do: "first_run" | "first_run_done" | "first_run_later" }
  | { do: "use_builtin_gateway"; on: boolean };
export type Answer =
  | { is: "status"; status: StatusView }
  | { is: "access"; line: AccessView }
  | { is: "missed"; lines: number }
  | { is: "done" }
  | { is: "pem"; text: string }
  | { is: "reloaded"; restart_for: string[] }
  | { is: "settings"; settings: SettingsView }
  | { is: "checked"; problems: Note[]; advice: Note[] }
  | { is: "saved"; restart_for: string[] }
  | { is: "step"; step: StepView }
  | { is: "finding"; finding: FindingView }
  | { is: "finished"; ok: boolean; advice: string | null; finding: FindingView }
  | { is: "tested"; host: string; status: number; code: string | null; ms: number; bytes: number }
  | { is: "first_run"; first_run: FirstRunView }
  | { is: "error"; message: string };
