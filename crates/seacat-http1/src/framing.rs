//! Where a message ends, and whether its connection goes on after it (RFC 9112 sections 6.3 and
//! 9.3).

use http::{Method, StatusCode, Version};

use crate::fields::Fields;
use crate::syntax::{list, lists};
use crate::violation::{Rule, Violation, refuse};

/// How the body after a head is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// This many bytes, or none.
    Length(u64),
    /// The chunked coding.
    Chunked,
    /// All bytes until the connection ends. Responses only.
    Close,
    /// What follows is not HTTP any more: after a request for a tunnel (CONNECT, or Upgrade
    /// without a body), and after the response that opens it.
    Tunnel,
}

/// The framing declared by a head.
#[derive(Default)]
struct Said {
    length: Option<u64>,
    /// Content-Length is there more than once, or not a number.
    unclear: bool,
    coding: Coding,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Coding {
    #[default]
    None,
    Chunked,
    /// Codings that are not undone here, and then `chunked`: the end is clear.
    Coded,
    /// `chunked` is not the last one, or not the only one of its kind: the end is not clear.
    Unclear,
}

impl Coding {
    /// With one more coding behind it.
    fn and(self, coding: &[u8]) -> Self {
        let chunked = coding.eq_ignore_ascii_case(b"chunked");
        match (self, chunked) {
            (Coding::None, true) => Coding::Chunked,
            (Coding::Unclear, true) => Coding::Coded,
            (_, _) => Coding::Unclear,
        }
    }
}

/// The framing of a request, read strictly.
pub(crate) fn of_request(
    method: &Method,
    version: Version,
    fields: &Fields,
) -> Result<Framing, Violation> {
    let connect = *method == Method::CONNECT;
    let mut said = Said::default();
    let (mut upgrade, mut upgrade_named) = (false, false);
    for (name, value) in fields.iter() {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name.len() {
            7 if is("upgrade") => upgrade |= is_upgrade(value),
            10 if is("connection") => upgrade_named |= lists(value, b"upgrade"),
            14 if is("content-length") => {
                said.unclear |= said.length.is_some();
                said.length = parse_length(value);
                said.unclear |= said.length.is_none();
            }
            17 if is("transfer-encoding") => {
                // An empty member or an empty list is invalid.
                said.coding = match list(value).fold(said.coding, Coding::and) {
                    Coding::Chunked if value.eq_ignore_ascii_case(b"chunked") => Coding::Chunked,
                    Coding::Coded => Coding::Coded,
                    _ => Coding::Unclear,
                };
            }
            _ => {}
        }
    }
    if said.unclear {
        return refuse(Rule::Length, "Content-Length is not there once as one plain number.");
    }
    match (said.coding, said.length) {
        (Coding::Chunked | Coding::Coded | Coding::Unclear, Some(_)) => {
            refuse(Rule::Length, "Content-Length and Transfer-Encoding come together.")
        }
        (Coding::Chunked | Coding::Coded | Coding::Unclear, None)
            if version == Version::HTTP_10 =>
        {
            refuse(Rule::Length, "HTTP/1.0 has no Transfer-Encoding.")
        }
        (Coding::Coded, None) => {
            refuse(Rule::TransferCoding, "Transfer-Encoding has more than `chunked`.")
        }
        (Coding::Unclear, None) => {
            refuse(Rule::Length, "Transfer-Encoding does not end with one `chunked`.")
        }
        (Coding::Chunked, None) | (Coding::None, Some(1..)) if connect => {
            refuse(Rule::Syntax, "A CONNECT request has no body.")
        }
        (Coding::Chunked, None) => Ok(Framing::Chunked),
        (Coding::None, Some(length @ 1..)) => Ok(Framing::Length(length)),
        (Coding::None, _) if connect => Ok(Framing::Tunnel),
        (Coding::None, _) if upgrade && upgrade_named && version != Version::HTTP_10 => {
            Ok(Framing::Tunnel)
        }
        (Coding::None, _) => Ok(Framing::Length(0)),
    }
}

/// The framing of the response to a request of `method`, read tolerantly.
pub(crate) fn of_response(
    method: &Method,
    status: StatusCode,
    fields: &Fields,
) -> Result<Framing, Violation> {
    if status == StatusCode::SWITCHING_PROTOCOLS
        || (*method == Method::CONNECT && status.is_success())
    {
        return Ok(Framing::Tunnel);
    }
    // Rule 1: such a response ends with its head, whatever its fields say.
    if *method == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    {
        return Ok(Framing::Length(0));
    }
    match response_coding(fields) {
        // Rule 3: it overrides Content-Length; after both the connection is closed.
        Coding::Chunked => return Ok(Framing::Chunked),
        Coding::Coded | Coding::Unclear => {
            return refuse(
                Rule::TransferCoding,
                "The response has a transfer coding other than `chunked`.",
            );
        }
        Coding::None => {}
    }
    Ok(response_length(fields)?.map_or(Framing::Close, Framing::Length))
}

/// `identity` is what RFC 2616 servers call no coding at all.
fn response_coding(fields: &Fields) -> Coding {
    let codings = fields.all("transfer-encoding").flat_map(list);
    codings.filter(|it| !it.eq_ignore_ascii_case(b"identity")).fold(Coding::None, Coding::and)
}

/// Equal lengths count as one, in several fields or in one list (RFC 9112 section 6.3 rule 5).
pub(crate) fn response_length(fields: &Fields) -> Result<Option<u64>, Violation> {
    let mut found = None;
    for value in fields.all("content-length") {
        for member in value.split(|&b| b == b',') {
            match (parse_length(crate::syntax::trim(member)), found) {
                (Some(length), None) => found = Some(length),
                (Some(length), Some(before)) if length == before => {}
                (Some(_), Some(_)) => {
                    return refuse(Rule::Length, "The response has two different lengths.");
                }
                (None, _) => {
                    return refuse(
                        Rule::Length,
                        "The Content-Length of the response is no number.",
                    );
                }
            }
        }
    }
    Ok(found)
}

/// A Content-Length: digits and nothing else, at most 2^63 - 1.
#[must_use]
pub fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length = std::str::from_utf8(value).ok()?.parse().ok()?;
    (length <= i64::MAX as u64).then_some(length)
}

/// Whether an `Upgrade` value asks for a protocol worth a tunnel. `h2c` alone is not one: it is
/// deprecated (RFC 9113 section 3.1), polite clients offer it with every first request, and
/// ignoring it is always right.
fn is_upgrade(value: &[u8]) -> bool {
    list(value).any(|protocol| !protocol.eq_ignore_ascii_case(b"h2c"))
}

/// Whether the sender of a head wants the connection to go on after the message (RFC 9112
/// section 9.3): `close` wins, then HTTP/1.1 keeps, then HTTP/1.0 keeps with `keep-alive`.
#[must_use]
pub fn keeps_alive(version: Version, fields: &Fields) -> bool {
    !fields.lists("connection", b"close")
        && (version != Version::HTTP_10 || fields.lists("connection", b"keep-alive"))
}

/// Whether the client waits for an interim response before it sends the body (RFC 9110 section
/// 10.1.1). HTTP/1.0 has none.
#[must_use]
pub fn expects_continue(version: Version, fields: &Fields) -> bool {
    version != Version::HTTP_10 && fields.lists("expect", b"100-continue")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[(&str, &str)]) -> Fields {
        list.iter().copied().collect()
    }

    #[test]
    fn requests_end_where_all_readers_agree() {
        use Framing::{Chunked, Length, Tunnel};
        type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], Result<Framing, Rule>);
        let upgrade = ("Connection", "keep-alive, Upgrade");
        let cases: &[Case] = &[
            ("GET", &[], Ok(Length(0))),
            ("POST", &[("content-length", "5")], Ok(Length(5))),
            ("POST", &[("Transfer-Encoding", "Chunked")], Ok(Chunked)),
            ("CONNECT", &[("Content-Length", "0")], Ok(Tunnel)),
            ("CONNECT", &[("Content-Length", "1")], Err(Rule::Syntax)),
            ("GET", &[upgrade, ("Upgrade", "websocket")], Ok(Tunnel)),
            ("GET", &[upgrade, ("Upgrade", "h2c")], Ok(Length(0))),
            ("GET", &[("Upgrade", "websocket")], Ok(Length(0))),
            ("POST", &[upgrade, ("Upgrade", "x"), ("Content-Length", "2")], Ok(Length(2))),
            ("POST", &[("Content-Length", "5"), ("Content-Length", "5")], Err(Rule::Length)),
            ("POST", &[("Content-Length", "x"), ("Content-Length", "5")], Err(Rule::Length)),
            ("POST", &[("Content-Length", "5"), ("Transfer-Encoding", "x")], Err(Rule::Length)),
            ("POST", &[("Transfer-Encoding", "gzip, chunked")], Err(Rule::TransferCoding)),
            ("POST", &[("Transfer-Encoding", "chunked, gzip")], Err(Rule::Length)),
            ("POST", &[("Transfer-Encoding", "chunked, chunked")], Err(Rule::Length)),
            ("POST", &[("Transfer-Encoding", "gzip")], Err(Rule::Length)),
            ("POST", &[("Transfer-Encoding", "chunked,")], Err(Rule::Length)),
            ("POST", &[("Transfer-Encoding", "")], Err(Rule::Length)),
        ];
        for (method, list, expected) in cases {
            let method = method.parse().unwrap();
            let found = of_request(&method, Version::HTTP_11, &fields(list));
            assert_eq!(found.map_err(|it| it.rule), *expected, "{method} {list:?}");
        }
        let chunked = fields(&[("Transfer-Encoding", "chunked")]);
        assert!(of_request(&Method::POST, Version::HTTP_10, &chunked).is_err());
    }

    #[test]
    fn responses_end_by_the_rules_of_section_6_3() {
        use Framing::{Chunked, Close, Length, Tunnel};
        type Case<'a> = (&'a str, u16, &'a [(&'a str, &'a str)], Result<Framing, Rule>);
        let cases: &[Case] = &[
            ("GET", 200, &[], Ok(Close)),
            ("GET", 200, &[("Content-Length", "5")], Ok(Length(5))),
            ("GET", 200, &[("Content-Length", "5"), ("content-length", "5")], Ok(Length(5))),
            ("GET", 200, &[("Content-Length", "5, 5")], Ok(Length(5))),
            ("GET", 200, &[("Content-Length", "5, 6")], Err(Rule::Length)),
            ("GET", 200, &[("Content-Length", "5"), ("Content-Length", "6")], Err(Rule::Length)),
            ("GET", 200, &[("Content-Length", "+5")], Err(Rule::Length)),
            ("GET", 200, &[("Content-Length", "")], Err(Rule::Length)),
            ("GET", 200, &[("Transfer-Encoding", "chunked"), ("Content-Length", "9")], Ok(Chunked)),
            (
                "GET",
                200,
                &[("Transfer-Encoding", "identity"), ("Content-Length", "9")],
                Ok(Length(9)),
            ),
            ("GET", 200, &[("Transfer-Encoding", "identity")], Ok(Close)),
            ("GET", 200, &[("Transfer-Encoding", "gzip, chunked")], Err(Rule::TransferCoding)),
            ("GET", 200, &[("Transfer-Encoding", "chunked, gzip")], Err(Rule::TransferCoding)),
            ("GET", 204, &[("Transfer-Encoding", "chunked")], Ok(Length(0))),
            ("GET", 204, &[("Content-Length", "x")], Ok(Length(0))),
            ("GET", 304, &[("Content-Length", "5")], Ok(Length(0))),
            ("HEAD", 200, &[("Content-Length", "5")], Ok(Length(0))),
            ("GET", 100, &[], Ok(Length(0))),
            ("GET", 101, &[], Ok(Tunnel)),
            ("CONNECT", 200, &[("Content-Length", "5")], Ok(Tunnel)),
            ("CONNECT", 403, &[("Content-Length", "5")], Ok(Length(5))),
        ];
        for (method, status, list, expected) in cases {
            let method = method.parse().unwrap();
            let status = StatusCode::from_u16(*status).unwrap();
            let found = of_response(&method, status, &fields(list));
            assert_eq!(found.map_err(|it| it.rule), *expected, "{method} {status} {list:?}");
        }
    }

    #[test]
    fn close_wins() {
        for (version, value, expected) in [
            (Version::HTTP_11, "", true),
            (Version::HTTP_11, "close", false),
            (Version::HTTP_11, "keep-alive, Close", false),
            (Version::HTTP_10, "", false),
            (Version::HTTP_10, "Keep-Alive", true),
            (Version::HTTP_10, "keep-alive, close", false),
        ] {
            let list = fields(&[("Connection", value)]);
            assert_eq!(keeps_alive(version, &list), expected, "{version:?} {value}");
        }
    }
}
