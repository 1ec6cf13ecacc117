//! The strict reading of a request head, line by line (RFC 9112 sections 2 to 6).
//!
//! [`HeadScan`] looks at each line once, as soon as it is complete, and remembers the little
//! that decides how the message is framed. It never allocates and never looks back, so a head
//! gets the same verdict whether it comes in one read or byte by byte.

use memchr::memchr;

use crate::errors::Code;
use crate::headers::names;
use crate::syntax::{PATH, QUERY, TOKEN, VALUE, all, authority, list, trim};

/// A head may be this long, its end included: twice what fits into a SeaCat frame, so that the
/// fields we take off (Host, Proxy-…) never decide.
pub(crate) const MAX_HEAD: usize = 32 * 1024;
/// A request line may be this long: 8 KiB of target (as nginx and Apache allow; RFC 9112
/// section 3 asks for 8000) and room for the method and the version.
pub(crate) const MAX_REQUEST_LINE: usize = 8 * 1024 + 64;
/// A method may be this long; the longest registered one has 17 letters.
const MAX_METHOD: usize = 32;
/// A head may have this many fields: twice what a busy browser sends.
pub(crate) const MAX_FIELDS: u16 = 200;
/// The first byte of a TLS record that carries a handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// Why a message is not taken: the row of the error table and what was seen, a full sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reject {
    pub(crate) code: Code,
    pub(crate) what: &'static str,
}

fn reject<T>(code: Code, what: &'static str) -> Result<T, Reject> {
    Err(Reject { code, what })
}

/// How the body after a valid head is framed (RFC 9112 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// This many bytes, or none.
    Length(u64),
    Chunked,
    /// CONNECT, or Upgrade without a body: what follows is not HTTP any more.
    Tunnel,
}

/// A head on its way in.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct HeadScan {
    /// Where the first line that is not yet read begins.
    line: usize,
    /// How far the search for its end has come.
    searched: usize,
    /// The one empty line allowed before a request has been seen (RFC 9112 section 2.2).
    blank_seen: bool,
    request_line_seen: bool,
    fields: u16,
    connect: bool,
    http_10: bool,
    host: bool,
    length: Option<u64>,
    chunked: bool,
    /// `Upgrade` asks for something worth a tunnel.
    upgrade: bool,
    /// `Connection` names `Upgrade`.
    upgrade_named: bool,
}

impl HeadScan {
    /// Reads on in `bytes`, which begin where the head begins and have grown since the last
    /// call. `Some((length, framing))` when the head is complete and valid.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Result<Option<(usize, Framing)>, Reject> {
        loop {
            if !self.request_line_seen
                && let Some(&first) = bytes.get(self.line)
            {
                check_first_byte(first)?;
            }
            let found = memchr(b'\n', &bytes[self.searched..]);
            let end = found.map_or(bytes.len(), |at| self.searched + at + 1);
            self.check_length(end)?;
            self.searched = end;
            if found.is_none() {
                return Ok(None);
            }
            let line = &bytes[self.line..end - 1];
            self.line = end;
            let Some(line) = line.strip_suffix(b"\r") else {
                return reject(Code::BadRequest, "A line of the head ends in LF without CR.");
            };
            if !self.request_line_seen {
                self.request_line_or_blank(line)?;
            } else if line.is_empty() {
                return self.framing().map(|framing| Some((end, framing)));
            } else {
                self.field_line(line)?;
            }
        }
    }

    /// Whether anything but an empty line has come: whether somebody waits for the rest.
    pub(crate) fn begun(&self, bytes: &[u8]) -> bool {
        self.request_line_seen || bytes.len() > 2
    }

    fn check_length(&self, end: usize) -> Result<(), Reject> {
        if !self.request_line_seen && end - self.line > MAX_REQUEST_LINE {
            return reject(Code::TargetTooLong, "The request line is longer than 8 KiB.");
        }
        if end > MAX_HEAD {
            return reject(Code::HeadTooLarge, "The head is longer than 32 KiB.");
        }
        Ok(())
    }

    fn request_line_or_blank(&mut self, line: &[u8]) -> Result<(), Reject> {
        if line.is_empty() {
            if self.blank_seen {
                return reject(Code::BadRequest, "Empty lines come before the request.");
            }
            self.blank_seen = true;
            return Ok(());
        }
        self.request_line_seen = true;
        self.request_line(line)
    }

    /// `METHOD SP target SP HTTP/1.x` (RFC 9112 section 3).
    fn request_line(&mut self, line: &[u8]) -> Result<(), Reject> {
        let Some(method_end) = memchr(b' ', line) else {
            return reject(Code::BadRequest, "The request line is not `METHOD target HTTP/1.1`.");
        };
        let (method, rest) = (&line[..method_end], &line[method_end + 1..]);
        if method.is_empty() || method.len() > MAX_METHOD || !all(TOKEN, method) {
            return reject(Code::BadRequest, "The method is not a valid token.");
        }
        let Some(target_end) = memchr(b' ', rest) else {
            return reject(
                Code::NotHttp,
                "The request line has no version: this is HTTP/0.9, or not HTTP at all.",
            );
        };
        let (target, version) = (&rest[..target_end], &rest[target_end + 1..]);
        self.http_10 = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            b"HTTP/2.0" if method == b"PRI" => {
                return reject(Code::NotHttp, "The client began with the HTTP/2 preface.");
            }
            [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
                return reject(Code::Version, "The version is neither HTTP/1.1 nor HTTP/1.0.");
            }
            _ => {
                return reject(Code::BadRequest, "The version is not written as `HTTP/1.1`.");
            }
        };
        self.connect = method == b"CONNECT";
        check_target(method, target)
    }

    /// `name ":" OWS value OWS` (RFC 9112 section 5).
    fn field_line(&mut self, line: &[u8]) -> Result<(), Reject> {
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            return reject(Code::HeadTooLarge, "The head has more than 200 fields.");
        }
        let (name, value) = split_field(line, self.fields == 1)?;
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name.len() {
            4 if is("host") => self.host_field(value),
            7 if is("upgrade") => {
                self.upgrade |= is_upgrade(value);
                Ok(())
            }
            10 if is("connection") => {
                self.upgrade_named |= names(value, b"upgrade");
                Ok(())
            }
            14 if is("content-length") => self.length_field(value),
            17 if is("transfer-encoding") => self.encoding_field(value),
            _ => Ok(()),
        }
    }

    fn host_field(&mut self, value: &[u8]) -> Result<(), Reject> {
        if self.host {
            return reject(Code::BadHost, "The Host field comes twice.");
        }
        self.host = true;
        match authority(value) {
            Some(_) => Ok(()),
            None => reject(Code::BadHost, "The Host field is not a host name and port."),
        }
    }

    fn length_field(&mut self, value: &[u8]) -> Result<(), Reject> {
        if self.length.is_some() {
            return reject(Code::AmbiguousLength, "Content-Length comes twice.");
        }
        self.length = parse_length(value);
        match self.length {
            Some(_) => Ok(()),
            None => reject(Code::AmbiguousLength, "Content-Length is not one plain number."),
        }
    }

    fn encoding_field(&mut self, value: &[u8]) -> Result<(), Reject> {
        if self.http_10 {
            return reject(Code::AmbiguousLength, "HTTP/1.0 has no Transfer-Encoding.");
        }
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return reject(
                Code::AmbiguousLength,
                "Transfer-Encoding is something else than one `chunked`.",
            );
        }
        self.chunked = true;
        Ok(())
    }

    /// The head is complete: is it consistent, and what follows it?
    fn framing(&self) -> Result<Framing, Reject> {
        if !self.host && !self.http_10 {
            return reject(Code::BadHost, "HTTP/1.1 requires a Host field.");
        }
        match (self.chunked, self.length) {
            (true, Some(_)) => {
                reject(Code::AmbiguousLength, "Content-Length and Transfer-Encoding come together.")
            }
            (true, None) | (false, Some(1..)) if self.connect => {
                reject(Code::BadRequest, "A CONNECT request has no body.")
            }
            (true, None) => Ok(Framing::Chunked),
            (false, Some(length @ 1..)) => Ok(Framing::Length(length)),
            (false, _) if self.connect => Ok(Framing::Tunnel),
            (false, _) if self.upgrade && self.upgrade_named && !self.http_10 => {
                Ok(Framing::Tunnel)
            }
            (false, _) => Ok(Framing::Length(0)),
        }
    }
}

/// Tells apart at the first byte what will never become a request, so that nobody waits for
/// the end of a line in a TLS handshake.
fn check_first_byte(first: u8) -> Result<(), Reject> {
    match first {
        TLS_HANDSHAKE => {
            reject(Code::NotHttp, "The client began a TLS handshake on this plain HTTP port.")
        }
        b' ' | b'\t' => reject(Code::BadRequest, "The request begins with a blank."),
        b'\n' => reject(Code::BadRequest, "A line of the head ends in LF without CR."),
        b'\r' => Ok(()),
        _ if all(TOKEN, &[first]) => Ok(()),
        _ => reject(Code::BadRequest, "The method is not a valid token."),
    }
}

/// The request target in its four forms (RFC 9112 section 3.2).
fn check_target(method: &[u8], target: &[u8]) -> Result<(), Reject> {
    if method == b"CONNECT" {
        return match authority(target) {
            Some((_, Some(1..))) => Ok(()),
            _ => reject(Code::BadTarget, "The target of CONNECT is not `host:port`."),
        };
    }
    match target {
        b"*" if method == b"OPTIONS" => Ok(()),
        [b'/', ..] => check_path(target),
        _ => check_absolute(target),
    }
}

fn check_absolute(target: &[u8]) -> Result<(), Reject> {
    let Some(scheme_end) = memchr::memmem::find(target, b"://") else {
        return reject(Code::BadTarget, "The target is neither `http://host/path` nor `/path`.");
    };
    let scheme = &target[..scheme_end];
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"ws") {
        return reject(Code::Scheme, "The scheme of the target is not http.");
    }
    let rest = &target[scheme_end + 3..];
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    if memchr(b'@', host).is_some() {
        return reject(Code::BadTarget, "The target carries a user name.");
    }
    if authority(host).is_none() {
        return reject(Code::BadTarget, "The host in the target is not valid.");
    }
    check_path(path)
}

/// `path [ "?" query ]`, with no fragment.
fn check_path(text: &[u8]) -> Result<(), Reject> {
    if memchr(b'#', text).is_some() {
        return reject(Code::BadTarget, "The target has a fragment.");
    }
    let (path, query) = text.split_at(memchr(b'?', text).unwrap_or(text.len()));
    if !all(PATH, path) || !all(QUERY, query) {
        return reject(Code::BadTarget, "The target has a character that must be percent-encoded.");
    }
    Ok(())
}

/// Splits and checks one field line. Used for trailers too.
pub(crate) fn split_field(line: &[u8], first: bool) -> Result<(&[u8], &[u8]), Reject> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return reject(
            Code::BadRequest,
            if first {
                "A blank line with spaces stands before the first field."
            } else {
                "A field is folded over two lines."
            },
        );
    }
    let Some(colon) = memchr(b':', line) else {
        return reject(Code::BadRequest, "A line of the head has no colon.");
    };
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() || !all(TOKEN, name) {
        return reject(
            Code::BadRequest,
            if matches!(name.last(), Some(b' ' | b'\t')) {
                "A blank stands between a field name and its colon."
            } else {
                "A field name is not a valid token."
            },
        );
    }
    if !all(VALUE, value) {
        return reject(Code::BadRequest, "A field value has a control character.");
    }
    Ok((name, trim(value)))
}

/// A Content-Length: digits and nothing else, at most 2^63 - 1.
pub(crate) fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length = std::str::from_utf8(value).ok()?.parse().ok()?;
    (length <= i64::MAX as u64).then_some(length)
}

/// Whether an `Upgrade` value asks for a protocol we would tunnel. `h2c` alone is not one: it
/// is deprecated (RFC 9113 section 3.1), polite clients offer it with every first request, and
/// ignoring it is always right.
pub(crate) fn is_upgrade(value: &[u8]) -> bool {
    list(value).any(|protocol| !protocol.eq_ignore_ascii_case(b"h2c"))
}
