//! The settings of list elements: `[[gateway]]`, `[[proxy.map]]` and `[[route]]`, in full and in short.

use std::net::{Ipv4Addr, SocketAddr};

use seacat_channel::{Discovery, Tls};
use seacat_proxy::{Action, InvalidOrigin, InvalidPattern, Origin, Pattern};
use toml_edit::Value;

use super::schema::{Gateway, Map, ReversePort, Route};
use super::settings::{Setting, word_of};
use super::value::{self, Read, put};

/// The words for [`Action`].
pub(super) const ACTIONS: [(&str, Action); 3] =
    [("gateway", Action::Gateway), ("direct", Action::Direct), ("refuse", Action::Refuse)];

/// The words for [`Tls`].
pub(crate) const TLS: [(&str, Tls); 2] = [("modern", Tls::Modern), ("compat", Tls::Compat)];

/// The keys of one `[[gateway]]`.
pub static GATEWAY_SETTINGS: &[Setting<Gateway>] = &[
    Setting {
        key: "name",
        takes: "a text",
        doc: "Display name.",
        required: false,
        set: |g, v| put(&mut g.name, value::text(v, "a name").map(Some)),
        get: |g| g.name.as_deref().map(Into::into),
    },
    Setting {
        key: "host",
        takes: "a host name",
        doc: "Host name; the certificate must be issued for it. Required unless `discover` is set.",
        required: false,
        set: |g, v| put(&mut g.host, value::host(v)),
        get: |g| (!g.host.is_empty()).then(|| g.host.as_str().into()),
    },
    Setting {
        key: "discover",
        takes: "a table with app_id and platform",
        doc: "Discover it through DNS instead of host and port; requires ca_file, ca_pem or pin.",
        required: false,
        set: |g, v| put(&mut g.discover, value::inner_table(v, DISCOVER_SETTINGS).map(Some)),
        get: |g| g.discover.as_ref().map(|d| value::show_table(d, DISCOVER_SETTINGS).into()),
    },
    Setting {
        key: "port",
        takes: "a port",
        doc: "Port; 443 is reachable from most networks.",
        required: false,
        set: |g, v| put(&mut g.port, value::port(v, 1)),
        get: |g| Some(i64::from(g.port).into()),
    },
    Setting {
        key: "address",
        takes: "an IP address",
        doc: "IP address to connect to, without DNS; the certificate must still be issued for the host name.",
        required: false,
        set: |g, v| put(&mut g.address, value::address(v).map(Some)),
        get: |g| g.address.map(|address| address.to_string().into()),
    },
    Setting {
        key: "ca_file",
        takes: "a path",
        doc: "PEM file with the private CA that issued the certificate; public CAs are then not trusted.",
        required: false,
        set: |g, v| put(&mut g.ca_file, value::path(v).map(Some)),
        get: |g| g.ca_file.as_ref().map(|p| p.display().to_string().into()),
    },
    Setting {
        key: "ca_pem",
        takes: "PEM text",
        doc: "The same certificate as text.",
        required: false,
        set: |g, v| put(&mut g.ca_pem, read_pem(v).map(Some)),
        get: |g| g.ca_pem.as_deref().map(Into::into),
    },
    Setting {
        key: "pin",
        takes: "sha256/BASE64, or a list of them",
        doc: "SHA-256 of the public key (SubjectPublicKeyInfo); a gateway with another key is refused. With tls = \"compat\" its certificate may be of X.509 version 1 or signed with SHA-1.",
        required: false,
        set: |g, v| put(&mut g.pins, read_pins(v)),
        get: |g| (!g.pins.is_empty()).then(|| g.pins.iter().collect()),
    },
    Setting {
        key: "priority",
        takes: "a number, 0-65535",
        doc: "Gateways with a lower number are tried first.",
        required: false,
        set: |g, v| put(&mut g.priority, read_u16(v)),
        get: |g| Some(i64::from(g.priority).into()),
    },
    Setting {
        key: "weight",
        takes: "a number, 0-65535",
        doc: "Share of connections among gateways of equal priority.",
        required: false,
        set: |g, v| put(&mut g.weight, read_u16(v)),
        get: |g| Some(i64::from(g.weight).into()),
    },
    Setting {
        key: "tls",
        takes: "modern or compat",
        doc: "modern: TLS 1.3 and 1.2 with cipher suites considered secure. compat: also the one \
              suite of old gateways, through OpenSSL. Never changed automatically.",
        required: false,
        set: |g, v| put(&mut g.tls, value::word(v, &TLS)),
        get: |g| Some(word_of(&TLS, &g.tls).into()),
    },
    Setting {
        key: "group",
        takes: "a text",
        doc: "Gateways of one group share a client CA and know the same clients: one identity of this \
              computer serves them all. Without it each gateway has an identity of its own.",
        required: false,
        set: |g, v| put(&mut g.group, read_group(v).map(Some)),
        get: |g| g.group.as_deref().map(Into::into),
    },
];

/// Longer names are no names.
const GROUP_LONGEST: usize = 64;

fn read_group(value: &Value) -> Read<String> {
    let group = value::text(value, "a name")?;
    match group.chars().count() {
        0..=GROUP_LONGEST => Ok(group),
        _ => value::refuse(value, format!("must have no more than {GROUP_LONGEST} characters")),
    }
}

/// The keys of a gateway's `discover`.
pub static DISCOVER_SETTINGS: &[Setting<Discovery>] = &[
    Setting {
        key: "app_id",
        takes: "a text",
        doc: "Application id, or ## and its hash in 32 hexadecimal digits.",
        required: true,
        set: |d, v| put(&mut d.app_id, value::text(v, "an application id")),
        get: |d| Some(d.app_id.as_str().into()),
    },
    Setting {
        key: "platform",
        takes: "three letters or digits",
        doc: "Platform code, as published in DNS.",
        required: true,
        set: |d, v| put(&mut d.platform, value::text(v, "a platform's code")),
        get: |d| Some(d.platform.as_str().into()),
    },
    Setting {
        key: "suffix",
        takes: "up to 8 letters or digits",
        doc: "Distinguishes installations of one application.",
        required: false,
        set: |d, v| put(&mut d.suffix, value::text(v, "a suffix").map(Some)),
        get: |d| d.suffix.as_deref().map(Into::into),
    },
    Setting {
        key: "domain",
        takes: "a domain",
        doc: "DNS domain of the announcement; default s.seacat.mobi.",
        required: false,
        set: |d, v| put(&mut d.domain, value::host(v)),
        get: |d| Some(d.domain.as_str().into()),
    },
];

/// The keys of one `[[proxy.map]]`.
pub static MAP_SETTINGS: &[Setting<Map>] = &[
    Setting {
        key: "listen",
        takes: "a port or address:port",
        doc: "Local port, or address and port, for the application.",
        required: true,
        set: |m, v| put(&mut m.listen, value::socket_address(v)),
        get: |m| Some(m.listen.to_string().into()),
    },
    Setting {
        key: "host",
        takes: "a host name",
        doc: "Name of the host at the gateway.",
        required: true,
        set: |m, v| put(&mut m.host, value::host(v)),
        get: |m| Some(m.host.as_str().into()),
    },
    Setting {
        key: "allow_origins",
        takes: "origins such as https://portal.example, or *",
        doc: "Origins of web pages that may send requests to this port, in addition to its own.",
        required: false,
        set: |m, v| put(&mut m.allow_origins, read_origins(v)),
        get: |m| {
            let origins = &m.allow_origins;
            (!origins.is_empty()).then(|| origins.iter().map(ToString::to_string).collect())
        },
    },
];

/// The keys of one `[[route]]`.
pub static ROUTE_SETTINGS: &[Setting<Route>] = &[
    Setting {
        key: "pattern",
        takes: "a host, *.domain or *",
        doc: "Hosts the rule applies to.",
        required: true,
        set: |r, v| put(&mut r.pattern, read_pattern(v)),
        get: |r| Some(r.pattern.to_string().into()),
    },
    Setting {
        key: "to",
        takes: "gateway, direct or refuse",
        doc: "Where requests to these hosts go.",
        required: true,
        set: |r, v| put(&mut r.to, value::word(v, &ACTIONS)),
        get: |r| Some(word_of(&ACTIONS, &r.to).into()),
    },
];

/// The keys of one `[[reverse]]`.
pub static REVERSE_SETTINGS: &[Setting<ReversePort>] = &[
    Setting {
        key: "port",
        takes: "a port",
        doc: "Port number at the gateway.",
        required: true,
        set: |r, v| put(&mut r.port, value::port(v, 1)),
        get: |r| Some(i64::from(r.port).into()),
    },
    Setting {
        key: "target",
        takes: "HOST:PORT",
        doc: "Where its connections go, most likely a service on this computer: \"127.0.0.1:22\".",
        required: true,
        set: |r, v| put(&mut r.target, read_target(v)),
        get: |r| Some(r.target.as_str().into()),
    },
];

fn read_target(v: &Value) -> Read<String> {
    let text = value::text(v, "HOST:PORT")?;
    match is_target(&text) {
        true => Ok(text),
        false => value::refuse(v, "must be HOST:PORT, like 127.0.0.1:22"),
    }
}

/// A host, in brackets if it is an IPv6 address, and a port above 0.
fn is_target(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let host_is_good = match bare {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.contains(':') && value::is_host(host),
        };
        host_is_good && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

fn read_origins(value: &Value) -> Read<Vec<Origin>> {
    let texts = value::texts(value, "origins")?.into_iter().filter(|(_, text)| !text.is_empty());
    texts
        .map(|(item, text)| {
            text.parse().or_else(|error: InvalidOrigin| value::refuse(item, error.to_string()))
        })
        .collect()
}

fn read_pattern(v: &Value) -> Read<Pattern> {
    let text = value::text(v, "a host pattern")?;
    text.parse().or_else(|error: InvalidPattern| value::refuse(v, error.to_string()))
}

fn read_u16(v: &Value) -> Read<u16> {
    // The range makes the conversion exact.
    value::number(v, 0..=u32::from(u16::MAX)).map(|n| n as u16)
}

/// Certificates only: a private key in the configuration would be a secret in a file that is mailed
/// around.
fn read_pem(v: &Value) -> Read<String> {
    match v.as_str() {
        Some(pem) if pem.contains("PRIVATE KEY") => value::refuse(
            v,
            "holds a private key, which does not belong here: paste the certificate only",
        ),
        Some(pem) if pem.contains("-----BEGIN CERTIFICATE-----") => Ok(pem.to_owned()),
        _ => value::refuse(
            v,
            "must be a certificate in PEM, starting with -----BEGIN CERTIFICATE-----",
        ),
    }
}

/// The base64 length of a SHA-256, with its one `=`.
const PIN_BASE64: usize = 44;

fn read_pins(v: &Value) -> Read<Vec<String>> {
    let is_pin = |text: &str| {
        text.strip_prefix("sha256/").is_some_and(|hash| {
            hash.len() == PIN_BASE64
                && hash.ends_with('=')
                && hash[..PIN_BASE64 - 1]
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
        })
    };
    let mut pins = Vec::new();
    for (item, text) in value::texts(v, "pins")? {
        if !is_pin(text) {
            return value::refuse(item, "must be sha256/ and 44 characters of base64");
        }
        pins.push(text.to_owned());
    }
    Ok(pins)
}

/// `HOST`, `HOST:PORT`, `[IPV6]:PORT` or a bare IPv6 address.
///
/// # Errors
/// What is wrong, for people.
pub fn parse_gateway(text: &str) -> Result<Gateway, String> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':').unwrap_or(rest))),
        None if text.matches(':').count() == 1 => {
            text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
        }
        None => (text, None),
    };
    if !value::is_host(host) {
        return Err(format!("\"{host}\" is not a host name or an IP address"));
    }
    let port = match port.map(str::parse::<u16>) {
        None => Gateway::default().port,
        Some(Ok(port)) if port > 0 => port,
        Some(_) => return Err(format!("\"{text}\" does not end in a port from 1 to 65535")),
    };
    Ok(Gateway { host: host.to_owned(), port, ..Gateway::default() })
}

/// `ADDRESS:PORT=HOST` or `PORT=HOST`.
pub(super) fn parse_map(text: &str) -> Result<Map, String> {
    let wrong = || format!("\"{text}\" is not of the form PORT=HOST");
    let (listen, host) = text.split_once('=').ok_or_else(wrong)?;
    let listen = match listen.parse::<u16>() {
        Ok(port) => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        Err(_) => listen.parse().map_err(|_| wrong())?,
    };
    if listen.port() == 0 || !value::is_host(host) {
        return Err(wrong());
    }
    Ok(Map { listen, host: host.to_owned(), ..Map::default() })
}

/// `PORT=HOST:PORT`.
pub(super) fn parse_reverse(text: &str) -> Result<ReversePort, String> {
    let parsed = text.split_once('=').and_then(|(port, target)| {
        let port = port.parse().ok().filter(|port| *port > 0)?;
        is_target(target).then(|| ReversePort { port, target: target.to_owned() })
    });
    parsed.ok_or_else(|| format!("\"{text}\" is not of the form PORT=HOST:PORT"))
}

/// `PATTERN=TARGET`.
pub(super) fn parse_route(text: &str) -> Result<Route, String> {
    let parsed = text.split_once('=').and_then(|(pattern, to)| {
        let (_, to) = ACTIONS.iter().find(|(word, _)| *word == to)?;
        Some(Route { pattern: pattern.parse().ok()?, to: *to })
    });
    parsed.ok_or_else(|| format!("\"{text}\" is not of the form PATTERN=gateway|direct|refuse"))
}
