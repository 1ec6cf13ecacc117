//! Errors that the gateway makes itself. It marks them in Proxy-Status (RFC 9209, docs/gateway.md), and
//! removes that mark from answers of back ends:
//!
//! ```text
//!     Proxy-Status: seacat-gateway; error=destination_not_found; code="SC-GW-HOST"; details="…"
//! ```
//!
//! They get the page that errors of this proxy have. Status, code and Proxy-Status stay.

use seacat_http1::Fields;
use seacat_http1::syntax::{is_token, trim};

use crate::errors::Code;
use crate::fault::Fault;
use crate::forward::fields::Incoming;

/// How the gateway names itself, and how its codes begin.
const GATEWAY: &[u8] = b"seacat-gateway";
const PREFIX: &str = "SC-GW-";

/// Fields of the gateway's answer that mean the same on another page.
const KEPT: [&str; 2] = ["Proxy-Status", "Allow"];

/// The error that an answer of the gateway bears; `None` for an answer of a back end. A code that
/// this proxy does not know yet is explained in general terms.
pub(super) fn read(head: &Incoming) -> Option<Fault> {
    if !head.status.is_client_error() && !head.status.is_server_error() {
        return None;
    }
    let mark = head.fields.all("proxy-status").find_map(mark)?;
    let code = Code::named(&mark.code).unwrap_or(Code::GatewayError);
    let mut kept = Fields::default();
    for name in KEPT {
        head.fields.all(name).for_each(|value| kept.push(name.as_bytes(), value));
    }
    Some(Fault::of_gateway(code, head.status, &mark.details, kept))
}

/// The gateway's description of an error.
struct Mark {
    code: String,
    details: String,
}

/// The mark in one field value.
fn mark(value: &[u8]) -> Option<Mark> {
    let (name, mut rest) = split(value, b';')?;
    if trim(name) != GATEWAY {
        return None;
    }
    let (mut code, mut details) = (None, String::new());
    while let Some((key, after)) = split(rest, b'=') {
        let (value, after) = parameter(after)?;
        match trim(key) {
            b"code" if value.starts_with(PREFIX) => code = Some(value),
            b"details" => details = value,
            _ => {}
        }
        let Some((_, next)) = split(after, b';') else { break };
        rest = next;
    }
    Some(Mark { code: code?, details })
}

fn split(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|&b| b == at)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// A parameter's value, a token or a string of ASCII (RFC 8941 section 3.3), and what follows it.
fn parameter(bytes: &[u8]) -> Option<(String, &[u8])> {
    let [b'"', text @ ..] = bytes else {
        let end = bytes.iter().position(|&b| b == b';').unwrap_or(bytes.len());
        let token = trim(&bytes[..end]);
        return is_token(token).then(|| (text_of(token), &bytes[end..]));
    };
    let mut value = Vec::new();
    let mut rest = text;
    loop {
        match rest {
            [b'"', after @ ..] => return Some((text_of(&value), after)),
            [b'\\', escaped @ (b'"' | b'\\'), after @ ..] => {
                value.push(*escaped);
                rest = after;
            }
            [plain @ b' '..=b'~', after @ ..] if *plain != b'\\' => {
                value.push(*plain);
                rest = after;
            }
            _ => return None,
        }
    }
}

/// Bytes that are ASCII, as text.
fn text_of(ascii: &[u8]) -> String {
    ascii.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::fault::render;
    use crate::request_code::RequestCode;

    const HOST: &str = "seacat-gateway; error=destination_not_found; code=\"SC-GW-HOST\"; \
                        details=\"this gateway has no host named \\\"a;b=c\\\"\"";

    fn answer(status: u16, fields: &[(&str, &str)]) -> Incoming {
        Incoming {
            status: StatusCode::from_u16(status).unwrap(),
            reason: Box::default(),
            fields: fields.iter().copied().collect(),
            length: Some(3),
        }
    }

    #[test]
    fn an_error_of_the_gateway_gets_our_page() {
        let fields = [("Content-Length", "3"), ("Proxy-Status", HOST), ("Allow", "CONNECT")];
        let fault = read(&answer(404, &fields)).unwrap();
        assert_eq!((fault.code, fault.status().as_u16()), (Code::GatewayHost, 404));
        let asked = [("Accept", "text/html")].into_iter().collect();
        let page = render(&fault, &asked, RequestCode::random());
        let field = |name| page.fields.get(name).map(String::from_utf8_lossy);
        assert_eq!(field("content-type").unwrap(), "text/html; charset=utf-8");
        assert_eq!(page.fields.all("proxy-status").collect::<Vec<_>>(), [HOST.as_bytes()]);
        assert_eq!(field("allow").unwrap(), "CONNECT");
        assert_eq!(field("content-length"), None);
        let body = String::from_utf8(page.body.to_vec()).unwrap();
        assert!(body.contains("This gateway has no host named &#34;a;b=c&#34;."), "{body}");
        assert!(body.contains("SC-GW-HOST"), "{body}");
    }

    #[test]
    fn a_code_of_a_later_gateway_is_an_error_of_the_gateway() {
        let later = "seacat-gateway; code=\"SC-GW-QUOTA\"";
        let fault = read(&answer(429, &[("Proxy-Status", later)])).unwrap();
        assert_eq!((fault.code, fault.status().as_u16()), (Code::GatewayError, 429));
    }

    #[test]
    fn other_answers_are_left_as_they_are() {
        for (status, value) in [
            (200, HOST),
            (502, "seacat-gateway; details=\"the back end answered 407\""),
            (502, "other; code=\"SC-GW-HOST\""),
            (502, "seacat-gateway; code=\"SC-LOST\""),
            (502, "seacat-gateway; code=\"SC-GW-HOST"),
            (502, "seacat-gateway"),
            (502, ""),
        ] {
            assert!(
                read(&answer(status, &[("Proxy-Status", value)])).is_none(),
                "{status} {value}"
            );
        }
        assert!(read(&answer(502, &[])).is_none());
    }
}
