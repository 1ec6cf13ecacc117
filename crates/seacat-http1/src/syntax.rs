//! The character classes of HTTP, as one table, and lists.
//!
//! The readers apply them to every byte of a head, so each question is one look-up.

/// A set of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class(u8);

/// `tchar`: methods and field names (RFC 9110 section 5.6.2).
pub const TOKEN: Class = Class(1);
/// `field-vchar`, space and tab: field values (RFC 9110 section 5.5). No CR, LF, NUL or other
/// control character.
pub const VALUE: Class = Class(1 << 1);
/// Path and query of a request target: every visible byte but `#`, and every byte above 0x7F.
/// Wider than RFC 3986: curl, PHP and Java send UTF-8, quotes, braces and angle brackets
/// unescaped, and no proxy may rewrite them (RFC 9110 section 7.7). None of these bytes can end
/// the target or its line.
pub const TARGET: Class = Class(1 << 2);
/// A registered name: letters, digits, `-`, `.`, `_`, `~`. Narrower than RFC 3986 (no
/// percent-encoding, no sub-delimiters): nothing else names a host in practice.
pub const HOST: Class = Class(1 << 3);

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
            class |= TOKEN.0;
        }
        if matches!(b, b'\t' | 0x20..=0x7e | 0x80..=0xff) {
            class |= VALUE.0;
        }
        if matches!(b, 0x21..=0x7e | 0x80..=0xff) && b != b'#' {
            class |= TARGET.0;
        }
        if alnum || matches!(b, b'-' | b'.' | b'_' | b'~') {
            class |= HOST.0;
        }
        table[i] = class;
        i += 1;
    }
    table
}

/// Whether every byte is of the class (true of no bytes at all).
#[must_use]
pub fn all(class: Class, bytes: &[u8]) -> bool {
    bytes.iter().all(|&b| CLASSES[b as usize] & class.0 != 0)
}

/// Whether the bytes are a token: at least one `tchar`.
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && all(TOKEN, bytes)
}

/// Whether the bytes are an origin-form target: a path with a leading slash, and a query.
#[must_use]
pub fn is_origin_form(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'/') && all(TARGET, bytes)
}

/// Spaces and tabs at both ends taken off (OWS, RFC 9110 section 5.6.3).
#[must_use]
pub fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The members of a comma-separated list, trimmed, empty ones left out (RFC 9110 section 5.6.1).
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&b| b == b',').map(trim).filter(|member| !member.is_empty())
}

/// Whether a comma-separated list has `token` among its members, in any case.
#[must_use]
pub fn lists(value: &[u8], token: &[u8]) -> bool {
    list(value).any(|member| member.eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_blanks() {
        assert_eq!(trim(b" \t a b\t"), b"a b");
        assert_eq!(trim(b"  "), b"");
        assert_eq!(list(b"a, ,b ,,\tc").collect::<Vec<_>>(), [b"a", b"b", b"c"]);
        assert!(lists(b"keep-alive, Upgrade", b"upgrade") && !lists(b"upgraded", b"upgrade"));
    }

    #[test]
    fn nothing_that_ends_a_line_or_a_word_is_in_a_class() {
        for b in [b'\r', b'\n', b'\0', 0x7f, 0x1b] {
            for class in [TOKEN, VALUE, TARGET, HOST] {
                assert!(!all(class, &[b]), "{b:#x} {class:?}");
            }
        }
        for class in [TOKEN, TARGET, HOST] {
            assert!(!all(class, b" ") && !all(class, b"\t"));
        }
        assert!(all(TARGET, "/é\"<>`{}|\\^[]?\"".as_bytes()) && !all(TARGET, b"/#"));
    }

    #[test]
    fn origin_forms_begin_with_a_slash() {
        assert!(is_origin_form(b"/") && is_origin_form(b"/a?b=\"c\""));
        assert!(!is_origin_form(b"") && !is_origin_form(b"*") && !is_origin_form(b"/a b"));
    }
}
