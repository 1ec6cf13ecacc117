// Written from the engine's own types by `SEACAT_WRITE_TYPES=1 cargo test -p seacat-agent typescript`.
// Do not edit.
//
// The window sends a Request and gets an Answer. `watch` and `access` are answered again and again,
// `test_gateway` and `diagnose` by steps and an end; each of these wants a connection of its own.
// A setting has one name everywhere, its key in the configuration file: in SettingValues, in
// SettingsChange.values, and at the beginning of Note.field (`proxy.port`, `gateway.0.host`).

export type JsonValue =
  number | string | boolean | null | Array<JsonValue> | { [key: string]: JsonValue };

/**
 * One request: no query, no headers, no bodies.
 */
export type AccessView = { 
/**
 * By which a request that failed is found again: six letters and digits.
 */
request_code: string | null, 
/**
 * The program that sent it, if that was looked up.
 */
program: ProgramView | null, 
/**
 * When it arrived, in milliseconds since 1970.
 */
time_ms: number, 
/**
 * The request method.
 */
method: string, 
/**
 * The host asked for.
 */
host: string, 
/**
 * The path without its query.
 */
path: string, 
/**
 * The status of the answer; absent when the client left before there was one.
 */
status: number | null, 
/**
 * The code of the error, `SC-…`, when this proxy or the gateway made one.
 */
code: string | null, 
/**
 * Who answered, or ended the request without an answer.
 */
answered_by: AnswererView, 
/**
 * Where it went.
 */
route: RouteView, 
/**
 * How long it waited for the channel, in milliseconds.
 */
waited_ms: number, 
/**
 * From its arrival to the head of the answer, in milliseconds.
 */
first_byte_ms: number | null, 
/**
 * From its arrival to the end of the answer, in milliseconds.
 */
total_ms: number, 
/**
 * Body bytes from the client.
 */
bytes_up: number, 
/**
 * Body bytes to the client.
 */
bytes_down: number, };

/**
 * What is answered.
 */
export type Answer = { "is": "status", 
/**
 * The status.
 */
status: StatusView, } | { "is": "access", 
/**
 * The request that ended.
 */
line: AccessView, } | { "is": "applications", 
/**
 * The latest first.
 */
applications: Array<ApplicationView>, } | { "is": "day", 
/**
 * Traffic and connection.
 */
day: DayView, } | { "is": "explained", 
/**
 * What is known.
 */
explanation: ExplanationView, } | { "is": "missed", 
/**
 * How many lines it did not get.
 */
lines: number, } | { "is": "done" } | { "is": "pem", 
/**
 * The whole text.
 */
text: string, } | { "is": "reloaded", 
/**
 * Settings that changed and need a restart to take effect.
 */
restart_for: Array<string>, } | { "is": "settings", 
/**
 * The settings.
 */
settings: SettingsView, } | { "is": "checked", 
/**
 * What must be put right first.
 */
problems: Array<Note>, 
/**
 * What is worth knowing.
 */
advice: Array<Note>, 
/**
 * Who may issue each gateway's certificate, in the order of the changed `gateway`; null for
 * the public CAs.
 */
authorities: Array<AuthorityView | null>, } | { "is": "saved", 
/**
 * Settings that need a restart to take effect.
 */
restart_for: Array<string>, } | { "is": "step", 
/**
 * The step.
 */
step: StepView, } | { "is": "finding", 
/**
 * What it comes to.
 */
finding: FindingView, } | { "is": "finished", 
/**
 * Whether the gateway can be used.
 */
ok: boolean, 
/**
 * What to do.
 */
advice: string | null, 
/**
 * What it comes to.
 */
finding: FindingView, } | { "is": "tested", 
/**
 * The host that was asked.
 */
host: string, 
/**
 * The status of the answer.
 */
status: number, 
/**
 * The code of our own error, `SC-…`, when the answer is ours and not the host's.
 */
code: string | null, 
/**
 * How long it took, in milliseconds.
 */
ms: number, 
/**
 * The body's length in bytes.
 */
bytes: number, 
/**
 * What is wrong with it; absent when the request went through.
 */
finding: FindingView | null, } | { "is": "password_needed", 
/**
 * Whether one was given, and is not the file's.
 */
wrong: boolean, } | { "is": "first_run", 
/**
 * Where it stands.
 */
first_run: FirstRunView, } | { "is": "error", 
/**
 * Why.
 */
message: string, };

/**
 * Who gave an answer.
 */
export type AnswererView = "program" | "proxy" | "gateway" | "server";

/**
 * A program on this computer that sends requests to the proxy.
 *
 * Its program is looked up while the list is watched and for every request that fails, so requests
 * that succeeded at other times are missing.
 */
export type ApplicationView = { 
/**
 * The program.
 */
program: ProgramView, 
/**
 * Its first request since the proxy was started, in milliseconds since 1970.
 */
first_seen_ms: number, 
/**
 * Its latest request, in milliseconds since 1970.
 */
last_request_ms: number, 
/**
 * Requests of the last 24 hours.
 */
requests: number, 
/**
 * Failed requests of the last 24 hours.
 */
failures: number, 
/**
 * Body bytes in both directions since the proxy was started.
 */
bytes: number, 
/**
 * The hosts it asked for, the latest first.
 */
hosts: Array<string>, 
/**
 * The last 24 hours, oldest first.
 */
hours: Array<HourView>, 
/**
 * How many of the latest requests are counted: up to 10.
 */
latest: number, 
/**
 * How many of these failed.
 */
latest_failed: number, 
/**
 * The latest request that failed.
 */
last_failure: AccessView | null, };

/**
 * A private CA.
 */
export type AuthorityView = { 
/**
 * Its name.
 */
subject: string, 
/**
 * SHA-256 of the certificate, `AB:CD:…`.
 */
fingerprint: string, 
/**
 * Four words for it, to compare with those that the gateway prints.
 */
words: string, 
/**
 * Its last day, `YYYY-MM-DD`.
 */
valid_until: string, 
/**
 * How many certificates there are; the fields above are of the first.
 */
certificates: number, 
/**
 * Why the file or the text cannot be used; the fields above are then empty.
 */
problem: string | null, };

/**
 * The connection changed.
 */
export type ChangeView = { 
/**
 * When, in milliseconds since 1970.
 */
time_ms: number, 
/**
 * Whether there is a connection from then on.
 */
connected: boolean, 
/**
 * Why there is none, `SC-…`.
 */
code: string | null, };

/**
 * Something that the gateway can be told about this computer.
 */
export type CharacteristicView = { 
/**
 * Its key.
 */
key: string, 
/**
 * What it is.
 */
meaning: string, 
/**
 * What it says on this computer, if anything.
 */
value: string | null, };

export type ConnectByValue = "name" | "address";

/**
 * The last 24 hours.
 */
export type DayView = { 
/**
 * The minutes in which requests ended, oldest first.
 */
minutes: Array<MinuteView>, 
/**
 * When the connection changed, oldest first.
 */
changes: Array<ChangeView>, };

export type DiscoverValue = { app_id: string, platform: string, suffix?: string, domain: string, };

export type EnrollValue = "auto" | "manual" | "off";

/**
 * What is known about a request that failed.
 */
export type ExplanationView = { 
/**
 * The request.
 */
line: AccessView, 
/**
 * What happened, a sentence.
 */
what: string, 
/**
 * What it means, a sentence; empty when there is nothing to add.
 */
means: string, 
/**
 * What to do, a sentence.
 */
advice: string, 
/**
 * The first of the kept requests that failed in the same way, in milliseconds since 1970.
 */
since_ms: number, 
/**
 * How many of the kept requests failed in the same way, this one included.
 */
times: number, 
/**
 * Other programs that failed in the same way.
 */
programs: Array<ProgramView>, 
/**
 * Other hosts that failed in the same way; empty when the server itself answered.
 */
hosts: Array<string>, };

/**
 * One line of a step's evidence.
 */
export type Fact = { "is": "listens", pid: number, addresses: string, } | { "is": "nobody_listens", port: number, } | { "is": "any_port" } | { "is": "no_proxy" } | { "is": "answers", address: string, } | { "is": "built_in" } | { "is": "announced", host: string, port: number, priority: number, weight: number, } | { "is": "addresses", addresses: string, } | { "is": "not_looked_up", addresses: string, } | { "is": "looked_up_proxy", proxy: string, addresses: string, } | { "is": "accepts", address: string, } | { "is": "gateway_answers", address: string, } | { "is": "silent", address: string, } | { "is": "refused", address: string, } | { "is": "unreachable", address: string, } | { "is": "named", proxy: string, variable: string, } | { "is": "lets_through", proxy: string, target: string, } | { "is": "secured", host: string, port: number, address: string, version: string, suite: string, } | { "is": "issued", issuer: string, until: string, } | { "is": "ping_answered" } | { "is": "today", date: string, } | { "is": "no_identity" } | { "is": "not_known" } | { "is": "identity", state: string, sentence: string, valid_until: string | null, } | { "is": "not_sent" } | { "is": "no_host" } | { "is": "asked", host: string, } | { "is": "answered", host: string, status: number, bytes: number, } | { "is": "wrong", code: string, message: string, params: { [key: string]: string }, };

/**
 * Something that went wrong.
 */
export type FailureView = { 
/**
 * The stable code, `SC-…`.
 */
code: string, 
/**
 * In a few words, without names.
 */
title: string, 
/**
 * In words.
 */
message: string, 
/**
 * Whether trying again is useless until a person has changed something.
 */
permanent: boolean, 
/**
 * The values in the message: `host`, `address`, `issuer`, `proxy`….
 */
params: { [key: string]: string }, };

/**
 * One setting.
 */
export type FieldView<T> = { 
/**
 * Its value in effect; null when it has none.
 */
value: T, 
/**
 * Which kind of source the value came from.
 */
origin: OriginView, 
/**
 * The very place: a file and line, a variable, an option.
 */
from: string, 
/**
 * Managed by the organisation: a change is refused.
 */
locked: boolean, };

/**
 * What a diagnosis comes to.
 */
export type FindingView = { 
/**
 * The stable code, `SC-…`; `SC-OK` when all is well.
 */
code: string, 
/**
 * Whether all is well.
 */
ok: boolean, 
/**
 * What happened, in a sentence.
 */
message: string, 
/**
 * What it means.
 */
meaning: string, 
/**
 * What to do; empty when there is nothing to do.
 */
advice: string, 
/**
 * The values in these texts: `host`, `address`, `port`, `issuer`, `proxy`, `owner`, `tag`….
 */
params: { [key: string]: string }, };

/**
 * A step of the first run.
 */
export type FirstRunStep = "gateway" | "identity" | "approval" | "address" | "done";

/**
 * Where the first run stands.
 */
export type FirstRunView = { 
/**
 * Whether the window should begin with it: it is not done, and nobody has said "later".
 */
due: boolean, 
/**
 * The step to go on with.
 */
step: FirstRunStep, 
/**
 * Somebody has left it; the window offers to go on.
 */
later: boolean, 
/**
 * The built-in gateway was chosen.
 */
builtin: boolean, 
/**
 * The gateway is managed by the organisation: there is nothing to choose.
 */
locked: boolean, 
/**
 * The address to paste.
 */
address: string | null, 
/**
 * A request has come from an application since the program was first started.
 */
request_seen: boolean, };

/**
 * An element of `gateway`. Keys without a value are left out.
 */
export type GatewayValue = { name?: string, host?: string, discover?: DiscoverValue, port: number, address?: string, ca_file?: string, ca_pem?: string, 
/**
 * `sha256/…`
 */
pin?: Array<string>, priority: number, weight: number, tls: TlsValue, group?: string, };

/**
 * One hour.
 */
export type HourView = { 
/**
 * All requests.
 */
requests: number, 
/**
 * Those that failed.
 */
failures: number, };

export type IconValue = "colour" | "light" | "dark";

/**
 * What a face shows of the identity, and what `identity show --json` prints.
 */
export type IdentityView = { 
/**
 * The gateway, or the group of gateways, that it is towards.
 */
gateway: string | null, 
/**
 * The state in one word.
 */
state: string, 
/**
 * The state in a sentence for people, the Client Tag in it while it is needed.
 */
sentence: string, 
/**
 * What a person can do about it, if anything.
 */
advice: string | null, 
/**
 * What the administrator is told on the telephone.
 */
client_tag: string | null, 
/**
 * The same in full.
 */
client_id: string | null, 
/**
 * Whom the certificate is for.
 */
subject: string | null, 
/**
 * Who issued it.
 */
issuer: string | null, 
/**
 * Its number.
 */
serial: string | null, 
/**
 * Its first day, `YYYY-MM-DD`.
 */
valid_from: string | null, 
/**
 * Its last day, `YYYY-MM-DD`.
 */
valid_until: string | null, 
/**
 * When the next one is asked for, `YYYY-MM-DD`.
 */
renewal: string | null, 
/**
 * When the gateway last said that this certificate is ours, in seconds since 1970; none when it
 * has not said so since this program started.
 */
confirmed: number | null, 
/**
 * Half of the time for renewing it is over: somebody should look.
 */
expiring: boolean, 
/**
 * Where the private key is: the name of a key store, or a file.
 */
key_place: string | null, 
/**
 * Why it is not in the key store, or cannot be read.
 */
key_problem: string | null, 
/**
 * What failed last on this computer.
 */
problem: string | null, 
/**
 * What the gateway is told about this computer.
 */
characteristics: Array<[string, string]>, };

export type KeyStoreValue = "system" | "file";

export type LanguageValue = "system" | "en" | "cs";

export type LevelValue = "error" | "warn" | "info" | "debug" | "trace";

/**
 * An element of `proxy.map`.
 */
export type MapValue = { 
/**
 * `127.0.0.1:8081`; a bare port may be typed.
 */
listen: string, host: string, 
/**
 * Left out when there is none.
 */
allow_origins?: Array<string>, };

/**
 * A local port that stands for one host.
 */
export type MappedView = { 
/**
 * Where it listens.
 */
listen: string, 
/**
 * The host it stands for.
 */
host: string, };

/**
 * One minute.
 */
export type MinuteView = { 
/**
 * Its beginning, in milliseconds since 1970.
 */
time_ms: number, 
/**
 * Requests that ended well.
 */
well: number, 
/**
 * Requests that failed.
 */
failed: number, 
/**
 * Body bytes in both directions.
 */
bytes: number, };

/**
 * Something to say about one field.
 */
export type Note = { 
/**
 * Its path: `proxy.port`, `gateway.0.host`; empty for the whole.
 */
field: string, 
/**
 * In English.
 */
message: string, 
/**
 * A stable word, for other languages.
 */
code: NoteCode, 
/**
 * The values in the message.
 */
params: { [key: string]: string }, };

/**
 * What is to be said about a field, in one word.
 */
export type NoteCode = "invalid" | "required" | "unknown" | "locked" | "conflict" | "port_taken" | "file" | "broken_file" | "not_saved" | "reachability" | "overridden" | "restart";

/**
 * Where a value came from.
 */
export type OriginView = "default" | "file" | "environment" | "command_line" | "policy";

/**
 * A program on this computer.
 */
export type ProgramView = { 
/**
 * What people call it.
 */
name: string, 
/**
 * What it runs, where it is an interpreter.
 */
runs: string | null, };

/**
 * How an attempt to put a changed configuration in effect ended.
 */
export type ReloadView = { 
/**
 * Why it was refused; the configuration from before is in effect then.
 */
error: string | null, 
/**
 * How long ago, in milliseconds.
 */
age_ms: number, };

/**
 * What can be asked.
 */
export type Request = { "do": "status" } | { "do": "watch" } | { "do": "access" } | { "do": "applications" } | { "do": "day" } | { "do": "explain", 
/**
 * Its code, as on the error page.
 */
code: string, } | { "do": "connect" } | { "do": "disconnect" } | { "do": "reload" } | { "do": "stop" } | { "do": "enroll", 
/**
 * The name in it, instead of the configured one.
 */
common_name?: string, } | { "do": "renew" } | { "do": "reset_identity" } | { "do": "import_identity", 
/**
 * The file, PKCS#12 or PEM.
 */
file: Secret, 
/**
 * Its password.
 */
password?: Secret, } | { "do": "export_request" } | { "do": "export_certificate" } | { "do": "settings" } | { "do": "check_settings", 
/**
 * As typed.
 */
change: SettingsChange, } | { "do": "save_settings", 
/**
 * As typed.
 */
change: SettingsChange, } | { "do": "test_gateway", 
/**
 * As in the list `gateway`.
 */
gateway: JsonValue, } | { "do": "diagnose", 
/**
 * The host behind the gateway that a request is sent to; one is chosen when left out.
 */
host?: string, 
/**
 * What is asked for there; chosen when left out.
 */
path?: string, } | { "do": "test_request", 
/**
 * The host behind the gateway; one is chosen when left out.
 */
host?: string, } | { "do": "first_run" } | { "do": "first_run_done" } | { "do": "first_run_later" } | { "do": "use_gateway", 
/**
 * What it is called.
 */
name: string, } | { "do": "use_builtin_gateway", 
/**
 * Which of them.
 */
on: boolean, };

/**
 * An element of `reverse`.
 */
export type ReverseValue = { port: number, 
/**
 * `HOST:PORT`
 */
target: string, };

/**
 * A port of this computer that the gateway may connect to.
 */
export type ReverseView = { 
/**
 * The number the gateway asks for.
 */
port: number, 
/**
 * Where its connections go.
 */
target: string, 
/**
 * Connections open now.
 */
open: number, };

export type RouteTo = "gateway" | "direct" | "refuse";

/**
 * An element of `route`.
 */
export type RouteValue = { pattern: string, to: RouteTo, };

/**
 * Where a request went.
 */
export type RouteView = "local" | "gateway" | "direct";

/**
 * A file with a key, or a password; wiped when it is dropped. In JSON it is base64: a string with
 * nothing to escape, of which the reader makes no copy of its own.
 */
export type Secret = string;

/**
 * The values of all settings, by their keys.
 */
export type SettingValues = { "proxy.listen": Array<string>, "proxy.port": number, "proxy.allow_remote": boolean, "proxy.credentials_file": string | null, "proxy.users": Array<string>, "proxy.max_connections": number, "proxy.map": Array<MapValue>, route: Array<RouteValue>, gateway: Array<GatewayValue>, "channel.wait": string, "channel.keepalive": string, "channel.drain": string, "channel.memory": string, "channel.dns_servers": Array<string>, "upstream.proxy": string, "upstream.credentials_file": string | null, "upstream.connect_by": ConnectByValue, "identity.enroll": EnrollValue, "identity.key_store": KeyStoreValue, "identity.key_bits": number, "identity.common_name": string | null, "identity.organization": string | null, "identity.unit": string | null, "identity.country": string | null, "identity.email": string | null, "identity.application": string | null, "identity.characteristics": Array<string>, reverse: Array<ReverseValue>, "log.level": LevelValue, "log.file": boolean, "log.max_file": string, "log.max_total": string, "log.failed_requests": boolean, "desktop.notifications": boolean, "desktop.icon": IconValue, "desktop.language": LanguageValue, };

/**
 * A change, as typed: a port may still be a text, a name may be half there.
 */
export type SettingsChange = { 
/**
 * New values by key; lists come whole. Null takes the key out of the file, so that the default
 * (or another source) is in effect again. Keys that are left out stay.
 */
values: { [K in keyof SettingValues]?: JsonValue }, 
/**
 * Start at login from now on, or do so no more; nothing is changed when left out.
 */
autostart?: boolean, };

/**
 * The configuration in effect.
 */
export type SettingsView = { 
/**
 * The file that changes go to.
 */
file: string, 
/**
 * Every setting by its key.
 */
values: { [K in keyof SettingValues]: FieldView<SettingValues[K]> }, 
/**
 * Who may issue each gateway's certificate, in the order of `gateway`; null for the public CAs.
 */
authorities: Array<AuthorityView | null>, 
/**
 * What `identity.characteristics` can hold, and what each tells the gateway.
 */
characteristics: Array<CharacteristicView>, 
/**
 * Whether the proxy starts at login; null where that cannot be chosen here.
 */
autostart: boolean | null, 
/**
 * What is allowed but deserves a word.
 */
advice: Array<Note>, };

/**
 * What a face shows, and what `status --json` prints.
 */
export type StatusView = { 
/**
 * The state in one word.
 */
state: Word, 
/**
 * The state in a sentence for people.
 */
sentence: string, 
/**
 * What a person can do about it, if anything.
 */
advice: string | null, 
/**
 * The gateway connected or connecting to.
 */
gateway: string | null, 
/**
 * The address connected to: the gateway's, or the upstream proxy's.
 */
address: string | null, 
/**
 * The gateway that DNS named, `HOST:PORT`, if it was asked for one.
 */
target: string | null, 
/**
 * The upstream proxy on the way, `HOST:PORT`, if there is one.
 */
through: string | null, 
/**
 * How the connection is secured.
 */
tls: TlsView | null, 
/**
 * For how long it has been connected, in milliseconds.
 */
connected_ms: number | null, 
/**
 * The last round trip, in milliseconds.
 */
rtt_ms: number | null, 
/**
 * How long ago the gateway last answered a PING, in milliseconds.
 */
pong_age_ms: number | null, 
/**
 * Until the next attempt, in milliseconds.
 */
next_attempt_ms: number | null, 
/**
 * What is wrong now.
 */
failure: FailureView | null, 
/**
 * What went wrong last, even when all is well again.
 */
last_failure: FailureView | null, 
/**
 * How long ago that was, in milliseconds.
 */
last_failure_age_ms: number | null, 
/**
 * How the last attempt to put a changed configuration in effect ended, since the start.
 */
reload: ReloadView | null, 
/**
 * Requests in flight.
 */
streams: number, 
/**
 * Bytes from the gateway on this connection.
 */
bytes_in: number, 
/**
 * Bytes to the gateway on this connection.
 */
bytes_out: number, 
/**
 * Who this computer is towards the gateway, unless it is anonymous.
 */
identity: IdentityView | null, 
/**
 * Who it is towards other gateways, those that are tried first at the beginning.
 */
other_identities: Array<IdentityView>, 
/**
 * The reverse ports.
 */
reverse: Array<ReverseView>, 
/**
 * The state as the reference client's support reads it, see [`crate::reference`].
 */
reference: string, 
/**
 * The version of the program.
 */
version: string, 
/**
 * Its process id.
 */
pid: number, 
/**
 * Where the proxy listens.
 */
proxy: Array<string>, 
/**
 * The mapped ports.
 */
mapped: Array<MappedView>, 
/**
 * Whether the gateway is the built-in one.
 */
demo: boolean, 
/**
 * It was told to stop, and finishes running requests.
 */
quitting: boolean, 
/**
 * What people call the configured gateways.
 */
gateways: Array<string>, };

/**
 * A step of the way, in the order they are taken.
 */
export type StepId = "port" | "loopback" | "dns" | "tcp" | "other_ports" | "upstream" | "tls" | "issuer" | "seacat" | "clock" | "identity" | "request";

/**
 * How a step stands.
 */
export type StepState = "running" | "ok" | "warning" | "failed" | "skipped";

/**
 * A step, when it begins and when it is over.
 */
export type StepView = { 
/**
 * Which one.
 */
id: StepId, 
/**
 * How it stands.
 */
state: StepState, 
/**
 * How long it took, in milliseconds; null while it runs, or when there was nothing to wait for.
 */
ms: number | null, 
/**
 * What was seen, a line for each fact.
 */
evidence: string, 
/**
 * The same fact by fact, to be told in another language.
 */
facts: Array<Fact>, 
/**
 * What a person can do, when something is wrong.
 */
advice: string | null, 
/**
 * The stable code of what is wrong, `SC-…`.
 */
code: string | null, };

export type TlsValue = "modern" | "compat";

/**
 * How the connection is secured.
 */
export type TlsView = { 
/**
 * "TLS 1.3" or "TLS 1.2".
 */
version: string, 
/**
 * The cipher suite.
 */
suite: string, 
/**
 * Who issued the gateway's certificate.
 */
issuer: string, };

/**
 * The state in one word.
 */
export type Word = "off" | "connecting" | "connected" | "waiting" | "stopped" | "draining";
