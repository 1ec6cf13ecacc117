//! Heads and chunks as bytes. Nothing is checked here: fields come from [`Fields`], whose values
//! cannot end a line.
//!
//! A head is written in parts: its start line, its fields, and [`end`]. Between them a caller
//! adds the fields that frame the body.

use std::fmt;
use std::io::Write as _;

use bytes::{BufMut, Bytes};
use http::{Method, StatusCode, Version};

use crate::fields::Fields;

/// The end of a body in the chunked coding, without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
/// The end of every chunk but the last.
pub const CHUNK_END: &[u8] = b"\r\n";
/// The interim response to `Expect: 100-continue`.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// `METHOD target HTTP/1.1`.
pub fn request_line(out: &mut impl BufMut, method: &Method, target: &[u8]) {
    out.put_slice(method.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(target);
    out.put_slice(b" HTTP/1.1\r\n");
}

/// `HTTP/1.1 200 OK`. With an empty `reason` the usual phrase of the status, if it has one.
pub fn status_line(out: &mut impl BufMut, version: Version, status: StatusCode, reason: &[u8]) {
    out.put_slice(if version == Version::HTTP_10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    out.put_slice(status.as_str().as_bytes());
    // The space is required even without a phrase (RFC 9112 section 4).
    out.put_u8(b' ');
    let usual = status.canonical_reason().unwrap_or_default().as_bytes();
    out.put_slice(if reason.is_empty() { usual } else { reason });
    out.put_slice(b"\r\n");
}

/// `Name: value`.
pub fn field(out: &mut impl BufMut, name: &[u8], value: &[u8]) {
    out.put_slice(name);
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}

/// All fields, in their order and spelling.
pub fn fields(out: &mut impl BufMut, fields: &Fields) {
    for (name, value) in fields.iter() {
        field(out, name, value);
    }
}

/// `Content-Length: n`.
pub fn content_length(out: &mut impl BufMut, length: u64) {
    out.put_slice(b"Content-Length: ");
    // Every u64 has at most twenty digits.
    let mut digits = [0; 20];
    out.put_slice(written(&mut digits, format_args!("{length}")));
    out.put_slice(b"\r\n");
}

/// `Transfer-Encoding: chunked`.
pub fn chunked(out: &mut impl BufMut) {
    out.put_slice(b"Transfer-Encoding: chunked\r\n");
}

/// The empty line that ends a head.
pub fn end(out: &mut impl BufMut) {
    out.put_slice(b"\r\n");
}

/// The line in front of a chunk of so many bytes; [`CHUNK_END`] follows them. Not for 0 bytes:
/// that would be the last chunk.
#[must_use]
pub fn chunk_size(length: usize) -> Bytes {
    debug_assert!(length > 0);
    // 16 digits and CR LF.
    let mut line = [0; 18];
    Bytes::copy_from_slice(written(&mut line, format_args!("{length:X}\r\n")))
}

/// The part of `buffer` that the text fills. It is as large as the longest number.
fn written<'a>(room: &'a mut [u8], text: fmt::Arguments<'_>) -> &'a [u8] {
    let mut rest = &mut room[..];
    // It fits.
    let _ = rest.write_fmt(text);
    let left = rest.len();
    &room[..room.len() - left]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_keep_the_spelling_of_names() {
        let list: Fields =
            [("SOAPAction", "\"\""), ("ETag", "x"), ("X-Empty", "")].into_iter().collect();
        let mut out = Vec::new();
        request_line(&mut out, &Method::POST, b"/a?\"b\"");
        fields(&mut out, &list);
        content_length(&mut out, u64::MAX);
        chunked(&mut out);
        end(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "POST /a?\"b\" HTTP/1.1\r\nSOAPAction: \"\"\r\nETag: x\r\nX-Empty: \r\n\
             Content-Length: 18446744073709551615\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
    }

    #[test]
    fn status_lines_have_the_phrase_that_came_or_the_usual_one() {
        for (version, status, reason, line) in [
            (Version::HTTP_11, 200, "", "HTTP/1.1 200 OK\r\n"),
            (Version::HTTP_10, 404, "Gone fishing", "HTTP/1.0 404 Gone fishing\r\n"),
            (Version::HTTP_11, 299, "", "HTTP/1.1 299 \r\n"),
        ] {
            let mut out = Vec::new();
            let status = StatusCode::from_u16(status).unwrap();
            status_line(&mut out, version, status, reason.as_bytes());
            assert_eq!(String::from_utf8(out).unwrap(), line);
        }
    }

    #[test]
    fn chunks() {
        assert_eq!(chunk_size(10), "A\r\n");
        assert_eq!(chunk_size(usize::MAX), "FFFFFFFFFFFFFFFF\r\n");
    }
}
