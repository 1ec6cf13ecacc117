//! The control protocol in TypeScript: `ui/src/lib/types.ts` is written from the types that the engine
//! itself reads and writes, and a test fails when the file is not what would be written.
//!
//! To write it: `SEACAT_WRITE_TYPES=1 cargo test -p seacat-agent typescript`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use ts_rs::{Config, TS, TypeVisitor};

use crate::control::{Answer, Request};
use crate::settings::FieldView;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ui/src/lib/types.ts");

const HEAD: &str = "\
// Written from the engine's own types by `SEACAT_WRITE_TYPES=1 cargo test -p seacat-agent typescript`.
// Do not edit.
//
// The window sends a Request and gets an Answer. `watch` and `access` are answered again and again,
// `test_gateway` and `diagnose` by steps and an end; each of these wants a connection of its own.
// A setting has one name everywhere, its key in the configuration file: in SettingValues, in
// SettingsChange.values, and at the beginning of Note.field (`proxy.port`, `gateway.0.host`).

export type JsonValue =
  number | string | boolean | null | Array<JsonValue> | { [key: string]: JsonValue };
";

/// The values of all settings, by their keys.
#[derive(Debug, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
struct SettingValues {
    #[serde(rename = "proxy.listen")]
    proxy_listen: Vec<String>,
    #[serde(rename = "proxy.port")]
    proxy_port: u16,
    #[serde(rename = "proxy.allow_remote")]
    proxy_allow_remote: bool,
    #[serde(rename = "proxy.credentials_file")]
    proxy_credentials_file: Option<String>,
    #[serde(rename = "proxy.users")]
    proxy_users: Vec<String>,
    #[serde(rename = "proxy.max_connections")]
    proxy_max_connections: u32,
    #[serde(rename = "proxy.map")]
    proxy_map: Vec<MapValue>,
    route: Vec<RouteValue>,
    gateway: Vec<GatewayValue>,
    #[serde(rename = "channel.wait")]
    channel_wait: String,
    #[serde(rename = "channel.keepalive")]
    channel_keepalive: String,
    #[serde(rename = "channel.drain")]
    channel_drain: String,
    #[serde(rename = "channel.memory")]
    channel_memory: String,
    #[serde(rename = "channel.dns_servers")]
    channel_dns_servers: Vec<String>,
    #[serde(rename = "upstream.proxy")]
    upstream_proxy: String,
    #[serde(rename = "upstream.credentials_file")]
    upstream_credentials_file: Option<String>,
    #[serde(rename = "upstream.connect_by")]
    upstream_connect_by: ConnectByValue,
    #[serde(rename = "identity.enroll")]
    identity_enroll: EnrollValue,
    #[serde(rename = "identity.key_store")]
    identity_key_store: KeyStoreValue,
    #[serde(rename = "identity.key_bits")]
    identity_key_bits: u32,
    #[serde(rename = "identity.common_name")]
    identity_common_name: Option<String>,
    #[serde(rename = "identity.organization")]
    identity_organization: Option<String>,
    #[serde(rename = "identity.unit")]
    identity_unit: Option<String>,
    #[serde(rename = "identity.country")]
    identity_country: Option<String>,
    #[serde(rename = "identity.email")]
    identity_email: Option<String>,
    #[serde(rename = "identity.application")]
    identity_application: Option<String>,
    #[serde(rename = "identity.characteristics")]
    identity_characteristics: Vec<String>,
    reverse: Vec<ReverseValue>,
    #[serde(rename = "log.level")]
    log_level: LevelValue,
    #[serde(rename = "log.file")]
    log_file: bool,
    #[serde(rename = "log.max_file")]
    log_max_file: String,
    #[serde(rename = "log.max_total")]
    log_max_total: String,
    #[serde(rename = "log.failed_requests")]
    log_failed_requests: bool,
    #[serde(rename = "desktop.notifications")]
    desktop_notifications: bool,
    #[serde(rename = "desktop.icon")]
    desktop_icon: IconValue,
    #[serde(rename = "desktop.language")]
    desktop_language: LanguageValue,
}

/// An element of `proxy.map`.
#[derive(Debug, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
struct MapValue {
    /// `127.0.0.1:8081`; a bare port may be typed.
    listen: String,
    host: String,
    /// Left out when there is none.
    #[ts(optional)]
    allow_origins: Option<Vec<String>>,
}

/// An element of `route`.
#[derive(Debug, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
struct RouteValue {
    pattern: String,
    to: RouteTo,
}

#[derive(Debug, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
enum RouteTo {
    Gateway,
    Direct,
    Refuse,
}

/// An element of `gateway`. Keys without a value are left out.
#[derive(Debug, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
struct GatewayValue {
    #[ts(optional)]
    name: Option<String>,
    #[ts(optional)]
    host: Option<String>,
    #[ts(optional)]
    discover: Option<DiscoverValue>,
    port: u16,
    #[ts(optional)]
    address: Option<String>,
    #[ts(optional)]
    ca_file: Option<String>,
    #[ts(optional)]
    ca_pem: Option<String>,
    /// `sha256/…`
    #[ts(optional)]
    pin: Option<Vec<String>>,
    priority: u16,
    weight: u16,
    tls: TlsValue,
    #[ts(optional)]
    group: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
struct DiscoverValue {
    app_id: String,
    platform: String,
    #[ts(optional)]
    suffix: Option<String>,
    domain: String,
}

#[derive(Debug, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
enum TlsValue {
    Modern,
    Compat,
}

/// An element of `reverse`.
#[derive(Debug, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
struct ReverseValue {
    port: u16,
    /// `HOST:PORT`
    target: String,
}

#[derive(Debug, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
enum ConnectByValue {
    Name,
    Address,
}

#[derive(Debug, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
enum EnrollValue {
    Auto,
    Manual,
    Off,
}

#[derive(Debug, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
enum KeyStoreValue {
    System,
    File,
}

#[derive(Debug, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
enum LevelValue {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
enum IconValue {
    Colour,
    Light,
    Dark,
}

#[derive(Debug, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
enum LanguageValue {
    System,
    En,
    Cs,
}

/// Declarations by name, of a type and of all that it mentions.
struct Declarations {
    config: Config,
    by_name: BTreeMap<String, String>,
}

impl TypeVisitor for Declarations {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        // What has no file to go to is built in: numbers, texts, lists.
        if T::output_path().is_none() {
            T::visit_dependencies(self);
            T::visit_generics(self);
            return;
        }
        let name = T::ident(&self.config);
        if self.by_name.contains_key(&name) {
            return;
        }
        let docs = T::docs().unwrap_or_default();
        let text = format!("{docs}export {}\n", T::decl(&self.config));
        self.by_name.insert(name, text);
        T::visit_dependencies(self);
        T::visit_generics(self);
    }
}

/// The whole file.
fn text() -> String {
    let config = Config::default().with_large_int("number");
    let mut all = Declarations { config, by_name: BTreeMap::new() };
    all.visit::<Request>();
    all.visit::<Answer>();
    all.visit::<SettingValues>();
    // Mentioned by name only.
    all.visit::<FieldView<()>>();
    let mut text = HEAD.to_owned();
    for declaration in all.by_name.values() {
        let _ = write!(text, "\n{declaration}");
    }
    text
}

#[test]
fn the_file_is_current() {
    let (path, text) = (Path::new(FILE), text());
    if std::env::var_os("SEACAT_WRITE_TYPES").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &text).unwrap();
    }
    let there = fs::read_to_string(path).unwrap_or_default();
    assert!(
        there == text,
        "ui/src/lib/types.ts is out of date: SEACAT_WRITE_TYPES=1 cargo test -p seacat-agent typescript"
    );
}

/// The table of settings and the types above say the same.
#[test]
fn every_setting_has_its_type() {
    let full = r#"
        gateway = [{ name = "n", host = "gw", port = 8443, address = "192.0.2.1", ca_file = "/ca", pin = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" },
                   { discover = { app_id = "a", platform = "py3", suffix = "s" }, pin = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", tls = "modern" }]
        route = [{ pattern = "*.a", to = "direct" }]
        reverse = [{ port = 1, target = "h:1" }]
        [proxy]
        map = [{ listen = 8081, host = "erp", allow_origins = "https://portal.example" }]
        credentials_file = "/c"
        [identity]
        common_name = "cn"
    "#;
    for text in [String::new(), crate::config::with_native_paths(full)] {
        let config = crate::config::load::check_text(Path::new("c.toml"), &text).unwrap();
        let values: serde_json::Map<_, _> = crate::config::settings::SETTINGS
            .iter()
            .map(|setting| (setting.key.to_owned(), setting.json(&config)))
            .collect();
        let typed: SettingValues = serde_json::from_value(values.into()).unwrap();
        assert_eq!(typed.proxy_port, 3128);
    }
}
