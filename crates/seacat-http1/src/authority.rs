//! `host[:port]`: the authority of a target, and the value of Host.

use std::net::Ipv6Addr;

use memchr::{memchr, memchr3, memrchr};

use crate::syntax::{HOST, TARGET, all};

/// A host and its port, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority<'a> {
    /// All of it, as written.
    pub text: &'a str,
    /// A registered name, an IPv4 address or a bracketed IPv6 address, brackets kept.
    pub host: &'a str,
    /// The port. An empty one counts as absent.
    pub port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads `host[:port]` (RFC 3986 section 3.2) without user information. `None`: the host is
    /// none of the three kinds, or the port is not a number up to 65535.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let end = match text {
            [b'[', rest @ ..] => {
                let inner = std::str::from_utf8(&rest[..memchr(b']', rest)?]).ok()?;
                inner.parse::<Ipv6Addr>().ok()?;
                inner.len() + 2
            }
            _ => {
                let end = memchr(b':', text).unwrap_or(text.len());
                if end == 0 || !all(HOST, &text[..end]) {
                    return None;
                }
                end
            }
        };
        let text = std::str::from_utf8(text).ok()?;
        let (host, port) = text.split_at(end);
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            None => return None,
            Some("") => None,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            Some(_) => return None,
        };
        Some(Authority { text, host, port })
    }
}

/// Splits user information off an authority (RFC 3986 section 3.2.1): `user:password@host`. The
/// last `@` counts, as a password may hold one. Text with a blank, a slash or a backslash,
/// which end the host for some readers, is not user information.
pub(crate) fn split_user_information(text: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let user = memrchr(b'@', text).map(|at| (&text[..at], &text[at + 1..]));
    match user.filter(|(user, _)| all(TARGET, user) && memchr3(b'/', b'?', b'\\', user).is_none()) {
        Some((user, host)) => (Some(user), host),
        None => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities() {
        for (text, expected) in [
            ("erp", Some(("erp", None))),
            ("ERP.seacat:80", Some(("ERP.seacat", Some(80)))),
            ("a_b-c.~d:65535", Some(("a_b-c.~d", Some(65535)))),
            ("erp:", Some(("erp", None))),
            ("[::1]:3128", Some(("[::1]", Some(3128)))),
            ("[2001:db8::7]", Some(("[2001:db8::7]", None))),
            ("", None),
            (":80", None),
            ("erp:65536", None),
            ("erp:+80", None),
            ("erp:80:80", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[fe80::1%25eth0]", None),
            ("[]", None),
            ("::1", None),
            ("user@erp", None),
            ("e%72p", None),
            ("erp/", None),
            ("e rp", None),
        ] {
            let found = Authority::parse(text.as_bytes());
            assert_eq!(found.map(|it| (it.host, it.port)), expected, "{text:?}");
            assert!(found.is_none_or(|it| it.text == text));
        }
    }

    #[test]
    fn user_information_ends_at_the_last_at() {
        assert_eq!(split_user_information(b"u:p@x@erp:80"), (Some(&b"u:p@x"[..]), &b"erp:80"[..]));
        for text in ["erp", "a\\@erp", "a b@erp", "a/b@erp"] {
            assert_eq!(split_user_information(text.as_bytes()), (None, text.as_bytes()));
        }
    }
}
