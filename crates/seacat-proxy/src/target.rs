//! Where a request wants to go: the host it names and the path there.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::syntax::authority;

/// The last label that marks a host of the gateway. Never looked up in DNS.
const SUFFIX: &str = ".seacat";

/// What an absolute-form or authority-form target says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// As typed, without the port; IPv6 addresses in brackets.
    pub(crate) host: &'a str,
    pub(crate) port: Option<u16>,
    /// Path and query, at least `/`; for CONNECT the authority as typed (`NAME:port`).
    pub(crate) path: Cow<'a, str>,
}

impl<'a> Target<'a> {
    /// The target of a request to a proxy; `None` when it names no host (origin-form, `*`).
    pub(crate) fn named(target: &'a str) -> Option<Self> {
        let (whole, path) = split(target);
        let (host, port) = authority(whole?.as_bytes())?;
        Some(Target { host, port, path })
    }

    /// The path alone: queries carry secrets. Nothing for CONNECT.
    pub(crate) fn bare_path(&self) -> &str {
        if self.path.starts_with('/') { without_query(&self.path) } else { "" }
    }
}

/// Path and query of a target, at least `/`; of CONNECT's the authority as typed.
pub(crate) fn path(target: &str) -> Cow<'_, str> {
    split(target).1
}

pub(crate) fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

/// A valid target's authority, if it has one, and its path.
fn split(target: &str) -> (Option<&str>, Cow<'_, str>) {
    if target.starts_with(['/', '*']) {
        return (None, Cow::Borrowed(target));
    }
    let after_scheme = target.split_once(':').and_then(|(_, rest)| rest.strip_prefix("//"));
    let Some(rest) = after_scheme else {
        return (Some(target), Cow::Borrowed(target));
    };
    let end = rest.bytes().position(|b| matches!(b, b'/' | b'?'));
    let (authority, path) = rest.split_at(end.unwrap_or(rest.len()));
    let path = match path {
        "" => Cow::Borrowed("/"),
        query if query.starts_with('?') => Cow::Owned(format!("/{query}")),
        path => Cow::Borrowed(path),
    };
    (Some(authority), path)
}

/// The name by which the gateway knows a host: `NAME.seacat` and `NAME` both mean NAME, its
/// case is kept. `None` when nothing is left.
pub(crate) fn gateway_name(host: &str) -> Option<&str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    Some(if is_seacat(host) { &host[..host.len() - SUFFIX.len()] } else { host })
        .filter(|name| !name.is_empty())
}

/// Whether the last label is `seacat`.
pub(crate) fn is_seacat(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.len()
        .checked_sub(SUFFIX.len())
        .and_then(|at| host.get(at..))
        .is_some_and(|end| end.eq_ignore_ascii_case(SUFFIX))
}

/// Whether a host, as written, is this computer: `localhost` and below, a loopback address, or
/// the unspecified one.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.rsplit('.').next().is_some_and(|label| label.eq_ignore_ascii_case("localhost")) {
        return true;
    }
    host.trim_matches(['[', ']']).parse().is_ok_and(is_loopback_address)
}

/// Whether connecting to this address reaches this computer.
pub(crate) fn is_loopback_address(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_loopback() || address.is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        for (uri, host, port, path) in [
            ("http://erp.seacat/a?b=c", "erp.seacat", None, "/a?b=c"),
            ("http://ERP", "ERP", None, "/"),
            ("http://erp:8080/", "erp", Some(8080), "/"),
            ("http://erp:/x", "erp", None, "/x"),
            ("http://erp?x=1", "erp", None, "/?x=1"),
            ("HTTP://erp/%7e/../a", "erp", None, "/%7e/../a"),
            ("ws://chat.seacat/live", "chat.seacat", None, "/live"),
            ("http://[::1]:81/a", "[::1]", Some(81), "/a"),
            ("erp.seacat:443", "erp.seacat", Some(443), "erp.seacat:443"),
        ] {
            let target = Target::named(uri).unwrap();
            assert_eq!((target.host, target.port, &*target.path), (host, port, path), "{uri}");
        }
        for uri in ["/a?b", "*", "/a?b=http://erp/", "/http://erp/"] {
            assert_eq!(Target::named(uri), None, "{uri}");
        }
    }

    #[test]
    fn gateway_names() {
        for (host, name) in [
            ("erp", Some("erp")),
            ("erp.seacat", Some("erp")),
            ("ERP.SeaCat", Some("ERP")),
            ("erp.seacat.", Some("erp")),
            ("a.b.seacat", Some("a.b")),
            ("seacat", Some("seacat")),
            ("erp.seacat.com", Some("erp.seacat.com")),
            ("erpseacat", Some("erpseacat")),
            ("[::1]", Some("[::1]")),
            (".seacat", None),
            (".", None),
        ] {
            assert_eq!(gateway_name(host), name, "{host}");
        }
    }

    #[test]
    fn loopback_hosts() {
        for host in [
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "0.0.0.0",
            "[::]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["erp", "localhost.example", "128.0.0.1", "[2001:db8::1]", "127.0.0.1.nip.io"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
