//! Web pages of other origins. A browser sends their forms, scripts, images, fetches and WebSocket
//! handshakes to a loopback port like to any server, and such a request would go on with this
//! computer's identity. The browser names its source in fields that a page cannot set:
//! `Sec-Fetch-Site` (W3C Fetch Metadata, section 2.4) and `Origin` (RFC 6454 section 7, for
//! WebSocket RFC 6455 section 10.2).
//!
//! This is for requests that come to a port as to a server. A browser that uses the port as its
//! proxy sends absolute targets, and their `Sec-Fetch-Site` is about the page and its own server.

use std::str::FromStr;

use seacat_http1::{Authority, Fields, is};

use crate::errors::Code;
use crate::fault::Fault;

/// One of the origins that [`MappedPort::allow_origins`](crate::MappedPort::allow_origins) lists:
/// `scheme://host[:port]` as browsers write it, or `*` for all. Made by [`str::parse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

/// The text is not an origin.
#[derive(Debug, Clone, thiserror::Error)]
#[error("`{0}` is neither `*` nor an origin: scheme://host or scheme://host:port, without a path")]
pub struct InvalidOrigin(String);

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "*" {
            return Ok(Origin(text.to_owned()));
        }
        serialized(text.as_bytes()).map(Origin).ok_or_else(|| InvalidOrigin(text.to_owned()))
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Refuses the request of a page whose origin is neither this port's own nor among `allowed`.
///
/// The caller has checked that the Host field names this computer or the port's own host, so it is
/// the port's own origin.
pub(crate) fn check(fields: &Fields, allowed: &[Origin]) -> Result<(), Fault> {
    let (mut from_elsewhere, mut from_here, mut origin) = (false, false, None);
    for (name, value) in fields.iter() {
        if is(name, "sec-fetch-site") {
            from_elsewhere |= matches!(value, b"cross-site" | b"same-site");
            // `none`: the user's own action, such as a bookmark.
            from_here |= matches!(value, b"same-origin" | b"none");
        } else if is(name, "origin") {
            origin = Some(value);
        }
    }
    let own = match origin {
        _ if from_elsewhere => false,
        // Without either field the client is not a browser, or one of before 2023 following a link.
        None => true,
        Some(_) if from_here => true,
        Some(origin) => is_own(origin, fields),
    };
    if own || allowed.iter().any(|it| it.0 == "*") {
        return Ok(());
    }
    let page = page_origin(origin, fields);
    if page.as_ref().is_some_and(|page| allowed.iter().any(|it| it.0 == *page)) {
        return Ok(());
    }
    Err(match page {
        Some(page) => Fault::new(Code::ForeignPage, format!("The page is part of {page}.")),
        None => Fault::new(Code::ForeignPage, "The browser does not say which site the page is."),
    })
}

/// The origin of the page that sends the request. Scripts and images have no Origin field, and a
/// sandboxed page sends `null`; the Referer names the origin unless the page suppresses it.
fn page_origin(origin: Option<&[u8]>, fields: &Fields) -> Option<String> {
    origin.and_then(serialized).or_else(|| {
        let referer = fields.get("referer")?;
        let authority = memchr::memmem::find(referer, b"://")? + 3;
        let end = memchr::memchr3(b'/', b'?', b'#', &referer[authority..]);
        serialized(&referer[..end.map_or(referer.len(), |end| authority + end)])
    })
}

/// Whether an Origin is `http://` and the Host of the same request.
fn is_own(origin: &[u8], fields: &Fields) -> bool {
    let host = fields.get("host").map(|host| [b"http://", host].concat());
    let host = host.as_deref().and_then(serialized);
    host.is_some() && host == serialized(origin)
}

/// An origin in the form in which two are compared: lower case, without its scheme's default port
/// (RFC 6454 section 6.2). `None`: not an origin, or `null`, which stands for any.
fn serialized(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?.to_ascii_lowercase();
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(is_scheme_byte)
    {
        return None;
    }
    let Authority { host, port, .. } = Authority::parse(rest.as_bytes())?;
    let default = match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    };
    Some(match port.filter(|port| Some(*port) != default) {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "https://portal.example";

    fn allowed(list: &[&str]) -> Vec<Origin> {
        list.iter().map(|origin| origin.parse().unwrap()).collect()
    }

    fn passes(fields: &[(&str, &str)], list: &[&str]) -> bool {
        let mut all = vec![("Host", "127.0.0.1:8081")];
        all.extend(fields);
        check(&all.into_iter().collect(), &allowed(list)).is_ok()
    }

    #[test]
    fn requests_of_other_pages_are_refused() {
        type Row = (&'static [(&'static str, &'static str)], bool);
        let table: &[Row] = &[
            // Programs, and what the user does in the browser.
            (&[], true),
            (&[("Referer", "https://portal.example/")], true),
            (&[("Sec-Fetch-Site", "none")], true),
            // The port's own pages.
            (&[("Sec-Fetch-Site", "same-origin")], true),
            (&[("Sec-Fetch-Site", "same-origin"), ("Origin", "null")], true),
            (&[("Origin", "http://127.0.0.1:8081")], true),
            (&[("Origin", "HTTP://127.0.0.1:8081")], true),
            // Links, scripts and images of other pages have no Origin.
            (&[("Sec-Fetch-Site", "cross-site")], false),
            (&[("Sec-Fetch-Site", "same-site")], false),
            (&[("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")], false),
            // Forms, fetches and WebSockets of other pages.
            (&[("Sec-Fetch-Site", "cross-site"), ("Origin", PAGE)], false),
            (&[("Sec-Fetch-Site", "cross-site"), ("Origin", "http://127.0.0.1:8081")], false),
            (&[("Origin", PAGE)], false),
            (&[("Origin", "null")], false),
            (&[("Origin", "http://127.0.0.1:8082")], false),
            (&[("Origin", "http://localhost:8081")], false),
            (&[("Origin", "https://127.0.0.1:8081")], false),
            (&[("Origin", "http://127.0.0.1:8081.evil.example")], false),
            (&[("Sec-Fetch-Site", "unheard-of"), ("Origin", PAGE)], false),
        ];
        for (fields, expected) in table {
            assert_eq!(passes(fields, &[]), *expected, "{fields:?}");
            assert!(passes(fields, &["*"]), "{fields:?}");
        }
        let default_port: Fields =
            [("Host", "localhost:80"), ("Origin", "http://localhost")].into_iter().collect();
        assert!(check(&default_port, &[]).is_ok());
        let no_host: Fields = [("Origin", "http://localhost")].into_iter().collect();
        assert!(check(&no_host, &[]).is_err());
    }

    #[test]
    fn listed_origins_pass() {
        let site = ("Sec-Fetch-Site", "cross-site");
        let list = ["https://Portal.example:443", "http://127.0.0.1:8082"];
        for (fields, expected) in [
            (vec![site, ("Origin", PAGE)], true),
            (vec![("Origin", "http://127.0.0.1:8082")], true),
            (vec![site, ("Referer", "https://portal.example/a?b#c")], true),
            (vec![site, ("Referer", "https://portal.example")], true),
            (vec![site, ("Origin", "null"), ("Referer", "https://portal.example/")], true),
            (vec![site, ("Origin", "https://evil.example"), ("Referer", PAGE)], false),
            (vec![site, ("Referer", "https://portal.example@evil.example/")], false),
            (vec![site, ("Referer", "https://evil.example/?https://portal.example/")], false),
            (vec![site, ("Referer", "about:blank")], false),
            (vec![site], false),
            (vec![site, ("Origin", "http://portal.example")], false),
        ] {
            assert_eq!(passes(&fields, &list), expected, "{fields:?}");
        }
    }

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        for (text, expected) in [
            ("*", Some("*")),
            ("https://portal.example", Some("https://portal.example")),
            ("HTTP://[::1]:80", Some("http://[::1]")),
            ("chrome-extension://abcdef", Some("chrome-extension://abcdef")),
            ("https://portal.example/", None),
            ("portal.example", None),
            ("null", None),
            ("://x", None),
            ("https://*.example", None),
        ] {
            let read = text.parse::<Origin>().ok().map(|origin| origin.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }
}
