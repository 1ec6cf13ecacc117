//! The two heads of an exchange with a client, whoever reads and writes them: hyper, or the short
//! way.

use http::request::Parts;
use http::{Method, StatusCode, Version};
use memchr::memchr;

use crate::fields::Fields;
use crate::syntax::trim;

/// A head that the gate has found valid.
pub(crate) struct RequestHead {
    pub(crate) method: Method,
    /// The target as typed, in any of its four forms (RFC 9112 section 3.2).
    pub(crate) target: String,
    pub(crate) version: Version,
    pub(crate) fields: Fields,
}

impl RequestHead {
    /// Takes a head apart that [`HeadScan`](crate::head::HeadScan) has found valid. `None`: it is
    /// not, after all.
    pub(crate) fn read(head: &[u8]) -> Option<Self> {
        let mut lines = Lines(head);
        let line = lines.find(|line| !line.is_empty())?;
        let (method, rest) = line.split_at(memchr(b' ', line)?);
        let (target, version) = rest[1..].split_at(memchr(b' ', &rest[1..])?);
        let mut fields = Fields::with_capacity(16, head.len());
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_at(memchr(b':', line)?);
            fields.push(name, trim(&value[1..]));
        }
        Some(RequestHead {
            method: Method::from_bytes(method).ok()?,
            target: std::str::from_utf8(target).ok()?.to_owned(),
            version: if version == b" HTTP/1.0" { Version::HTTP_10 } else { Version::HTTP_11 },
            fields,
        })
    }
}

/// An answer before it is framed.
pub(crate) struct Reply<B> {
    pub(crate) status: StatusCode,
    pub(crate) fields: Fields,
    pub(crate) body: B,
}

impl<B> Reply<B> {
    pub(crate) fn new(status: StatusCode, fields: Fields, body: B) -> Self {
        Reply { status, fields, body }
    }

    /// The same with another body.
    pub(crate) fn map<C>(self, change: impl FnOnce(B) -> C) -> Reply<C> {
        Reply { status: self.status, fields: self.fields, body: change(self.body) }
    }
}

/// For hyper to write.
impl<B> From<Reply<B>> for http::Response<B> {
    fn from(reply: Reply<B>) -> Self {
        let mut response = http::Response::new(reply.body);
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.fields.to_map();
        response
    }
}

/// What hyper has read.
impl From<Parts> for RequestHead {
    fn from(parts: Parts) -> Self {
        RequestHead {
            target: parts.uri.to_string(),
            version: parts.version,
            fields: Fields::from(&parts.headers),
            method: parts.method,
        }
    }
}

/// The lines of a head, without their ends.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (line, rest) = self.0.split_at(memchr(b'\n', self.0)?);
        self.0 = &rest[1..];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_taken_apart_as_it_was_typed() {
        let head =
            b"\r\nGET http://erp/a?b HTTP/1.0\r\nHost:erp\r\nX-Empty:\r\nx-a: \t1 2 \r\n\r\n";
        let head = RequestHead::read(head).unwrap();
        assert_eq!((head.method, head.target.as_str()), (Method::GET, "http://erp/a?b"));
        assert_eq!(head.version, Version::HTTP_10);
        let fields: Vec<_> = head.fields.iter().collect();
        assert_eq!(fields, [(&b"Host"[..], &b"erp"[..]), (b"X-Empty", b""), (b"x-a", b"1 2")]);
        assert!(RequestHead::read(b"GET /\r\n\r\n").is_none());
    }

    #[test]
    fn what_hyper_reads_means_the_same() {
        for target in ["/a?b", "*", "http://erp/a?b", "http://erp/", "erp:443"] {
            let (parts, ()) = http::Request::builder()
                .uri(target)
                .header("x-a", "1")
                .body(())
                .unwrap()
                .into_parts();
            let head = RequestHead::from(parts);
            assert_eq!(head.target, target);
            assert_eq!(head.fields.get("X-A"), Some(&b"1"[..]));
        }
    }
}
