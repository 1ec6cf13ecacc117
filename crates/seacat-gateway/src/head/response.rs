//! Conversion of a response's head for the client.

use http::{Method, StatusCode};
use seacat_http1::hop_by_hop::end_to_end;
use seacat_http1::syntax::{list, trim};
use seacat_http1::{ResponseHead, is, parse_length};
use seacat_proto::{HeadTooLarge, ReplyHead};

use super::Names;
use crate::fault::NAME;

/// Converts the head of a back end's response for the client.
///
/// # Errors
/// [`HeadTooLarge`] when it does not fit into a frame.
pub(crate) fn to_client(
    head: &ResponseHead,
    method: &Method,
    names: &Names<'_>,
) -> Result<ReplyHead, HeadTooLarge> {
    let switching = head.status == StatusCode::SWITCHING_PROTOCOLS;
    let mut reply = begin(head)?;
    let mut length = length(head, method);
    for (name, value) in end_to_end(&head.fields) {
        if is(name, "content-length") {
            if let Some(length) = length.take() {
                reply.push(name, length.to_string().as_bytes())?;
            }
            continue;
        }
        // Only this gateway marks errors with its name (docs/gateway.md).
        if is(name, "proxy-status") && names_gateway(value) {
            continue;
        }
        let mapped = match name.len() {
            8 if is(name, "location") => names.url_to_client(value),
            16 if is(name, "content-location") => names.url_to_client(value),
            7 if is(name, "refresh") => names.refresh_to_client(value),
            10 if is(name, "set-cookie") => names.cookie_to_client(value),
            _ => None,
        };
        reply.push(name, mapped.as_deref().unwrap_or(value))?;
    }
    for value in head.fields.all("upgrade").filter(|_| switching) {
        reply.push(b"Upgrade", value)?;
    }
    Ok(reply)
}

/// Whether a Proxy-Status names this gateway.
fn names_gateway(value: &[u8]) -> bool {
    value.windows(NAME.len()).any(|part| part == NAME.as_bytes())
}

/// The status, with its reason phrase where that differs from the standard one.
fn begin(head: &ResponseHead) -> Result<ReplyHead, HeadTooLarge> {
    let usual = head.status.canonical_reason().unwrap_or_default().as_bytes();
    match &*head.reason {
        reason if reason.is_empty() || reason == usual => Ok(ReplyHead::new(head.status.as_u16())),
        reason => ReplyHead::with_reason(head.status.as_u16(), reason),
    }
}

/// The Content-Length of the response; for HEAD and 304 it describes the content of a GET. None for
/// responses that cannot have one (RFC 9110 section 8.6) and for chunked ones; an invalid one is
/// not forwarded.
fn length(head: &ResponseHead, method: &Method) -> Option<u64> {
    let fields = &head.fields;
    let coded = fields
        .all("transfer-encoding")
        .flat_map(list)
        .any(|coding| !coding.eq_ignore_ascii_case(b"identity"));
    let bodiless = *method == Method::HEAD || head.status == StatusCode::NOT_MODIFIED;
    if head.status.is_informational()
        || head.status == StatusCode::NO_CONTENT
        || (coded && !bodiless)
    {
        return None;
    }
    let mut values = fields.all("content-length").flat_map(|value| value.split(|&b| b == b','));
    let first = parse_length(trim(values.next()?))?;
    values.all(|other| parse_length(trim(other)) == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use http::Version;

    use super::*;
    use crate::config::Upstream;

    fn answer(
        method: &str,
        status: u16,
        reason: &str,
        fields: &[(&str, &str)],
    ) -> Result<String, HeadTooLarge> {
        let upstream = Upstream::new("http://back.test:81").unwrap();
        let names = Names::new(Some(b"erp.seacat"), b"erp", &upstream);
        let head = ResponseHead {
            version: Version::HTTP_11,
            status: StatusCode::from_u16(status).unwrap(),
            reason: reason.as_bytes().into(),
            fields: fields.iter().copied().collect(),
        };
        let head = to_client(&head, &method.parse().unwrap(), &names)?;
        let mut text = head.status().to_string();
        if let Some(reason) = head.reason() {
            text.push_str(&format!(" {}", String::from_utf8_lossy(reason)));
        }
        for (name, value) in head.fields() {
            let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
            text.push_str(&format!(" | {name}: {value}"));
        }
        Ok(text)
    }

    #[test]
    fn answers_lose_what_concerns_one_connection_and_keep_their_spelling() {
        let fields = [
            ("set-cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("Connection", "close, x-private"),
            ("X-Private", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Transfer-Encoding", "chunked"),
            ("Content-Length", "7"),
            ("Trailer", "X"),
            ("Upgrade", "h2c"),
            ("Proxy-Authenticate", "Basic"),
            ("WWW-Authenticate", "Basic"),
            ("ETag", "x"),
        ];
        assert_eq!(
            answer("GET", 200, "OK", &fields).unwrap(),
            "200 | set-cookie: a=1 | Set-Cookie: b=2 | WWW-Authenticate: Basic | ETag: x"
        );
        let switch = [("upgrade", "websocket"), ("connection", "upgrade")];
        assert_eq!(answer("GET", 101, "", &switch).unwrap(), "101 | Upgrade: websocket");
        let huge = "x".repeat(16 * 1024);
        assert!(answer("GET", 200, "OK", &[("x-huge", &huge)]).is_err());
    }

    #[test]
    fn back_ends_cannot_mark_errors_as_the_gateways() {
        let forged = ("Proxy-Status", "x, seacat-gateway; code=\"SC-GW-HOST\"");
        let own = ("Proxy-Status", "cache; detail=hit");
        assert_eq!(
            answer("GET", 404, "", &[forged, own]).unwrap(),
            "404 | Proxy-Status: cache; detail=hit"
        );
    }

    #[test]
    fn phrases_are_sent_where_they_differ() {
        assert_eq!(answer("GET", 200, "OK", &[]).unwrap(), "200");
        assert_eq!(answer("GET", 200, "", &[]).unwrap(), "200");
        assert_eq!(answer("GET", 200, "Fine", &[]).unwrap(), "200 Fine");
        assert_eq!(answer("GET", 299, "Odd", &[]).unwrap(), "299 Odd");
    }

    #[test]
    fn lengths_are_sent_where_they_are_true() {
        let seven = [("content-length", "7")];
        let twice = [("Content-Length", "7"), ("Content-Length", "7")];
        let list = [("Content-Length", "7, 7")];
        let identity = [("Transfer-Encoding", "identity"), ("Content-Length", "7")];
        let chunked = [("Transfer-Encoding", "chunked"), ("Content-Length", "7")];
        for (method, status, fields, expected) in [
            ("GET", 200, &seven[..], "200 | content-length: 7"),
            ("GET", 304, &twice, "304 | Content-Length: 7"),
            ("GET", 200, &list, "200 | Content-Length: 7"),
            ("GET", 200, &identity, "200 | Content-Length: 7"),
            ("GET", 200, &chunked, "200"),
            ("HEAD", 200, &seven, "200 | content-length: 7"),
            ("HEAD", 200, &[("Content-Length", "x")], "200"),
            ("GET", 204, &seven, "204"),
        ] {
            assert_eq!(answer(method, status, "", fields).unwrap(), expected, "{fields:?}");
        }
    }

    #[test]
    fn urls_and_cookies_of_the_back_end_become_those_of_the_client() {
        let fields = [
            ("Location", "http://back.test:81/docs/"),
            ("Content-Location", "http://erp.seacat:81/x"),
            ("Refresh", "0; url=http://back.test:81/"),
            ("Set-Cookie", "a=1; Domain=back.test"),
            ("Link", "<http://back.test:81/>"),
        ];
        assert_eq!(
            answer("GET", 301, "", &fields).unwrap(),
            "301 | Location: http://erp.seacat/docs/ | Content-Location: http://erp.seacat/x \
             | Refresh: 0; url=http://erp.seacat/ | Set-Cookie: a=1; Domain=erp.seacat \
             | Link: <http://back.test:81/>"
        );
    }
}
