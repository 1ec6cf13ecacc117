//! The HTTP proxy on the way out of a network, through which gateways are reached by CONNECT (wire
//! specification, section 1.5; RFC 9110, section 9.3.6).

mod except;
mod head;
mod tunnel;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

pub use except::Except;
pub(crate) use tunnel::tunnel;

/// The port of a proxy whose URL has none, as for any `http://` URL.
const DEFAULT_PORT: u16 = 80;

/// A proxy, and for whom it is used.
#[derive(Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its name or IP address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What it is shown, if it asks people who they are.
    pub credentials: Option<Credentials>,
    /// What it is told of the gateway.
    pub connect_by: ConnectBy,
    /// Which gateways are dialled without it.
    pub except: Except,
}

/// What a proxy is told of the gateway: its name, which rules of proxies are written for, or an
/// address that was looked up here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectBy {
    /// The name; looking it up is the proxy's business.
    #[default]
    Name,
    /// An address, as the reference client does.
    Address,
}

/// A user of the proxy. Neither printed nor left in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: Zeroizing<String>,
}

impl Credentials {
    /// A user with a password, which may be empty.
    #[must_use]
    pub fn new(user: String, password: String) -> Self {
        Self { user, password: Zeroizing::new(password) }
    }

    /// RFC 7617: `user:password` in base64.
    fn basic(&self) -> Zeroizing<String> {
        let pair = Zeroizing::new([self.user.as_str(), ":", self.password.as_str()].concat());
        Zeroizing::new(BASE64.encode(pair.as_bytes()))
    }
}

impl fmt::Display for Upstream {
    /// `HOST:PORT`, and nothing of the user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&authority(&self.host, self.port))
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `HOST:PORT`, with an IPv6 address in brackets.
pub(crate) fn authority(host: &str, port: u16) -> String {
    match host.parse::<Ipv6Addr>() {
        Ok(ip) => format!("[{ip}]:{port}"),
        Err(_) => format!("{host}:{port}"),
    }
}

/// Why a text is not the URL of a proxy. The text may hold a password and is never repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// `https://`, `socks5://`…
    #[error("only http:// proxies can be used: HTTPS and SOCKS proxies are not supported")]
    Scheme,
    /// There is something behind the port.
    #[error("a proxy's URL ends with its port")]
    Path,
    /// The host is missing or not a host.
    #[error("a proxy's URL is http://HOST:PORT: the host is not right")]
    Host,
    /// The port is not one.
    #[error("a proxy's URL is http://HOST:PORT: the port is not right")]
    Port,
    /// User or password are not percent-encoded UTF-8, hold a control character, or the user's
    /// name a colon.
    #[error("user and password in a proxy's URL must be percent-encoded text")]
    Credentials,
}

impl FromStr for Upstream {
    type Err = UpstreamError;

    /// `http://[USER[:PASSWORD]@]HOST[:PORT][/]`; the scheme may be missing, as it often is in
    /// environments.
    fn from_str(text: &str) -> Result<Self, UpstreamError> {
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => return Err(UpstreamError::Scheme),
            None => text,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        if place.contains(['/', '?', '#']) {
            return Err(UpstreamError::Path);
        }
        let (host, port) = host_and_port(place)?;
        let credentials = user.map(credentials).transpose()?;
        let (connect_by, except) = (ConnectBy::default(), Except::default());
        Ok(Self { host, port, credentials, connect_by, except })
    }
}

fn host_and_port(place: &str) -> Result<(String, u16), UpstreamError> {
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => {
            host.parse::<Ipv6Addr>().map_err(|_| UpstreamError::Host)?;
            (host, rest.strip_prefix(':').or(rest.is_empty().then_some("")))
        }
        None => place.split_once(':').map_or((place, Some("")), |(host, port)| (host, Some(port))),
    };
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    if host.parse::<IpAddr>().is_err() && (host.is_empty() || !host.bytes().all(is_name)) {
        return Err(UpstreamError::Host);
    }
    let port = match port.ok_or(UpstreamError::Port)? {
        "" => DEFAULT_PORT,
        digits => digits.parse().ok().filter(|&port| port != 0).ok_or(UpstreamError::Port)?,
    };
    Ok((host.to_owned(), port))
}

fn credentials(text: &str) -> Result<Credentials, UpstreamError> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let user = decode(user)?.to_string();
    // RFC 7617: the first colon ends the user's name.
    if user.contains(':') {
        return Err(UpstreamError::Credentials);
    }
    Ok(Credentials { user, password: decode(password)? })
}

/// Percent-decodes (RFC 3986, section 2.1).
fn decode(text: &str) -> Result<Zeroizing<String>, UpstreamError> {
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(UpstreamError::Credentials);
        };
        decoded.push((high * 16 + low) as u8);
    }
    match std::str::from_utf8(&decoded) {
        Ok(text) if !text.chars().any(char::is_control) => Ok(Zeroizing::new(text.to_owned())),
        _ => Err(UpstreamError::Credentials),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_proxies() {
        let cases = [
            ("http://proxy.corp:3128", "proxy.corp:3128", None),
            ("HTTP://proxy.corp:3128/", "proxy.corp:3128", None),
            ("proxy.corp:3128", "proxy.corp:3128", None),
            ("http://proxy.corp", "proxy.corp:80", None),
            ("http://10.0.0.1:8080", "10.0.0.1:8080", None),
            ("http://[2001:db8::1]:8080", "[2001:db8::1]:8080", None),
            ("http://[::1]", "[::1]:80", None),
            ("http://ann@proxy:1", "proxy:1", Some("ann:")),
            ("http://ann:se%3Acr%40t@proxy:1", "proxy:1", Some("ann:se:cr@t")),
            ("http://CORP%5Cann:p:w@proxy:1/", "proxy:1", Some("CORP\\ann:p:w")),
            ("http://ann:p@ss@proxy:1", "proxy:1", Some("ann:p@ss")),
        ];
        for (text, place, shown) in cases {
            let upstream: Upstream = text.parse().unwrap();
            assert_eq!(upstream.to_string(), place, "{text}");
            assert_eq!(format!("{upstream:?}"), place, "no secret in a log line");
            let basic = upstream.credentials.map(|credentials| credentials.basic());
            let expected = shown.map(|shown| BASE64.encode(shown));
            assert_eq!(basic.as_ref().map(|basic| basic.as_str()), expected.as_deref(), "{text}");
        }
    }

    #[test]
    fn what_is_no_url_of_a_proxy() {
        let cases = [
            ("", UpstreamError::Host),
            ("http://", UpstreamError::Host),
            ("http://:3128", UpstreamError::Host),
            ("http://two words:1", UpstreamError::Host),
            ("http://[::1", UpstreamError::Host),
            ("http://[proxy]:1", UpstreamError::Host),
            ("http://[::1]3128", UpstreamError::Port),
            ("http://proxy:0", UpstreamError::Port),
            ("http://proxy:65536", UpstreamError::Port),
            ("http://proxy:x", UpstreamError::Port),
            ("https://proxy:3128", UpstreamError::Scheme),
            ("socks5://proxy:1080", UpstreamError::Scheme),
            ("http://proxy:3128/pac", UpstreamError::Path),
            ("http://a%0d%0ab@proxy:1", UpstreamError::Credentials),
            ("http://a%3ab:c@proxy:1", UpstreamError::Credentials),
            ("http://a:%zz@proxy:1", UpstreamError::Credentials),
            ("http://a:%ff@proxy:1", UpstreamError::Credentials),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Upstream>().unwrap_err(), expected, "{text}");
        }
    }
}
