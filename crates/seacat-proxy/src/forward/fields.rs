//! Heads towards the gateway and back: which fields travel, by the table of
//! [`seacat_http1::hop_by_hop`], and in which form.
//!
//! What stays behind of a request, beside the hop-by-hop fields: Expect (answered here), X-SC-HOST
//! (meant for us), and names that imitate a guarded one (`X_Forwarded_For`). Host is what the
//! application typed. `Via` is added both ways. Names keep their spelling.

use std::convert::Infallible;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, StatusCode, Version};
use seacat_http1::hop_by_hop::{end_to_end, imitates, is_hop_by_hop};
use seacat_http1::syntax::{VALUE, all, list};
use seacat_http1::{Fields, RequestHead, encode, is, parse_length};
use seacat_proto::{HeadTooLarge, ReplyHead};

use crate::policy::X_SC_HOST;
use crate::response::Response;

/// Fields of a request that are used up here, or made anew.
fn stays_behind(name: &[u8]) -> bool {
    ["host", "expect", X_SC_HOST].iter().any(|known| is(name, known)) || imitates(name)
}

/// This proxy in a `Via` field: one name per process, so that a request that comes round again
/// is recognised (RFC 9110 section 7.6.3).
#[derive(Debug, Clone)]
pub(crate) struct Pseudonym {
    name: String,
    via_10: String,
    via_11: String,
}

impl Pseudonym {
    pub(crate) fn random() -> Self {
        Self::new(format!("seacat-proxy-{:08x}", fastrand::u32(..)))
    }

    fn new(name: String) -> Self {
        let [via_10, via_11] = ["1.0", "1.1"].map(|number| format!("{number} {name}"));
        Pseudonym { name, via_10, via_11 }
    }

    /// `1.1 seacat-proxy-…`, the version being the one the message came with.
    fn via(&self, version: Version) -> &[u8] {
        if version == Version::HTTP_10 { self.via_10.as_bytes() } else { self.via_11.as_bytes() }
    }

    /// Whether a request has already passed through this process.
    pub(crate) fn is_in(&self, fields: &Fields) -> bool {
        fields.all("via").any(|value| {
            list(value).any(|entry| {
                let received_by = entry.split(u8::is_ascii_whitespace).nth(1);
                received_by.is_some_and(|by| by.eq_ignore_ascii_case(self.name.as_bytes()))
            })
        })
    }
}

/// What a request's head is made from, beside its address.
#[derive(Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub(crate) request: &'a RequestHead,
    /// The Host field, as the application typed it.
    pub(crate) host: Option<&'a [u8]>,
    /// The number of the application's connection, if the gateway is to know it.
    pub(crate) connection: Option<u32>,
    /// Keep `Upgrade`: the response may be a tunnel.
    pub(crate) upgrade: bool,
    /// The chunked body was found empty: the request has a length of 0, which some servers
    /// insist on (411).
    pub(crate) empty: bool,
    /// `Max-Forwards`, already counted down, in place of the one that came.
    pub(crate) max_forwards: Option<u32>,
    pub(crate) pseudonym: &'a Pseudonym,
}

impl Outgoing<'_> {
    /// The fields to send.
    fn each<E>(&self, mut put: impl FnMut(&[u8], &[u8]) -> Result<(), E>) -> Result<(), E> {
        let fields = &self.request.fields;
        if let Some(host) = self.host {
            put(b"Host", host)?;
        }
        for (name, value) in end_to_end(fields).filter(|(name, _)| !stays_behind(name)) {
            if self.max_forwards.is_none() || !is(name, "max-forwards") {
                put(name, value)?;
            }
        }
        if let Some(count) = self.max_forwards {
            put(b"Max-Forwards", count.to_string().as_bytes())?;
        }
        if self.empty {
            put(b"Content-Length", b"0")?;
        }
        if self.upgrade {
            for value in fields.all("upgrade") {
                put(b"Upgrade", value)?;
            }
        }
        put(b"Via", self.pseudonym.via(self.request.version))
    }

    /// The head for the channel.
    ///
    /// # Errors
    /// It does not fit in one frame.
    pub(crate) fn seacat(
        &self,
        host: &str,
        method: &str,
        path: &[u8],
    ) -> Result<seacat_proto::RequestHead, HeadTooLarge> {
        let (host, method) = (host.as_bytes(), method.as_bytes());
        let mut head = seacat_proto::RequestHead::builder(host, method, path)?;
        self.each(|name, value| head.push(name, value))?;
        if let Some(authorization) = self.authorization() {
            head.push(b"Authorization", authorization.as_bytes())?;
        }
        let mut head = head.build();
        if let Some(id) = self.connection {
            head.set_connection(id)?;
        }
        Ok(head)
    }

    /// The user information of the target as Basic credentials, unless the request has its own.
    fn authorization(&self) -> Option<String> {
        let user = self.request.target.user_information().filter(|user| !user.is_empty())?;
        if self.request.fields.contains("authorization") {
            return None;
        }
        let mut user = percent_decoded(user);
        // A name alone has an empty password (RFC 7617 section 2).
        if !user.contains(&b':') {
            user.push(b':');
        }
        Some(format!("Basic {}", STANDARD.encode(user)))
    }

    /// The whole head for an HTTP server dialled directly. `chunked`: so is the body.
    pub(crate) fn http(&self, method: &Method, target: &[u8], chunked: bool) -> Bytes {
        let mut head = Vec::with_capacity(1024);
        encode::request_line(&mut head, method, target);
        let Ok(()) = self.each(|name, value| {
            encode::field(&mut head, name, value);
            Ok::<(), Infallible>(())
        });
        if chunked {
            encode::chunked(&mut head);
        }
        if self.upgrade {
            encode::field(&mut head, b"Connection", b"Upgrade");
        }
        encode::end(&mut head);
        head.into()
    }
}

/// `%40` as `@`. A `%` without two digits is literal.
fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let byte = match after {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match byte {
            Some((high, low)) => {
                out.push(high << 4 | low);
                rest = &after[2..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

/// A response's head, safe to be written to a client.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) status: StatusCode,
    /// The reason phrase; empty: the usual one.
    pub(crate) reason: Box<[u8]>,
    pub(crate) fields: Fields,
    /// The `Content-Length`, if it has one.
    pub(crate) length: Option<u64>,
}

impl Incoming {
    /// Whether it has no body whatever its fields say (RFC 9112 section 6.3 rule 1).
    pub(crate) fn is_bodiless(&self) -> bool {
        matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    }

    pub(crate) fn into_response<B>(self, body: B) -> Response<B> {
        let Incoming { status, reason, fields, .. } = self;
        Response { status, reason, fields, body }
    }
}

/// The response's head cannot be passed on: a sentence with the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadReply(pub(crate) &'static str);

/// The head of a gateway's response. `switching`: 101 is one of the statuses it may have.
///
/// # Errors
/// A name or value that would break the framing towards the client (CR, LF, NUL), a status that
/// is not a final one, an ambiguous length.
pub(crate) fn from_gateway(
    head: &ReplyHead,
    switching: bool,
    pseudonym: &Pseudonym,
) -> Result<Incoming, BadReply> {
    let status = StatusCode::from_u16(head.status())
        .map_err(|_| BadReply("The gateway's answer has no valid status."))?;
    let mut fields = Fields::with_capacity(12, 512);
    for (name, value) in head.fields() {
        fields.push_checked(name, value).map_err(|violation| BadReply(violation.what))?;
    }
    // A phrase that cannot be written again is no loss.
    let reason = head.reason().filter(|reason| all(VALUE, reason)).unwrap_or_default();
    incoming(status, reason.into(), fields, switching, pseudonym)
}

/// The head of any response, from a gateway or from a server dialled directly.
///
/// # Errors
/// As [`from_gateway`].
pub(crate) fn incoming(
    status: StatusCode,
    reason: Box<[u8]>,
    raw: Fields,
    switching: bool,
    pseudonym: &Pseudonym,
) -> Result<Incoming, BadReply> {
    let switched = switching && status == StatusCode::SWITCHING_PROTOCOLS;
    if status.is_informational() && !switched {
        return Err(BadReply("The answer has an interim status and no final one."));
    }
    let length = if status == StatusCode::NO_CONTENT { None } else { reply_length(&raw)? };
    let mut fields = travelling(raw, switched);
    if let Some(length) = length
        && fields.all("content-length").count() > 1
    {
        fields.set("Content-Length", length.to_string().as_bytes());
    }
    if status == StatusCode::NO_CONTENT || switched {
        fields.remove("content-length");
    }
    fields.push(b"Via", pseudonym.via(Version::HTTP_11));
    Ok(Incoming { status, reason, fields, length })
}

/// Takes the hop-by-hop fields off a response; after a switch `Upgrade` stays and Connection
/// names it.
fn travelling(raw: Fields, switched: bool) -> Fields {
    if !raw.iter().any(|(name, _)| is_hop_by_hop(name)) {
        return raw;
    }
    let mut fields: Fields = end_to_end(&raw).collect();
    if let Some(upgrade) = raw.get("upgrade").filter(|_| switched) {
        fields.push(b"Upgrade", upgrade);
        fields.push(b"Connection", b"Upgrade");
    }
    fields
}

/// Repeated equal lengths become one; anything unclear is refused (RFC 9112 section 6.3).
fn reply_length(fields: &Fields) -> Result<Option<u64>, BadReply> {
    let mut lengths = fields.all("content-length");
    let Some(first) = lengths.next() else {
        return Ok(None);
    };
    match parse_length(first) {
        Some(length) if lengths.all(|other| other == first) => Ok(Some(length)),
        _ => Err(BadReply("The length of the answer is ambiguous.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list_of(fields: &[(&str, &str)]) -> Fields {
        fields.iter().copied().collect()
    }

    /// The fields of a forwarded request, in the form `Name: value`.
    fn sent(target: &str, fields: &[(&str, &str)], upgrade: bool) -> Vec<String> {
        let lines: String = fields.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
        let head = format!("GET {target} HTTP/1.0\r\n{lines}\r\n");
        let (request, _) =
            seacat_http1::RequestReader::default().read(head.as_bytes()).unwrap().unwrap();
        let pseudonym = Pseudonym::new("me".into());
        let outgoing = Outgoing {
            request: &request,
            host: None,
            connection: Some(7),
            upgrade,
            empty: false,
            max_forwards: None,
            pseudonym: &pseudonym,
        };
        let head = outgoing.seacat("erp", "GET", b"/").unwrap();
        assert_eq!(head.connection(), Some(7));
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        head.fields().map(|(name, value)| format!("{}: {}", text(name), text(value))).collect()
    }

    #[test]
    fn hop_by_hop_fields_and_our_own_stay_behind() {
        for field in [
            ("host", "erp"),
            ("connection", "close"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic eDp5"),
            ("te", "trailers"),
            ("trailer", "x-sum"),
            ("upgrade", "websocket"),
            ("expect", "100-continue"),
            ("x-sc-host", "erp"),
            ("X_Forwarded_For", "6.6.6.6"),
            ("Transfer_Encoding", "chunked"),
        ] {
            assert_eq!(sent("/", &[field], false), ["Via: 1.0 me"], "{field:?}");
        }
    }

    #[test]
    fn end_to_end_fields_keep_their_spelling_and_repeat() {
        let fields = [
            ("SOAPAction", "x"),
            ("ETag", "y"),
            ("x-a", "1"),
            ("x-a", "2"),
            ("DNT", ""),
            ("via", "1.0 other"),
            ("proxy-status", "elsewhere"),
        ];
        let expected = [
            "SOAPAction: x",
            "ETag: y",
            "x-a: 1",
            "x-a: 2",
            "DNT: ",
            "via: 1.0 other",
            "proxy-status: elsewhere",
            "Via: 1.0 me",
        ];
        assert_eq!(sent("/", &fields, false), expected);
    }

    #[test]
    fn upgrade_is_kept_when_wanted_and_connection_never() {
        let fields = [("connection", "Upgrade"), ("upgrade", "websocket")];
        assert_eq!(sent("/", &fields, true), ["Upgrade: websocket", "Via: 1.0 me"]);
    }

    #[test]
    fn user_information_becomes_authorization_where_there_is_none() {
        for (user, expected) in [
            ("ann:pw@", Some("Authorization: Basic YW5uOnB3")),
            ("ann@", Some("Authorization: Basic YW5uOg==")),
            ("ann:p%40w%3@", Some("Authorization: Basic YW5uOnBAdyUz")),
            ("@", None),
            ("", None),
        ] {
            let found = sent(&format!("http://{user}erp/"), &[], false);
            assert_eq!(found.get(1).map(String::as_str), expected, "{user}");
        }
        let own = sent("http://ann:pw@erp/", &[("authorization", "Bearer x")], false);
        assert_eq!(own, ["authorization: Bearer x", "Via: 1.0 me"]);
    }

    #[test]
    fn a_direct_request_gets_its_host_and_the_same_fields() {
        let head = b"GET / HTTP/1.0\r\nHost: wrong\r\nAccept: */*\r\nUpgrade: x\r\n\r\n";
        let (request, _) = seacat_http1::RequestReader::default().read(head).unwrap().unwrap();
        let pseudonym = Pseudonym::new("me".into());
        let outgoing = Outgoing {
            request: &request,
            host: Some(b"Right:81"),
            connection: None,
            upgrade: true,
            empty: true,
            max_forwards: Some(4),
            pseudonym: &pseudonym,
        };
        let head = outgoing.http(&Method::GET, b"/a", false);
        let expected = "GET /a HTTP/1.1\r\nHost: Right:81\r\nAccept: */*\r\nMax-Forwards: 4\r\n\
             Content-Length: 0\r\nUpgrade: x\r\nVia: 1.0 me\r\nConnection: Upgrade\r\n\r\n";
        assert_eq!(std::str::from_utf8(&head).unwrap(), expected);
    }

    #[test]
    fn own_via_is_recognised() {
        let me = Pseudonym::new("seacat-proxy-0badcafe".into());
        for (value, expected) in [
            ("1.1 seacat-proxy-0badcafe", true),
            ("1.0 a, 1.1 SEACAT-proxy-0badcafe (comment)", true),
            ("1.1 seacat-proxy-0badcaff", false),
            ("seacat-proxy-0badcafe", false),
            ("1.1 x (seacat-proxy-0badcafe)", false),
        ] {
            assert_eq!(me.is_in(&list_of(&[("via", value)])), expected, "{value}");
        }
        assert!(me.is_in(&list_of(&[("via", "1.1 a"), ("Via", "1.1 seacat-proxy-0badcafe")])));
    }

    fn reply(status: u16, fields: &[(&[u8], &[u8])]) -> Result<Incoming, BadReply> {
        let mut head = ReplyHead::new(status);
        for (name, value) in fields {
            head.push(name, value).unwrap();
        }
        from_gateway(&head, true, &Pseudonym::new("me".into()))
    }

    #[test]
    fn replies_lose_hop_by_hop_fields_and_keep_the_rest() {
        let incoming = reply(
            200,
            &[
                (b"Set-Cookie", b"a=1"),
                (b"Transfer-Encoding", b"chunked"),
                (b"Connection", b"X-Hop"),
                (b"X-Hop", b"1"),
                (b"Proxy-Authenticate", b"Basic"),
                (b"Set-Cookie", b"b=2"),
                (b"Content-Length", b"5"),
                (b"Content-Length", b"5"),
            ],
        )
        .unwrap();
        assert_eq!(incoming.length, Some(5));
        let fields: Vec<_> = incoming.fields.iter().collect();
        let expected: [(&[u8], &[u8]); 4] = [
            (b"Set-Cookie", b"a=1"),
            (b"Set-Cookie", b"b=2"),
            (b"Content-Length", b"5"),
            (b"Via", b"1.1 me"),
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn a_reason_phrase_is_kept_if_it_can_be_written() {
        for (sent, kept) in [("Gone fishing", "Gone fishing"), ("a\r\nb", ""), ("", "")] {
            let head = ReplyHead::with_reason(404, sent.as_bytes()).unwrap();
            let incoming = from_gateway(&head, true, &Pseudonym::new("me".into())).unwrap();
            assert_eq!(&*incoming.reason, kept.as_bytes(), "{sent:?}");
        }
    }

    #[test]
    fn replies_that_would_break_the_framing_are_refused() {
        let cases: &[(u16, &[u8], &[u8])] = &[
            (200, b"X-A", b"1\r\nSet-Cookie: evil=1"),
            (200, b"X-A", b"1\nb"),
            (200, b"X-A", b"1\rb"),
            (200, b"X-A", b"1\0b"),
            (200, b"X A", b"1"),
            (200, b"X-A\r\nB", b"1"),
            (200, b"", b"1"),
            (200, b"Content-Length", b"+5"),
            (200, b"Content-Length", b"5,5"),
            (200, b"Content-Length", b""),
            (99, b"X-A", b"1"),
            (0, b"X-A", b"1"),
            (1000, b"X-A", b"1"),
            (100, b"X-A", b"1"),
            (103, b"X-A", b"1"),
        ];
        for (status, name, value) in cases {
            let result = reply(*status, &[(name, value)]);
            assert!(result.is_err(), "{status} {name:?} {value:?}");
        }
        let differing = reply(200, &[(b"Content-Length", b"5"), (b"Content-Length", b"6")]);
        assert!(differing.is_err());
    }

    #[test]
    fn a_204_has_no_length_and_a_switch_keeps_its_upgrade_field() {
        let no_content = reply(204, &[(b"Content-Length", b"x")]).unwrap();
        assert!(no_content.length.is_none() && !no_content.fields.contains("content-length"));
        let incoming =
            reply(101, &[(b"Upgrade", b"websocket"), (b"Content-Length", b"0")]).unwrap();
        assert_eq!(incoming.fields.get("upgrade"), Some(&b"websocket"[..]));
        assert_eq!(incoming.fields.get("connection"), Some(&b"Upgrade"[..]));
        assert!(!incoming.fields.contains("content-length"));
        let mut head = ReplyHead::new(101);
        head.push(b"Upgrade", b"websocket").unwrap();
        assert!(from_gateway(&head, false, &Pseudonym::new("me".into())).is_err());
    }
}
