//! The character classes of HTTP, as one table: what may stand in a token, a field value, a
//! path, a query, a host.
//!
//! Used by the [`gate`](crate::gate) on every byte of a head, so each question is one look-up.

use std::net::Ipv6Addr;

use memchr::memchr;

/// `tchar`: methods and field names (RFC 9110 section 5.6.2).
pub(crate) const TOKEN: u8 = 1;
/// `field-vchar`, space and tab: field values (RFC 9110 section 5.5). No CR, LF, NUL or other
/// control character.
pub(crate) const VALUE: u8 = 1 << 1;
/// The path of a request target. A little wider than RFC 3986, exactly what [`http::Uri`]
/// takes: real clients send `{`, `|` and `"` unescaped.
pub(crate) const PATH: u8 = 1 << 2;
/// The query of a request target, likewise.
pub(crate) const QUERY: u8 = 1 << 3;
/// A registered name: letters, digits, `-`, `.`, `_`, `~`. Narrower than RFC 3986 (no
/// percent-encoding, no sub-delimiters): nothing else names a host in practice.
pub(crate) const HOST: u8 = 1 << 4;

static CLASSES: [u8; 256] = build();

const fn build() -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        let alnum = b.is_ascii_alphanumeric();
        let mut class = 0;
        if alnum
            || matches!(
                b,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            )
        {
            class |= TOKEN;
        }
        if matches!(b, b'\t' | 0x20..=0x7e | 0x80..=0xff) {
            class |= VALUE;
        }
        if matches!(b, 0x21..=0x7e) && !matches!(b, b'#' | b'<' | b'>') {
            if !matches!(b, b'`' | b'?') {
                class |= PATH;
            }
            if b != b'"' {
                class |= QUERY;
            }
        }
        if alnum || matches!(b, b'-' | b'.' | b'_' | b'~') {
            class |= HOST;
        }
        table[i] = class;
        i += 1;
    }
    table
}

/// Whether every byte is of the class (true of no bytes at all).
pub(crate) fn all(class: u8, bytes: &[u8]) -> bool {
    bytes.iter().all(|&b| CLASSES[b as usize] & class != 0)
}

/// Spaces and tabs at both ends taken off (OWS, RFC 9110 section 5.6.3).
pub(crate) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The members of a comma-separated list, trimmed, empty ones left out (RFC 9110 section 5.6.1).
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&b| b == b',').map(trim).filter(|member| !member.is_empty())
}

/// Splits `host[:port]` (RFC 3986 section 3.2 without userinfo). The host is a registered name,
/// an IPv4 address or a bracketed IPv6 address, brackets kept; `None` when it is none of these
/// or the port is not a number up to 65535. An empty port counts as absent.
pub(crate) fn authority(text: &[u8]) -> Option<(&str, Option<u16>)> {
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
    let (host, port) = text.split_at(end);
    let host = std::str::from_utf8(host).ok()?;
    let port = match port {
        [] | b":" => None,
        [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
            Some(std::str::from_utf8(digits).ok()?.parse().ok()?)
        }
        _ => return None,
    };
    Some((host, port))
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
            assert_eq!(authority(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn lists_and_blanks() {
        assert_eq!(trim(b" \t a b\t"), b"a b");
        assert_eq!(trim(b"  "), b"");
        assert_eq!(list(b"a, ,b ,,\tc").collect::<Vec<_>>(), [b"a", b"b", b"c"]);
    }
}
