//! Conversion of a request's head for a back end.

use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use http::Method;
use seacat_http1::hop_by_hop::{end_to_end, imitates, is_same_variable};
use seacat_http1::syntax::is_origin_form;
use seacat_http1::{Fields, encode, is, login, parse_length};
use seacat_proto::RequestHead;

use super::Names;
use crate::config::Upstream;
use crate::identity::Caller;

/// What follows a request's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follows {
    /// Nothing.
    Nothing,
    /// A body of this many bytes.
    Length(u64),
    /// A body that ends with its last chunk.
    Chunks,
    /// Another protocol, if the back end agrees.
    Tunnel,
}

/// A request that cannot be forwarded: a client error, 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadRequest {
    #[error("the method is not a token")]
    Method,
    #[error("the path must begin with a slash and hold no space, control character or fragment")]
    Path,
    #[error("a field has a name or value that HTTP does not allow")]
    Field,
    #[error("the request announces a body and ends without one")]
    NoBody,
}

/// A request in the form to send to the back end.
pub(crate) struct Outgoing<'a> {
    pub(crate) method: Method,
    target: &'a [u8],
    /// All but the framing fields.
    fields: Fields,
    /// The host as typed and as sent to the back end.
    pub(crate) names: Names<'a>,
    pub(crate) follows: Follows,
    /// An empty body is meant (RFC 9110 section 8.6).
    empty: bool,
    /// It takes part in a connection-based login.
    pub(crate) authenticates: bool,
    /// The client requested an upgrade, which this host does not allow.
    pub(crate) upgrade_left_out: bool,
}

impl Outgoing<'_> {
    /// The whole head.
    pub(crate) fn encode(&self) -> Bytes {
        // Enough for an ordinary request without reallocation.
        let mut out = BytesMut::with_capacity(1024);
        encode::request_line(&mut out, &self.method, self.target);
        encode::field(&mut out, b"Host", self.names.asked());
        encode::fields(&mut out, &self.fields);
        match self.follows {
            Follows::Length(length) => encode::content_length(&mut out, length),
            Follows::Chunks => encode::chunked(&mut out),
            Follows::Tunnel => encode::field(&mut out, b"Connection", b"Upgrade"),
            Follows::Nothing if self.empty => encode::content_length(&mut out, 0),
            Follows::Nothing => {}
        }
        encode::end(&mut out);
        out.freeze()
    }
}

/// Turns a request's head into one for the back end. `end`: the stream ended with it.
///
/// # Errors
/// [`BadRequest`] when it cannot be expressed unambiguously in HTTP/1.1.
pub(crate) fn to_backend<'a>(
    head: &'a RequestHead,
    end: bool,
    upstream: &'a Upstream,
    caller: &Caller,
) -> Result<Outgoing<'a>, BadRequest> {
    let method = Method::from_bytes(head.method()).map_err(|_| BadRequest::Method)?;
    let target = target(head.path(), &method)?;
    let typed = head.fields().find(|(name, _)| is(name, "host")).map(|(_, value)| value);
    let names = Names::new(typed, head.host(), upstream);
    let came = came(head, caller)?;
    let length = Length::of(&came);
    let wanted = came.get("upgrade").filter(|_| length == Length::Absent);
    let upgrade = wanted.filter(|_| upstream.upgrade);
    let follows = match (end, length) {
        (true, Length::Valid(1..)) => return Err(BadRequest::NoBody),
        (false, Length::Valid(length)) => Follows::Length(length),
        _ if upgrade.is_some() => Follows::Tunnel,
        // A client that requests an upgrade leaves the stream open for it.
        _ if wanted.is_some() => Follows::Nothing,
        (true, _) => Follows::Nothing,
        (false, _) => Follows::Chunks,
    };
    let mut fields = passed(&came, upstream, &names);
    if let Some(upgrade) = upgrade {
        fields.push(b"Upgrade", upgrade);
    }
    add_forwarded(&mut fields, upstream, caller, &names);
    for (name, value) in caller.identity_fields(SystemTime::now()) {
        fields.set(name.as_str(), value.as_bytes());
    }
    Ok(Outgoing {
        authenticates: login::authenticates(&fields),
        upgrade_left_out: wanted.is_some() && upgrade.is_none(),
        empty: matches!(length, Length::Valid(_)),
        method,
        target,
        fields,
        names,
        follows,
    })
}

/// The fields that the client may set. Identity fields are set by the gateway only.
fn came(head: &RequestHead, caller: &Caller) -> Result<Fields, BadRequest> {
    let mut fields = Fields::with_capacity(16, 1024);
    for (name, value) in head.fields() {
        if !caller.fields.claims(name) && !imitates(name) {
            fields.push_checked(name, value).map_err(|_| BadRequest::Field)?;
        }
    }
    Ok(fields)
}

/// The fields that are forwarded.
fn passed(came: &Fields, upstream: &Upstream, names: &Names<'_>) -> Fields {
    let mut fields = Fields::with_capacity(came.len() + 4, 1024);
    for (name, value) in end_to_end(came) {
        if is(name, "host") || is(name, "content-length") || (is(name, "via") && !upstream.via) {
            continue;
        }
        match is(name, "destination").then(|| names.url_to_backend(value)).flatten() {
            Some(mapped) => fields.push(name, &mapped),
            None => fields.push(name, value),
        }
    }
    fields
}

/// The X-Forwarded fields. They are set, not appended: earlier values come from the client and are
/// not trustworthy.
fn add_forwarded(fields: &mut Fields, upstream: &Upstream, caller: &Caller, names: &Names<'_>) {
    let mut set = |name: &str, value: &str| {
        fields.retain(|it, _| !is_same_variable(it, &name.to_ascii_lowercase()));
        fields.push(name.as_bytes(), value.as_bytes());
    };
    if upstream.x_forwarded_for {
        set("X-Forwarded-For", &caller.address.to_canonical().to_string());
    }
    if let Some(typed) = names.typed().filter(|_| upstream.x_forwarded_host) {
        set("X-Forwarded-Host", typed.text);
        set("X-Forwarded-Proto", "http");
        set("X-Forwarded-Port", &typed.port.unwrap_or(80).to_string());
    }
}

/// The request target: origin-form, or `*` for OPTIONS. An empty path means `/` (wire
/// specification, section 3.1).
fn target<'a>(path: &'a [u8], method: &Method) -> Result<&'a [u8], BadRequest> {
    match path {
        b"" => Ok(b"/"),
        b"*" if method == Method::OPTIONS => Ok(path),
        path if is_origin_form(path) => Ok(path),
        _ => Err(BadRequest::Path),
    }
}

/// The combined value of a head's Content-Length fields.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    Absent,
    Valid(u64),
    /// Not a number, or several different ones. The stream's own end is trusted instead.
    Invalid,
}

impl Length {
    fn of(fields: &Fields) -> Self {
        fields.all("content-length").fold(Length::Absent, |before, value| {
            match (before, parse_length(value)) {
                (Length::Absent, Some(length)) => Length::Valid(length),
                (Length::Valid(before), Some(length)) if before == length => Length::Valid(length),
                _ => Length::Invalid,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use seacat_link::{LinkConfig, Share};

    use super::*;
    use crate::client_id::ClientId;
    use crate::identity::{Anonymous, Identity};

    fn upstream() -> Upstream {
        Upstream::new("http://back.test:81").unwrap()
    }

    fn caller(address: IpAddr, identity: Result<Identity, Anonymous>) -> Caller {
        let share = Share::alone(&LinkConfig::LIMITS);
        Caller::new(address, identity, Arc::default(), share, Arc::default())
    }

    fn anonymous() -> Caller {
        let address = "::ffff:192.0.2.9".parse().unwrap();
        caller(address, Err(Anonymous::NoCertificate))
    }

    fn head(method: &str, path: &str, fields: &[(&str, &str)]) -> RequestHead {
        let (method, path) = (method.as_bytes(), path.as_bytes());
        let mut head = RequestHead::builder(b"erp", method, path).unwrap();
        for (name, value) in fields {
            head.push(name.as_bytes(), value.as_bytes()).unwrap();
        }
        head.build()
    }

    fn convert(
        head: &RequestHead,
        end: bool,
        upstream: &Upstream,
        caller: &Caller,
    ) -> Result<(String, Follows), BadRequest> {
        let outgoing = to_backend(head, end, upstream, caller)?;
        let text = String::from_utf8(outgoing.encode().to_vec()).unwrap();
        let lines: Vec<&str> = text.strip_suffix("\r\n\r\n").unwrap().split("\r\n").collect();
        Ok((lines.join(" | "), outgoing.follows))
    }

    #[test]
    fn requests_are_framed_for_http1() {
        use Follows::{Chunks, Length, Nothing};
        let one = [("Content-Length", "1")];
        let zero = [("content-length", "0")];
        let twice = [("Content-Length", "3"), ("Content-Length", "3")];
        let contrary = [("Content-Length", "3"), ("Content-Length", "4")];
        let none: [(&str, &str); 0] = [];
        type Case<'a> = (&'a str, bool, &'a [(&'a str, &'a str)], &'a str, Follows);
        let cases: &[Case] = &[
            ("GET", true, &none, "GET / HTTP/1.1 | Host: erp", Nothing),
            ("POST", true, &zero, "POST / HTTP/1.1 | Host: erp | Content-Length: 0", Nothing),
            ("POST", false, &one, "POST / HTTP/1.1 | Host: erp | Content-Length: 1", Length(1)),
            ("POST", false, &twice, "POST / HTTP/1.1 | Host: erp | Content-Length: 3", Length(3)),
            (
                "POST",
                false,
                &contrary,
                "POST / HTTP/1.1 | Host: erp | Transfer-Encoding: chunked",
                Chunks,
            ),
            (
                "POST",
                false,
                &none,
                "POST / HTTP/1.1 | Host: erp | Transfer-Encoding: chunked",
                Chunks,
            ),
        ];
        for (method, end, fields, text, follows) in cases {
            let got = convert(&head(method, "", fields), *end, &upstream(), &anonymous());
            assert_eq!(got, Ok(((*text).to_owned(), *follows)), "{method} {end} {fields:?}");
        }
        let got = convert(&head("POST", "/", &one), true, &upstream(), &anonymous());
        assert_eq!(got, Err(BadRequest::NoBody));
    }

    #[test]
    fn fields_travel_as_they_were_written_or_not_at_all() {
        let fields = [
            ("SOAPAction", "\"\""),
            ("Host", "Erp.seacat:8000"),
            ("Connection", "close, x-private"),
            ("X-Private", "1"),
            ("Keep-Alive", "5"),
            ("TE", "trailers"),
            ("Proxy-Authorization", "Basic x"),
            ("X-SeaCat-Client-Id", "forged"),
            ("x_seacat_client_tag", "forged"),
            ("X_Forwarded_For", "6.6.6.6"),
            ("Transfer_Encoding", "chunked"),
            ("Content_Length", "99"),
            ("x_custom", "1"),
            ("DNT", "1"),
            ("Via", "1.1 proxy"),
        ];
        let (text, _) =
            convert(&head("GET", "/a?\"b\"", &fields), true, &upstream(), &anonymous()).unwrap();
        let start = "GET /a?\"b\" HTTP/1.1 | Host: Erp.seacat:8000 | SOAPAction: \"\" | x_custom: 1 | DNT: 1";
        assert_eq!(text, format!("{start} | Via: 1.1 proxy"));
        let silent = Upstream { via: false, ..upstream() };
        let (text, _) =
            convert(&head("GET", "/a?\"b\"", &fields), true, &silent, &anonymous()).unwrap();
        assert_eq!(text, start);
    }

    #[test]
    fn back_ends_receive_the_configured_client_fields() {
        let forwarding = Upstream { x_forwarded_for: true, x_forwarded_host: true, ..upstream() };
        let claimed = [("X-Forwarded-For", "6.6.6.6"), ("Host", "erp.seacat:8000")];
        let (text, _) =
            convert(&head("GET", "/", &claimed), true, &forwarding, &anonymous()).unwrap();
        assert_eq!(
            text,
            "GET / HTTP/1.1 | Host: erp.seacat:8000 | X-Forwarded-For: 192.0.2.9 \
             | X-Forwarded-Host: erp.seacat:8000 | X-Forwarded-Proto: http | X-Forwarded-Port: 8000"
        );
        let until = SystemTime::now() + std::time::Duration::from_secs(60);
        let id = ClientId::of_key(b"a key");
        let known = caller("192.0.2.9".parse().unwrap(), Ok(Identity { id, until }));
        let (text, _) = convert(&head("GET", "/", &[]), true, &upstream(), &known).unwrap();
        let expected = format!(
            "GET / HTTP/1.1 | Host: erp | x-seacat-client-id: {id} | x-seacat-client-tag: {}",
            id.tag()
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_protocol_that_is_not_allowed_is_not_asked_for_and_not_waited_for() {
        let wants = [("Upgrade", "websocket"), ("Sec-WebSocket-Key", "k")];
        let allowed = Upstream { upgrade: true, ..upstream() };
        for (upstream, follows, left_out) in
            [(&allowed, Follows::Tunnel, false), (&upstream(), Follows::Nothing, true)]
        {
            for method in ["GET", "OPTIONS"] {
                let head = head(method, "/", &wants);
                let outgoing = to_backend(&head, false, upstream, &anonymous()).unwrap();
                assert_eq!((outgoing.follows, outgoing.upgrade_left_out), (follows, left_out));
                let text = String::from_utf8(outgoing.encode().to_vec()).unwrap();
                assert_eq!(
                    text.contains("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"),
                    !left_out
                );
                assert_eq!(text.contains("pgrade"), !left_out, "{text}");
            }
        }
    }

    #[test]
    fn what_http1_cannot_carry_is_refused() {
        let name = [("a b", "1")];
        let value = [("a", "1\r\nb: 2")];
        let nul = [("a", "\0")];
        let empty = [("", "1")];
        let pseudo = [(":path", "/")];
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
            ("GET", "/", &pseudo, BadRequest::Field),
        ];
        for (method, path, fields, wrong) in cases {
            let got = convert(&head(method, path, fields), true, &upstream(), &anonymous());
            assert_eq!(got, Err(*wrong), "{method:?} {path:?} {fields:?}");
        }
        let (text, _) =
            convert(&head("OPTIONS", "*", &none), true, &upstream(), &anonymous()).unwrap();
        assert_eq!(text, "OPTIONS * HTTP/1.1 | Host: erp");
    }
}
