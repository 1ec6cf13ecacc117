//! Which fields travel: ONE table of hop-by-hop rules, used in both directions and on every
//! route.
//!
//! What stays behind (RFC 9110 section 7.6.1): Connection and all it names, Keep-Alive,
//! Proxy-… (but not Proxy-Status), TE, Trailer, Transfer-Encoding, Upgrade. Of a request also
//! Host (the wire has its own place for it), Expect (answered here) and X-SC-HOST (meant for
//! us). `Via` is added both ways. Content-Length is never taken for hop-by-hop, whatever
//! Connection says.

use std::convert::Infallible;

use http::header::{HOST, HeaderMap, HeaderValue};
use http::{StatusCode, Version};
use seacat_proto::{HeadTooLarge, ReplyHead, RequestHead};

use crate::fields::{Fields, is};
use crate::head::parse_length;
use crate::syntax::{TOKEN, VALUE, all, list};

/// The field by which a client that can only send origin-form names its host.
pub(crate) const X_SC_HOST: &str = "x-sc-host";

/// Whether the comma-separated `value` has `token` among its members (RFC 9110 section 5.6.1).
pub(crate) fn names(value: &[u8], token: &[u8]) -> bool {
    list(value).any(|member| member.eq_ignore_ascii_case(token))
}

/// The table: fields for one connection only, whether or not Connection names them.
fn hop_by_hop(name: &[u8]) -> bool {
    const TABLE: [&str; 6] =
        ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];
    let proxy = name.get(..6).is_some_and(|start| is(start, "proxy-"));
    (proxy && !is(name, "proxy-status")) || TABLE.iter().any(|known| is(name, known))
}

/// Fields of a request that are used up here.
fn meant_for_us(name: &[u8]) -> bool {
    ["host", "expect", X_SC_HOST].iter().any(|known| is(name, known))
}

/// The fields that travel on, in order; `Via` is not added yet.
fn end_to_end(fields: &Fields) -> impl Iterator<Item = (&[u8], &[u8])> {
    let connection = fields.contains("connection");
    fields.iter().filter(move |(name, _)| {
        let named = connection
            && !is(name, "content-length")
            && fields.all("connection").any(|value| names(value, name));
        !named && !hop_by_hop(name)
    })
}

/// This proxy in a `Via` field: one name per process, so that a request that comes round again
/// is known (RFC 9110 section 7.6.3).
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
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub(crate) version: Version,
    pub(crate) fields: &'a Fields,
    /// Keep `Upgrade`: the answer may be a tunnel.
    pub(crate) upgrade: bool,
    /// `Max-Forwards`, already counted down, in place of the one that came.
    pub(crate) max_forwards: Option<u32>,
    pub(crate) pseudonym: &'a Pseudonym,
}

impl Outgoing<'_> {
    /// Every field as it goes out.
    fn each<E>(&self, mut put: impl FnMut(&[u8], &[u8]) -> Result<(), E>) -> Result<(), E> {
        for (name, value) in end_to_end(self.fields).filter(|(name, _)| !meant_for_us(name)) {
            if self.max_forwards.is_none() || !is(name, "max-forwards") {
                put(name, value)?;
            }
        }
        if let Some(count) = self.max_forwards {
            put(b"max-forwards", count.to_string().as_bytes())?;
        }
        if self.upgrade {
            for value in self.fields.all("upgrade") {
                put(b"upgrade", value)?;
            }
        }
        put(b"via", self.pseudonym.via(self.version))
    }

    /// The head for the channel. Names are written in Title-Case, as the reference peers do.
    ///
    /// # Errors
    /// It does not fit in one frame.
    pub(crate) fn seacat(
        &self,
        host: &str,
        method: &str,
        path: &str,
    ) -> Result<RequestHead, HeadTooLarge> {
        let mut head = RequestHead::builder(host.as_bytes(), method.as_bytes(), path.as_bytes())?;
        let mut title = Vec::with_capacity(32);
        self.each(|name, value| {
            title.clear();
            title_case(name, &mut title);
            head.push(&title, value)
        })?;
        Ok(head.build())
    }

    /// The fields for an HTTP server dialled directly, `host` being its Host field.
    pub(crate) fn http(&self, host: HeaderValue) -> HeaderMap {
        let mut fields = Fields::with_capacity(self.fields.len() + 2, 512);
        let Ok(()) = self.each(|name, value| {
            fields.push(name, value);
            Ok::<(), Infallible>(())
        });
        if self.upgrade {
            fields.push(b"connection", b"Upgrade");
        }
        let mut map = fields.to_map();
        map.insert(HOST, host);
        map
    }
}

/// Appends `content-type` as `Content-Type`.
pub(crate) fn title_case(name: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(name);
    let mut upper = true;
    for b in &mut out[start..] {
        *b = if upper { b.to_ascii_uppercase() } else { b.to_ascii_lowercase() };
        upper = *b == b'-';
    }
}

/// An answer's head, safe to be written to a client.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) status: StatusCode,
    pub(crate) fields: Fields,
    /// The `Content-Length`, if it has one.
    pub(crate) length: Option<u64>,
}

/// The answer's head cannot be passed on: a sentence that says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadReply(pub(crate) &'static str);

/// The head of a gateway's answer. `switching`: 101 is one of the statuses it may have.
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
        if name.is_empty() || !all(TOKEN, name) {
            return Err(BadReply("The gateway's answer has a field with an invalid name."));
        }
        if !all(VALUE, value) {
            return Err(BadReply(
                "The gateway's answer has a field value with a control character.",
            ));
        }
        fields.push(name, value);
    }
    incoming(status, fields, switching, pseudonym)
}

/// The head of any answer, from a gateway or from a server dialled directly.
pub(crate) fn incoming(
    status: StatusCode,
    raw: Fields,
    switching: bool,
    pseudonym: &Pseudonym,
) -> Result<Incoming, BadReply> {
    let switched = switching && status == StatusCode::SWITCHING_PROTOCOLS;
    if status.is_informational() && !switched {
        return Err(BadReply("The answer has an interim status and no final one."));
    }
    let length = reply_length(&raw)?;
    let mut fields = travelling(raw, switched);
    if let Some(length) = length
        && fields.all("content-length").count() > 1
    {
        fields.set("content-length", length.to_string().as_bytes());
    }
    if status == StatusCode::NO_CONTENT || switched {
        fields.remove("content-length");
    }
    fields.push(b"via", pseudonym.via(Version::HTTP_11));
    Ok(Incoming { status, fields, length })
}

/// Takes the hop-by-hop fields off an answer; after a switch `Upgrade` stays and Connection
/// names it.
fn travelling(raw: Fields, switched: bool) -> Fields {
    if !raw.iter().any(|(name, _)| hop_by_hop(name)) {
        return raw;
    }
    let mut fields: Fields = end_to_end(&raw).collect();
    if let Some(upgrade) = raw.get("upgrade").filter(|_| switched) {
        fields.push(b"upgrade", upgrade);
        fields.push(b"connection", b"Upgrade");
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

    fn sent(fields: &[(&str, &str)], upgrade: bool) -> Vec<(String, String)> {
        let fields = list_of(fields);
        let pseudonym = Pseudonym::new("me".into());
        let outgoing = Outgoing {
            version: Version::HTTP_11,
            fields: &fields,
            upgrade,
            max_forwards: None,
            pseudonym: &pseudonym,
        };
        let head = outgoing.seacat("erp", "GET", "/").unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        head.fields().map(|(name, value)| (text(name), text(value))).collect()
    }

    #[test]
    fn hop_by_hop_fields_stay_behind() {
        for field in [
            ("host", "erp"),
            ("connection", "close"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic eDp5"),
            ("proxy-anything", "1"),
            ("te", "trailers"),
            ("trailer", "x-sum"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("expect", "100-continue"),
            ("x-sc-host", "erp"),
        ] {
            assert_eq!(sent(&[field], false), [("Via".into(), "1.1 me".into())], "{field:?}");
        }
    }

    #[test]
    fn end_to_end_fields_travel_in_title_case_and_repeat() {
        let fields = [
            ("accept", "*/*"),
            ("content-length", "5"),
            ("x-a", "1"),
            ("x-a", "2"),
            ("x-empty", ""),
            ("via", "1.0 other"),
            ("proxy-status", "elsewhere"),
        ];
        let expected = [
            ("Accept", "*/*"),
            ("Content-Length", "5"),
            ("X-A", "1"),
            ("X-A", "2"),
            ("X-Empty", ""),
            ("Via", "1.0 other"),
            ("Proxy-Status", "elsewhere"),
            ("Via", "1.1 me"),
        ];
        let expected = expected.map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(sent(&fields, false), expected);
    }

    #[test]
    fn connection_takes_what_it_names_but_not_the_length() {
        let fields = [
            ("connection", "X-Private, close"),
            ("connection", "content-length,cookie"),
            ("x-private", "1"),
            ("cookie", "2"),
            ("content-length", "3"),
        ];
        let expected = [("Content-Length", "3"), ("Via", "1.1 me")];
        assert_eq!(sent(&fields, false), expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn upgrade_is_kept_when_wanted_and_connection_never() {
        let fields = [("connection", "Upgrade"), ("upgrade", "websocket")];
        let expected = [("Upgrade", "websocket"), ("Via", "1.1 me")];
        assert_eq!(sent(&fields, true), expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn a_direct_request_gets_its_host_and_the_same_fields() {
        let fields = list_of(&[("host", "wrong"), ("accept", "*/*"), ("upgrade", "websocket")]);
        let pseudonym = Pseudonym::new("me".into());
        let outgoing = Outgoing {
            version: Version::HTTP_10,
            fields: &fields,
            upgrade: true,
            max_forwards: Some(4),
            pseudonym: &pseudonym,
        };
        let expected = list_of(&[
            ("host", "right:81"),
            ("accept", "*/*"),
            ("max-forwards", "4"),
            ("upgrade", "websocket"),
            ("via", "1.0 me"),
            ("connection", "Upgrade"),
        ]);
        assert_eq!(outgoing.http(HeaderValue::from_static("right:81")), expected.to_map());
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
            (b"content-length", b"5"),
            (b"via", b"1.1 me"),
        ];
        assert_eq!(fields, expected);
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
    fn a_switch_keeps_its_upgrade_field() {
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
