//! The one table of settings: name, what it takes, what it means, how it is read and shown.

use std::net::IpAddr;
use std::time::Duration;

use seacat_channel::identity::{FACTS, KeySize};
use seacat_channel::{ConnectBy, Upstream};
use toml_edit::Value;

use super::elements::{
    GATEWAY_SETTINGS, MAP_SETTINGS, REVERSE_SETTINGS, ROUTE_SETTINGS, parse_gateway, parse_map,
    parse_reverse, parse_route,
};
use super::schema::{Config, Enroll, IconTint, KeyStore, Language, Level, UpstreamProxy};
use super::value::{self, Read, put};

/// One setting of a `T`: of the whole [`Config`], or of one element of a list.
pub struct Setting<T> {
    /// Its name: `table.key`, or the bare key inside a list element.
    pub key: &'static str,
    /// What it accepts, for people.
    pub takes: &'static str,
    /// What it does, in a sentence.
    pub doc: &'static str,
    /// Whether a list element without it is refused.
    pub required: bool,
    /// Checks a value and stores it.
    pub(crate) set: fn(&mut T, &Value) -> Read<()>,
    /// The value now; `None` when it has none.
    pub(crate) get: fn(&T) -> Option<Value>,
}

impl<T> Setting<T> {
    /// Its value in `T`, as `config show` prints it; `None` when it has none.
    #[must_use]
    pub fn shown(&self, of: &T) -> Option<String> {
        (self.get)(of).map(|value| super::show::plain(&super::show::json(&value)))
    }

    /// Its value in `T` as JSON; null when it has none.
    #[must_use]
    pub fn json(&self, of: &T) -> serde_json::Value {
        (self.get)(of).map_or(serde_json::Value::Null, |value| super::show::json(&value))
    }

    /// The environment variable that sets it: `SEACAT_PROXY_` and the key in capitals, where the
    /// table `proxy` is not named twice (`proxy.port` is `SEACAT_PROXY_PORT`).
    #[must_use]
    pub fn environment_name(&self) -> String {
        let key = self.key.strip_prefix("proxy.").unwrap_or(self.key);
        format!("SEACAT_PROXY_{}", key.to_uppercase().replace('.', "_"))
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// Every setting there is, in the order `config show` prints them.
pub static SETTINGS: &[Setting<Config>] = &[
    Setting {
        key: "proxy.listen",
        takes: "IP addresses",
        doc: "Addresses the proxy listens on. Non-loopback addresses require proxy.allow_remote.",
        required: false,
        set: |c, v| put(&mut c.proxy.listen, value::addresses(v)),
        get: |c| Some(c.proxy.listen.iter().map(IpAddr::to_string).collect()),
    },
    Setting {
        key: "proxy.port",
        takes: "a port, 0 for any free one",
        doc: "Port the proxy listens on.",
        required: false,
        set: |c, v| put(&mut c.proxy.port, value::port(v, 0)),
        get: |c| Some(i64::from(c.proxy.port).into()),
    },
    Setting {
        key: "proxy.allow_remote",
        takes: "true or false",
        doc: "Serve other computers too; requires proxy.credentials_file.",
        required: false,
        set: |c, v| put(&mut c.proxy.allow_remote, value::boolean(v)),
        get: |c| Some(c.proxy.allow_remote.into()),
    },
    Setting {
        key: "proxy.credentials_file",
        takes: "a path",
        doc: "File with one line `user:password` that clients must send; readable only by you.",
        required: false,
        set: |c, v| put(&mut c.proxy.credentials_file, value::path(v).map(Some)),
        get: |c| c.proxy.credentials_file.as_ref().map(|p| p.display().to_string().into()),
    },
    Setting {
        key: "proxy.users",
        takes: "user names or ids, or *",
        doc: "Other users of this computer who may use the proxy with your identity. Root and system accounts always may.",
        required: false,
        set: |c, v| put(&mut c.proxy.users, value::users(v)),
        get: |c| Some(c.proxy.users.iter().map(String::as_str).collect()),
    },
    Setting {
        key: "proxy.max_connections",
        takes: "a number, 1-65536",
        doc: "Maximum number of client connections; further ones are answered 503.",
        required: false,
        set: |c, v| put(&mut c.proxy.max_connections, value::number(v, 1..=65_536)),
        get: |c| Some(i64::from(c.proxy.max_connections).into()),
    },
    Setting {
        key: "proxy.map",
        takes: "tables with listen and host",
        doc: "Local ports for applications that take only a base URL.",
        required: false,
        set: |c, v| put(&mut c.proxy.map, value::tables(v, MAP_SETTINGS, parse_map)),
        get: |c| Some(value::show_tables(&c.proxy.map, MAP_SETTINGS)),
    },
    Setting {
        key: "route",
        takes: "tables with pattern and to",
        doc: "Where requests go. The first matching rule wins; without a match, to the gateway.",
        required: false,
        set: |c, v| put(&mut c.routes, value::tables(v, ROUTE_SETTINGS, parse_route)),
        get: |c| Some(value::show_tables(&c.routes, ROUTE_SETTINGS)),
    },
    Setting {
        key: "gateway",
        takes: "tables with host or discover, or \"HOST[:PORT]\"",
        doc: "The gateways; without one the proxy is not connected.",
        required: false,
        set: |c, v| put(&mut c.gateways, value::tables(v, GATEWAY_SETTINGS, parse_gateway)),
        get: |c| Some(value::show_tables(&c.gateways, GATEWAY_SETTINGS)),
    },
    Setting {
        key: "channel.wait",
        takes: "a time",
        doc: "How long a request waits for the connection to the gateway before it is answered 503.",
        required: false,
        set: |c, v| put(&mut c.channel.wait, value::duration(v, Duration::ZERO..=SECOND * 600)),
        get: |c| Some(value::show_duration(c.channel.wait).into()),
    },
    Setting {
        key: "channel.keepalive",
        takes: "a time",
        doc: "Interval between PINGs; after two without an answer the connection is considered dead.",
        required: false,
        set: |c, v| put(&mut c.channel.keepalive, value::duration(v, SECOND * 5..=SECOND * 300)),
        get: |c| Some(value::show_duration(c.channel.keepalive).into()),
    },
    Setting {
        key: "channel.drain",
        takes: "a time",
        doc: "How long active requests may take to finish when the proxy stops.",
        required: false,
        set: |c, v| put(&mut c.channel.drain, value::duration(v, Duration::ZERO..=SECOND * 600)),
        get: |c| Some(value::show_duration(c.channel.drain).into()),
    },
    Setting {
        key: "channel.memory",
        takes: "a size",
        doc: "Memory for what waits to be sent or read; beyond it, bodies wait in temporary files or with their sender.",
        required: false,
        set: |c, v| put(&mut c.channel.memory, value::size(v, 16 << 20..=16 << 30)),
        get: |c| Some(value::show_size(c.channel.memory).into()),
    },
    Setting {
        key: "channel.dns_servers",
        takes: "IP addresses, with a port if it is not 53",
        doc: "Name servers for gateway discovery, instead of the system's.",
        required: false,
        set: |c, v| put(&mut c.channel.dns_servers, value::name_servers(v)),
        get: |c| Some(c.channel.dns_servers.iter().map(ToString::to_string).collect()),
    },
    Setting {
        key: "upstream.proxy",
        takes: "none, environment or http://HOST:PORT",
        doc: "HTTP proxy through which gateways are reached; environment uses https_proxy, all_proxy and no_proxy.",
        required: false,
        set: |c, v| put(&mut c.upstream.proxy, upstream_proxy(v)),
        get: |c| Some(show_upstream_proxy(&c.upstream.proxy).into()),
    },
    Setting {
        key: "upstream.credentials_file",
        takes: "a path",
        doc: "File with one line `user:password` for the upstream proxy (Basic); readable only by you.",
        required: false,
        set: |c, v| put(&mut c.upstream.credentials_file, value::path(v).map(Some)),
        get: |c| c.upstream.credentials_file.as_ref().map(|p| p.display().to_string().into()),
    },
    Setting {
        key: "upstream.connect_by",
        takes: "name or address",
        doc: "CONNECT target sent to the upstream proxy: the gateway's name, or an address resolved here.",
        required: false,
        set: |c, v| put(&mut c.upstream.connect_by, value::word(v, &CONNECT_BY)),
        get: |c| Some(word_of(&CONNECT_BY, &c.upstream.connect_by).into()),
    },
    Setting {
        key: "identity.enroll",
        takes: "auto, manual or off",
        doc: "Request a certificate automatically, only on command, or never.",
        required: false,
        set: |c, v| put(&mut c.identity.enroll, value::word(v, &ENROLL)),
        get: |c| Some(word_of(&ENROLL, &c.identity.enroll).into()),
    },
    Setting {
        key: "identity.key_store",
        takes: "system or file",
        doc: "Where the private key is stored: the system's key store, or a file that only you can read.",
        required: false,
        set: |c, v| put(&mut c.identity.key_store, value::word(v, &KEY_STORES)),
        get: |c| Some(word_of(&KEY_STORES, &c.identity.key_store).into()),
    },
    Setting {
        key: "identity.key_bits",
        takes: "2048, 3072 or 4096",
        doc: "The length of a new RSA key.",
        required: false,
        set: |c, v| put(&mut c.identity.key_bits, key_bits(v)),
        get: |c| Some((c.identity.key_bits.bits() as i64).into()),
    },
    Setting {
        key: "identity.common_name",
        takes: "a name",
        doc: "CN in the certificate request.",
        required: false,
        set: |c, v| put(&mut c.identity.subject.common_name, name(v)),
        get: |c| c.identity.subject.common_name.clone().map(Into::into),
    },
    Setting {
        key: "identity.organization",
        takes: "a name",
        doc: "O in the certificate request.",
        required: false,
        set: |c, v| put(&mut c.identity.subject.organization, name(v)),
        get: |c| c.identity.subject.organization.clone().map(Into::into),
    },
    Setting {
        key: "identity.unit",
        takes: "a name",
        doc: "OU in the certificate request.",
        required: false,
        set: |c, v| put(&mut c.identity.subject.unit, name(v)),
        get: |c| c.identity.subject.unit.clone().map(Into::into),
    },
    Setting {
        key: "identity.country",
        takes: "two letters",
        doc: "C in the certificate request.",
        required: false,
        set: |c, v| put(&mut c.identity.subject.country, name(v)),
        get: |c| c.identity.subject.country.clone().map(Into::into),
    },
    Setting {
        key: "identity.email",
        takes: "an e-mail address",
        doc: "E-mail address in the certificate request.",
        required: false,
        set: |c, v| put(&mut c.identity.subject.email, name(v)),
        get: |c| c.identity.subject.email.clone().map(Into::into),
    },
    Setting {
        key: "identity.application",
        takes: "a label",
        doc: "Application label, for gateways that distinguish applications.",
        required: false,
        set: |c, v| put(&mut c.identity.subject.application, name(v)),
        get: |c| c.identity.subject.application.clone().map(Into::into),
    },
    Setting {
        key: "identity.characteristics",
        takes: "keys among apI, apP, apS, ccV, osh, osm, osr, oss and osv",
        doc: "Information about this computer sent to the gateway: label, version, name, processor, system.",
        required: false,
        set: |c, v| put(&mut c.identity.characteristics, characteristics(v)),
        get: |c| Some(c.identity.characteristics.iter().map(String::as_str).collect()),
    },
    Setting {
        key: "reverse",
        takes: "tables with port and target",
        doc: "Ports of this computer that the gateway may connect to.",
        required: false,
        set: |c, v| put(&mut c.reverse, value::tables(v, REVERSE_SETTINGS, parse_reverse)),
        get: |c| Some(value::show_tables(&c.reverse, REVERSE_SETTINGS)),
    },
    Setting {
        key: "log.level",
        takes: "error, warn, info, debug or trace",
        doc: "Log level. URLs are logged only at debug and trace.",
        required: false,
        set: |c, v| put(&mut c.log.level, value::word(v, &LEVELS)),
        get: |c| Some(c.log.level.as_str().into()),
    },
    Setting {
        key: "log.file",
        takes: "true or false",
        doc: "Write a log file (JSON lines) in the state folder.",
        required: false,
        set: |c, v| put(&mut c.log.file, value::boolean(v)),
        get: |c| Some(c.log.file.into()),
    },
    Setting {
        key: "log.max_file",
        takes: "a size",
        doc: "Maximum size of one log file.",
        required: false,
        set: |c, v| put(&mut c.log.max_file, value::size(v, 64 << 10..=1 << 30)),
        get: |c| Some(value::show_size(c.log.max_file).into()),
    },
    Setting {
        key: "log.max_total",
        takes: "a size",
        doc: "Maximum total size of the log files; the oldest are deleted first.",
        required: false,
        set: |c, v| put(&mut c.log.max_total, value::size(v, 64 << 10..=1 << 40)),
        get: |c| Some(value::show_size(c.log.max_total).into()),
    },
    Setting {
        key: "log.failed_requests",
        takes: "true or false",
        doc: "Keep requests that failed for 24 hours in the state folder (no queries, headers or bodies).",
        required: false,
        set: |c, v| put(&mut c.log.failed_requests, value::boolean(v)),
        get: |c| Some(c.log.failed_requests.into()),
    },
    Setting {
        key: "desktop.notifications",
        takes: "true or false",
        doc: "Notify about what needs attention: approved, rejected, expiring, not connected for long.",
        required: false,
        set: |c, v| put(&mut c.desktop.notifications, value::boolean(v)),
        get: |c| Some(c.desktop.notifications.into()),
    },
    Setting {
        key: "desktop.icon",
        takes: "colour, light or dark",
        doc: "Panel icon: coloured, black for light panels or white for dark ones.",
        required: false,
        set: |c, v| put(&mut c.desktop.icon, value::word(v, &ICON_TINTS)),
        get: |c| Some(word_of(&ICON_TINTS, &c.desktop.icon).into()),
    },
    Setting {
        key: "desktop.language",
        takes: "system, en or cs",
        doc: "Language of the window: the desktop's, English or Czech.",
        required: false,
        set: |c, v| put(&mut c.desktop.language, value::word(v, &LANGUAGES)),
        get: |c| Some(word_of(&LANGUAGES, &c.desktop.language).into()),
    },
];

/// The words for [`ConnectBy`].
pub(crate) const CONNECT_BY: [(&str, ConnectBy); 2] =
    [("name", ConnectBy::Name), ("address", ConnectBy::Address)];

/// The value is not repeated in messages: it may hold a password, in the wrong place.
fn upstream_proxy(value: &Value) -> Read<UpstreamProxy> {
    let url = match value.as_str() {
        Some("none") => return Ok(UpstreamProxy::None),
        Some("environment") => return Ok(UpstreamProxy::Environment),
        Some(url) if url.contains("://") => url,
        _ => return value::refuse(value, "must be none, environment or http://HOST:PORT"),
    };
    match url.parse::<Upstream>() {
        Ok(upstream) if upstream.credentials.is_none() => Ok(UpstreamProxy::Url(url.to_owned())),
        Ok(_) => value::refuse(
            value,
            "holds a user, and secrets do not belong here: put one line `user:password` into a \
             file, chmod 600 it, and name it in upstream.credentials_file",
        ),
        Err(error) => value::refuse(value, format!("is not a proxy's URL: {error}")),
    }
}

fn show_upstream_proxy(proxy: &UpstreamProxy) -> &str {
    match proxy {
        UpstreamProxy::None => "none",
        UpstreamProxy::Environment => "environment",
        UpstreamProxy::Url(url) => url,
    }
}

/// The words for [`Enroll`].
pub(crate) const ENROLL: [(&str, Enroll); 3] =
    [("auto", Enroll::Auto), ("manual", Enroll::Manual), ("off", Enroll::Off)];

/// The words for [`KeyStore`].
pub(crate) const KEY_STORES: [(&str, KeyStore); 2] =
    [("system", KeyStore::System), ("file", KeyStore::File)];

/// The words for [`IconTint`].
pub(crate) const ICON_TINTS: [(&str, IconTint); 3] =
    [("colour", IconTint::Colour), ("light", IconTint::Light), ("dark", IconTint::Dark)];

/// The words for [`Language`].
pub(crate) const LANGUAGES: [(&str, Language); 3] =
    [("system", Language::System), ("en", Language::English), ("cs", Language::Czech)];

fn name(value: &Value) -> Read<Option<String>> {
    value::text(value, "a name").map(Some)
}

fn key_bits(value: &Value) -> Read<KeySize> {
    let sizes = [KeySize::Rsa2048, KeySize::Rsa3072, KeySize::Rsa4096];
    let wanted = value.as_integer();
    match sizes.into_iter().find(|size| wanted == Some(size.bits() as i64)) {
        Some(size) => Ok(size),
        None => value::refuse(value, "must be 2048, 3072 or 4096"),
    }
}

/// A list of known keys, or one text with commas between them.
fn characteristics(value: &Value) -> Read<Vec<String>> {
    let keys: Option<Vec<String>> = match (value.as_array(), value.as_str()) {
        (Some(list), _) => list.iter().map(|it| it.as_str().map(str::to_owned)).collect(),
        (None, Some(text)) => {
            let keys = text.split(',').map(str::trim).filter(|key| !key.is_empty());
            Some(keys.map(str::to_owned).collect())
        }
        (None, None) => None,
    };
    let known = |key: &String| FACTS.iter().any(|(known, _)| known == key);
    match keys {
        Some(keys) if keys.iter().all(known) => Ok(keys),
        _ => {
            value::refuse(value, "must be a list of apI, apP, apS, ccV, osh, osm, osr, oss and osv")
        }
    }
}

/// The words for [`Level`].
pub(crate) const LEVELS: [(&str, Level); 5] = [
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
    ("trace", Level::Trace),
];

/// The word for a meaning. Every meaning has one: a test walks the tables.
pub(crate) fn word_of<T: PartialEq>(words: &[(&'static str, T)], meaning: &T) -> &'static str {
    words.iter().find(|(_, m)| m == meaning).map_or("?", |(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::elements::ACTIONS;
    use crate::config::schema::ReversePort;
    use seacat_proxy::Action;

    #[test]
    fn keys_and_environment_names_are_unique() {
        let mut names: Vec<_> = SETTINGS.iter().map(Setting::environment_name).collect();
        names.sort();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(names.contains(&"SEACAT_PROXY_PORT".to_owned()));
        assert!(names.contains(&"SEACAT_PROXY_LOG_LEVEL".to_owned()));
        assert!(names.contains(&"SEACAT_PROXY_GATEWAY".to_owned()));
    }

    #[test]
    fn every_default_is_accepted_by_its_own_reader() {
        for setting in SETTINGS {
            let mut config = Config::default();
            if let Some(value) = (setting.get)(&config) {
                assert!((setting.set)(&mut config, &value).is_ok(), "{}", setting.key);
            }
            assert_eq!(config, Config::default(), "{}", setting.key);
        }
    }

    #[test]
    fn short_gateways() {
        for (text, host, port) in [
            ("gw", "gw", 443),
            ("gw.example.com:8443", "gw.example.com", 8443),
            ("10.0.0.1:1", "10.0.0.1", 1),
            ("::1", "::1", 443),
            ("[::1]", "::1", 443),
            ("[::1]:8443", "::1", 8443),
        ] {
            let gateway = parse_gateway(text).unwrap();
            assert_eq!((gateway.host.as_str(), gateway.port), (host, port), "{text}");
        }
        for text in
            ["", ":443", "gw:", "gw:0", "gw:65536", "gw:x", "https://gw", "[::1", "[::1]443x"]
        {
            assert!(parse_gateway(text).is_err(), "{text}");
        }
    }

    #[test]
    fn short_reverse_ports() {
        for (text, port, target) in [
            ("22=127.0.0.1:22", 22, "127.0.0.1:22"),
            ("8080=localhost:80", 8080, "localhost:80"),
            ("1=[::1]:65535", 1, "[::1]:65535"),
        ] {
            let target = target.to_owned();
            assert_eq!(parse_reverse(text), Ok(ReversePort { port, target }), "{text}");
        }
        for text in ["", "22", "22=", "0=h:1", "22=h", "22=h:0", "22=::1:22", "22=a b:22", "x=h:1"]
        {
            assert!(parse_reverse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_word_has_its_meaning() {
        for (word, level) in LEVELS {
            assert_eq!(level.as_str(), word);
        }
        for action in [Action::Gateway, Action::Direct, Action::Refuse] {
            assert_ne!(word_of(&ACTIONS, &action), "?");
        }
    }
}
