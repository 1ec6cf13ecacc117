//! Heads: SeaCat to HTTP/1.1 and back, by one table of field rules.
//!
//! SeaCat heads carry their fields as they are, and no framing: FIN ends a body. HTTP/1.1 towards
//! the back end needs framing, and has fields that concern one connection alone (RFC 9110,
//! section 7.6.1). Both are settled here and nowhere else.

use std::time::SystemTime;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{PathAndQuery, Uri};
use http::{Method, Request, StatusCode, response};
use seacat_proto::{HeadTooLarge, ReplyHead, RequestHead};

use crate::config::Upstream;
use crate::identity::Caller;

/// What happens to a field that crosses the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Goes through.
    Pass,
    /// Concerns one connection: dropped.
    Hop,
    /// Dropped, with the fields it names.
    Connection,
    /// Dropped, unless the request is an upgrade that the host allows.
    Upgrade,
    /// Goes through when it is a number and agrees with the body.
    ContentLength,
    /// From a client: dropped, since the host was named by the stream and the back end is asked
    /// for the one it is configured with. From a back end: meaningless, goes through.
    Host,
}

/// The table. Names are lower case, as [`HeaderName`] keeps them.
fn rule(name: &HeaderName) -> Rule {
    match name.as_str() {
        "connection" => Rule::Connection,
        "content-length" => Rule::ContentLength,
        "host" => Rule::Host,
        "upgrade" => Rule::Upgrade,
        "keep-alive"
        | "proxy-authenticate"
        | "proxy-authorization"
        | "proxy-connection"
        | "te"
        | "trailer"
        | "transfer-encoding"
        | "http2-settings" => Rule::Hop,
        _ => Rule::Pass,
    }
}

/// Is a field of this name nobody's business but ours and the back end's?
pub(crate) fn is_free(name: &HeaderName) -> bool {
    rule(name) == Rule::Pass
}

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What follows a request's head on its way to the back end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follows {
    /// Nothing.
    Nothing,
    /// A body of so many bytes.
    Length(u64),
    /// A body that ends with its last chunk.
    Chunks,
    /// Another protocol, if the back end agrees.
    Tunnel,
}

/// A request that cannot be passed on: the client's fault, 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadRequest {
    #[error("the method is not a token")]
    Method,
    #[error("the path must begin with a slash and hold no space, control character or fragment")]
    Path,
    #[error("a field has a name or value that HTTP does not allow")]
    Field,
    #[error("the request says that it has a body and ends without one")]
    NoBody,
}

/// Turns a request's head into one for the back end. `end`: the stream ended with it.
///
/// # Errors
/// [`BadRequest`] when HTTP/1.1 cannot carry it without a second meaning.
pub(crate) fn to_backend(
    head: &RequestHead,
    end: bool,
    upstream: &Upstream,
    caller: &Caller,
) -> Result<(Request<()>, Follows), BadRequest> {
    let method = Method::from_bytes(head.method()).map_err(|_| BadRequest::Method)?;
    let uri = target(head.path(), &method)?;

    let mut fields = HeaderMap::with_capacity(16);
    let mut named: Vec<&[u8]> = Vec::new();
    let mut length = Length::Absent;
    let mut upgrade = false;
    for (name, value) in head.fields() {
        if caller.fields.claims(name) {
            continue; // who the client is, is ours to say
        }
        let name = HeaderName::from_bytes(name).map_err(|_| BadRequest::Field)?;
        match rule(&name) {
            Rule::Pass => {}
            Rule::Upgrade if upstream.upgrade => upgrade = true,
            Rule::Hop | Rule::Host | Rule::Upgrade => continue,
            Rule::Connection => {
                named.push(value);
                continue;
            }
            Rule::ContentLength => {
                length = length.and(value);
                continue;
            }
        }
        let value = HeaderValue::from_bytes(value).map_err(|_| BadRequest::Field)?;
        fields.append(name, value);
    }
    for name in named.into_iter().flat_map(names) {
        if !name.eq_ignore_ascii_case(b"upgrade")
            && let Ok(name) = HeaderName::from_bytes(name)
        {
            fields.remove(name);
        }
    }

    fields.insert(header::HOST, upstream.host_header.clone());
    if upstream.x_forwarded_host {
        let host = HeaderValue::from_bytes(head.host()).map_err(|_| BadRequest::Field)?;
        fields.insert(X_FORWARDED_HOST.clone(), host);
    }
    if upstream.x_forwarded_for
        && let Ok(address) = HeaderValue::from_str(&caller.address.to_canonical().to_string())
    {
        // Set, not appended: what a client claims about its past is not ours to vouch for.
        fields.insert(X_FORWARDED_FOR.clone(), address);
    }
    for (name, value) in caller.told(SystemTime::now()) {
        fields.insert(name.clone(), value);
    }

    let follows = match (end, length) {
        (true, Length::Valid(1..)) => return Err(BadRequest::NoBody),
        (false, Length::Valid(length)) if length > 0 || !upgrade => Follows::Length(length),
        _ if upgrade => Follows::Tunnel,
        (true, _) => Follows::Nothing,
        (false, _) => Follows::Chunks,
    };
    match follows {
        Follows::Length(length) => {
            fields.insert(header::CONTENT_LENGTH, length.into());
        }
        // Said aloud, because hyper takes a GET without a length for one without a body.
        Follows::Chunks => {
            fields.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        Follows::Tunnel => {
            fields.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        }
        // "Content-Length: 0" says that an empty body is meant (RFC 9110, section 8.6).
        Follows::Nothing if matches!(length, Length::Valid(_)) => {
            fields.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Follows::Nothing => {}
    }
    if follows != Follows::Tunnel {
        fields.remove(header::UPGRADE);
    }

    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = fields;
    Ok((request, follows))
}

/// The request target: origin-form, or `*` for OPTIONS. An empty path means `/` (wire
/// specification, section 3.1).
fn target(path: &[u8], method: &Method) -> Result<Uri, BadRequest> {
    let target = match path {
        b"" | b"/" => PathAndQuery::from_static("/"),
        b"*" if method == Method::OPTIONS => PathAndQuery::from_static("*"),
        [b'/', ..] if !path.contains(&b'#') => {
            PathAndQuery::try_from(path).map_err(|_| BadRequest::Path)?
        }
        _ => return Err(BadRequest::Path),
    };
    Ok(target.into())
}

/// What a head's Content-Length fields say together.
#[derive(Clone, Copy)]
enum Length {
    Absent,
    Valid(u64),
    /// Not a number, or several different ones. The stream's own end is trusted instead.
    Invalid,
}

impl Length {
    fn and(self, value: &[u8]) -> Self {
        match (self, decimal(value)) {
            (Length::Absent, Some(length)) => Length::Valid(length),
            (Length::Valid(before), Some(length)) if before == length => self,
            _ => Length::Invalid,
        }
    }
}

fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None; // u64's own parser takes a sign
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// The names in a Connection field.
fn names(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// Turns the head of a back end's answer into one for the client.
///
/// # Errors
/// [`HeadTooLarge`] when it does not fit into a frame.
pub(crate) fn to_client(parts: &response::Parts) -> Result<ReplyHead, HeadTooLarge> {
    let fields = &parts.headers;
    let switching = parts.status == StatusCode::SWITCHING_PROTOCOLS;
    let chunked = fields.contains_key(header::TRANSFER_ENCODING);
    let named = fields.get_all(header::CONNECTION);
    let has_named = fields.contains_key(header::CONNECTION);

    let mut head = ReplyHead::new(parts.status.as_u16());
    let mut length = false;
    for (name, value) in fields {
        match rule(name) {
            Rule::Pass | Rule::Host => {
                let is_named = |it: &HeaderValue| {
                    names(it.as_bytes()).any(|it| it.eq_ignore_ascii_case(name.as_str().as_bytes()))
                };
                if has_named && named.iter().any(is_named) {
                    continue;
                }
            }
            Rule::Upgrade if switching => {}
            Rule::ContentLength if !chunked && !length && decimal(value.as_bytes()).is_some() => {
                length = true;
            }
            Rule::Hop | Rule::Connection | Rule::Upgrade | Rule::ContentLength => continue,
        }
        push_titled(&mut head, name.as_str(), value.as_bytes())?;
    }
    Ok(head)
}

/// Pushes a field with its name as `Title-Case`: what old clients compare names with.
fn push_titled(head: &mut ReplyHead, name: &str, value: &[u8]) -> Result<(), HeadTooLarge> {
    /// Longer than any name in use; a longer one stays lower case.
    const ROOM: usize = 64;
    let mut titled = [0; ROOM];
    let Some(titled) = titled.get_mut(..name.len()) else {
        return head.push(name.as_bytes(), value);
    };
    titled.copy_from_slice(name.as_bytes());
    let mut start = true;
    for byte in &mut *titled {
        if start {
            byte.make_ascii_uppercase();
        }
        start = *byte == b'-';
    }
    head.push(titled, value)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::client_id::ClientId;
    use crate::identity::{Anonymous, Identity};

    fn upstream() -> Upstream {
        Upstream::new("http://back.test:81").unwrap()
    }

    fn head(method: &str, path: &str, fields: &[(&str, &str)]) -> RequestHead {
        let mut head = RequestHead::builder(b"erp", method.as_bytes(), path.as_bytes()).unwrap();
        for (name, value) in fields {
            head.push(name.as_bytes(), value.as_bytes()).unwrap();
        }
        head.build()
    }

    fn convert(
        head: &RequestHead,
        end: bool,
        upstream: &Upstream,
    ) -> Result<(String, Follows), BadRequest> {
        let address = "::ffff:192.0.2.9".parse().unwrap();
        let caller = Caller::new(address, Err(Anonymous::NoCertificate), Arc::default());
        convert_for(head, end, upstream, &caller)
    }

    fn convert_for(
        head: &RequestHead,
        end: bool,
        upstream: &Upstream,
        caller: &Caller,
    ) -> Result<(String, Follows), BadRequest> {
        let (request, follows) = to_backend(head, end, upstream, caller)?;
        let mut lines: Vec<String> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        Ok((format!("{} {} {}", request.method(), request.uri(), lines.join(" | ")), follows))
    }

    #[test]
    fn requests_are_framed_for_http1() {
        use Follows::{Chunks, Length, Nothing};
        const HOST: &str = "host: back.test:81";
        // method, fields, end -> fields of framing, what follows
        type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], bool, &'a str, Follows);
        let cases: &[Case] = &[
            ("GET", &[], true, "", Nothing),
            ("POST", &[("Content-Length", "5")], false, "content-length: 5 | ", Length(5)),
            ("POST", &[("content-length", "0")], true, "content-length: 0 | ", Nothing),
            ("POST", &[("Content-length", "0")], false, "content-length: 0 | ", Length(0)),
            ("POST", &[], false, " | transfer-encoding: chunked", Chunks),
            ("GET", &[], false, " | transfer-encoding: chunked", Chunks),
            ("POST", &[("Content-Length", "+5")], false, " | transfer-encoding: chunked", Chunks),
            ("POST", &[("Content-Length", "")], false, " | transfer-encoding: chunked", Chunks),
            ("POST", &[("Content-Length", "5, 5")], false, " | transfer-encoding: chunked", Chunks),
            (
                "POST",
                &[("Content-Length", "5"), ("Content-Length", "6")],
                false,
                " | transfer-encoding: chunked",
                Chunks,
            ),
            (
                "POST",
                &[("Content-Length", "5"), ("Content-Length", "5")],
                false,
                "content-length: 5 | ",
                Length(5),
            ),
            (
                "POST",
                &[("Content-Length", "5"), ("Transfer-Encoding", "chunked")],
                false,
                "content-length: 5 | ",
                Length(5),
            ),
            ("POST", &[("Content-Length", "99999999999999999999999")], true, "", Nothing),
        ];
        for (method, fields, end, framing, follows) in cases {
            let got = convert(&head(method, "/x?y", fields), *end, &upstream()).unwrap();
            let fields_out = match framing.strip_prefix(" | ") {
                Some(after) => format!("{HOST} | {after}"),
                None => format!("{framing}{HOST}"),
            };
            assert_eq!(got, (format!("{method} /x?y {fields_out}"), *follows), "{fields:?} {end}");
        }
        let without = head("POST", "/", &[("Content-Length", "5")]);
        assert_eq!(convert(&without, true, &upstream()), Err(BadRequest::NoBody));
    }

    #[test]
    fn fields_of_one_connection_stay_there() {
        let fields = [
            ("HOST", "evil"),
            ("Connection", "close, X-Private, host, content-length"),
            ("X-Private", "1"),
            ("Keep-Alive", "5"),
            ("Proxy-Authorization", "Basic eA=="),
            ("Proxy-Connection", "keep-alive"),
            ("TE", "trailers"),
            ("Trailer", "X"),
            ("Upgrade", "websocket"),
            ("HTTP2-Settings", "x"),
            ("Accept", "a"),
            ("accept", "b"),
            ("X-Forwarded-For", "203.0.113.1"),
            ("X-SeaCat-Client-Id", "somebody else"),
            ("x_seacat_client_tag", "[AAAAAAAAAAAAAAAA]"),
        ];
        let (text, follows) = convert(&head("GET", "", &fields), true, &upstream()).unwrap();
        assert_eq!(
            text,
            "GET / accept: a | accept: b | host: back.test:81 | x-forwarded-for: 203.0.113.1"
        );
        assert_eq!(follows, Follows::Nothing);

        let forwarding = Upstream { x_forwarded_for: true, x_forwarded_host: true, ..upstream() };
        let (text, _) = convert(&head("GET", "/", &fields[12..]), true, &forwarding).unwrap();
        let forwarded = "x-forwarded-for: 192.0.2.9 | x-forwarded-host: erp";
        assert_eq!(text, format!("GET / host: back.test:81 | {forwarded}"));
    }

    #[test]
    fn the_back_end_hears_who_the_client_is_from_us_alone() {
        let id = ClientId::of_key(b"key");
        let fields = [
            ("Connection", "X-SeaCat-Client-Id"),
            ("X-SeaCat-Client-Id", "somebody else"),
            ("X_SEACAT_CLIENT_TAG", "[AAAAAAAAAAAAAAAA]"),
        ];
        let now = SystemTime::now();
        let ours = format!(" | x-seacat-client-id: {id} | x-seacat-client-tag: {}", id.tag());
        let minute = std::time::Duration::from_secs(60);
        for (until, told) in [(now + minute, ours.as_str()), (now - minute, "")] {
            let caller =
                Caller::new([192, 0, 2, 9].into(), Ok(Identity { id, until }), Arc::default());
            let (text, _) =
                convert_for(&head("GET", "/", &fields), true, &upstream(), &caller).unwrap();
            assert_eq!(text, format!("GET / host: back.test:81{told}"));
        }
    }

    #[test]
    fn an_upgrade_goes_where_it_is_allowed() {
        let upgrade = Upstream { upgrade: true, ..upstream() };
        let fields = [("Upgrade", "websocket"), ("Connection", "Upgrade")];
        for end in [false, true] {
            let (text, follows) = convert(&head("GET", "/", &fields), end, &upgrade).unwrap();
            let upgraded = "connection: Upgrade | host: back.test:81 | upgrade: websocket";
            assert_eq!((text.as_str(), follows), (&*format!("GET / {upgraded}"), Follows::Tunnel));
        }
        // With a body it is an ordinary request.
        let body = [("Upgrade", "h2c"), ("Content-Length", "2")];
        let (text, follows) = convert(&head("POST", "/", &body), false, &upgrade).unwrap();
        assert_eq!(text, "POST / content-length: 2 | host: back.test:81");
        assert_eq!(follows, Follows::Length(2));
    }

    #[test]
    fn what_http1_cannot_carry_is_refused() {
        let name = [("X: y\r\nEvil", "1")];
        let value = [("X", "1\r\nEvil: 2")];
        let nul = [("X", "\0")];
        let empty = [("", "1")];
        let none: [(&str, &str); 0] = [];
        type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], BadRequest);
        let cases: &[Case] = &[
            ("GE T", "/", &none, BadRequest::Method),
            ("", "/", &none, BadRequest::Method),
            ("GET", "/a b", &none, BadRequest::Path),
            ("GET", "/\r\nX: y", &none, BadRequest::Path),
            ("GET", "/#x", &none, BadRequest::Path),
            ("GET", "x", &none, BadRequest::Path),
            ("GET", "*", &none, BadRequest::Path),
            ("GET", "http://other/", &none, BadRequest::Path),
            ("GET", "/", &name, BadRequest::Field),
            ("GET", "/", &value, BadRequest::Field),
            ("GET", "/", &nul, BadRequest::Field),
            ("GET", "/", &empty, BadRequest::Field),
        ];
        for (method, path, fields, wrong) in cases {
            let got = convert(&head(method, path, fields), true, &upstream());
            assert_eq!(got, Err(*wrong), "{method:?} {path:?} {fields:?}");
        }
        assert!(convert(&head("OPTIONS", "*", &none), true, &upstream()).is_ok());
    }

    fn answer(status: u16, fields: &[(&str, &str)]) -> Result<String, HeadTooLarge> {
        let mut response = http::Response::builder().status(status);
        for (name, value) in fields {
            response = response.header(*name, *value);
        }
        let (parts, ()) = response.body(()).unwrap().into_parts();
        let head = to_client(&parts)?;
        let mut text = head.status().to_string();
        for (name, value) in head.fields() {
            let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
            text.push_str(&format!(" | {name}: {value}"));
        }
        Ok(text)
    }

    #[test]
    fn answers_lose_what_concerns_one_connection() {
        let fields = [
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("Connection", "close, x-private"),
            ("X-Private", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Transfer-Encoding", "chunked"),
            ("Content-Length", "7"),
            ("Trailer", "X"),
            ("Upgrade", "h2c"),
            ("Proxy-Authenticate", "Basic"),
            ("x-trace-id", "7"),
        ];
        let expected = "200 | Set-Cookie: a=1 | Set-Cookie: b=2 | X-Trace-Id: 7";
        assert_eq!(answer(200, &fields).unwrap(), expected);
        assert_eq!(
            answer(101, &[("upgrade", "websocket"), ("connection", "upgrade")]).unwrap(),
            "101 | Upgrade: websocket"
        );
        assert_eq!(answer(200, &[("content-length", "7")]).unwrap(), "200 | Content-Length: 7");
        let twice = [("content-length", "7"), ("content-length", "7")];
        assert_eq!(answer(304, &twice).unwrap(), "304 | Content-Length: 7");
        assert_eq!(answer(304, &[("content-length", "x")]).unwrap(), "304");
        let long = "x-".repeat(40);
        let got = answer(200, &[(&long, "1")]).unwrap();
        assert_eq!(got, format!("200 | {long}: 1"));
        let huge = "x".repeat(16 * 1024);
        assert!(answer(200, &[("x-huge", &huge)]).is_err());
    }
}
