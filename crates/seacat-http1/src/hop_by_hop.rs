//! Which fields travel: the one table of hop-by-hop rules.
//!
//! A field that concerns one connection alone stays behind (RFC 9110 section 7.6.1): Connection
//! and all it names, Keep-Alive, Proxy-… (but not Proxy-Status, RFC 9209), TE, Trailer,
//! Transfer-Encoding, Upgrade and HTTP2-Settings. Content-Length and Host are never taken for
//! hop-by-hop, whatever Connection says: they decide where a message ends and where it goes.

use crate::fields::{Fields, is};
use crate::syntax::lists;

/// The table, but for `proxy-…`.
const TABLE: [&str; 7] =
    ["connection", "http2-settings", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/// Fields that Connection cannot take off.
const PROTECTED: [&str; 2] = ["content-length", "host"];

/// Whether a field is for one connection only, whether or not Connection names it.
#[must_use]
pub fn is_hop_by_hop(name: &[u8]) -> bool {
    let proxy = starts_with(name, "proxy-");
    (proxy && !is(name, "proxy-status")) || TABLE.iter().any(|known| is(name, known))
}

/// The fields that travel on, in order.
pub fn end_to_end(fields: &Fields) -> impl Iterator<Item = (&[u8], &[u8])> {
    let connection = fields.contains("connection");
    fields.iter().filter(move |(name, _)| {
        let named = connection
            && !PROTECTED.iter().any(|known| is(name, known))
            && fields.all("connection").any(|value| lists(value, name));
        !named && !is_hop_by_hop(name)
    })
}

/// Whether two names are one variable for a back end behind CGI, WSGI, PHP and their heirs,
/// which see no difference between `-` and `_`.
#[must_use]
pub fn is_same_variable(name: &[u8], known: &str) -> bool {
    name.len() == known.len()
        && name.iter().zip(known.bytes()).all(|(&a, b)| dashed(a) == dashed(b))
}

/// Whether a name with `_` in it is, with `-` in its place, one that frames the message, is
/// hop-by-hop, or says who the client is: `Transfer_Encoding`, `X_Forwarded_For`,
/// `X_SeaCat_Client_Id`. It passes every guard of the real name, so it must not travel.
#[must_use]
pub fn imitates(name: &[u8]) -> bool {
    if !name.contains(&b'_') {
        return false;
    }
    let real: Vec<u8> = name.iter().map(|&b| dashed(b)).collect();
    is_hop_by_hop(&real)
        || ["x-forwarded-", "x-seacat-"].iter().any(|start| starts_with(&real, start))
        || ["content-length", "x-real-ip"].iter().any(|known| is(&real, known))
}

fn dashed(byte: u8) -> u8 {
    match byte {
        b'_' => b'-',
        other => other.to_ascii_lowercase(),
    }
}

fn starts_with(name: &[u8], start: &str) -> bool {
    name.get(..start.len()).is_some_and(|it| is(it, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        for name in [
            "Connection",
            "Keep-Alive",
            "Proxy-Connection",
            "Proxy-Authorization",
            "proxy-anything",
            "TE",
            "Trailer",
            "Transfer-Encoding",
            "Upgrade",
            "HTTP2-Settings",
        ] {
            assert!(is_hop_by_hop(name.as_bytes()), "{name}");
        }
        for name in ["Proxy-Status", "Via", "Host", "Content-Length", "Trailers", "Proxy"] {
            assert!(!is_hop_by_hop(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn connection_takes_what_it_names_but_not_the_length_and_the_host() {
        let fields: Fields = [
            ("connection", "X-Private, close"),
            ("connection", "content-length,cookie, host"),
            ("x-private", "1"),
            ("Cookie", "2"),
            ("Content-Length", "3"),
            ("Host", "erp"),
        ]
        .into_iter()
        .collect();
        let left: Vec<_> = end_to_end(&fields).collect();
        assert_eq!(left, [(&b"Content-Length"[..], &b"3"[..]), (b"Host", b"erp")]);
    }

    #[test]
    fn names_that_only_look_different() {
        for name in [
            "Transfer_Encoding",
            "Content_Length",
            "X_Forwarded_For",
            "x-forwarded_host",
            "X_SeaCat_Client_Id",
            "Keep_Alive",
            "Proxy_Authorization",
            "X_Real_IP",
        ] {
            assert!(imitates(name.as_bytes()), "{name}");
        }
        for name in ["Transfer-Encoding", "X-Forwarded-For", "X_Custom", "user_id", "Cookie"] {
            assert!(!imitates(name.as_bytes()), "{name}");
        }
        assert!(is_same_variable(b"X_Tenant-ID", "x-tenant_id"));
        assert!(!is_same_variable(b"X-Tenant", "x-tenant-id"));
    }
}
