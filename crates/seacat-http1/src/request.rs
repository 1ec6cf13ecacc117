//! The strict reading of a request head, line by line (RFC 9112 sections 2 to 6).

use http::{Method, Version};
use memchr::memchr;

use crate::authority::{Authority, split_user_information};
use crate::fields::{Fields, is};
use crate::framing::{Framing, of_request};
use crate::line;
use crate::syntax::{TOKEN, all, is_token};
use crate::target::Target;
use crate::violation::{Rule, Violation, refuse};

/// A head may be this long, its end included: twice what fits into a SeaCat frame, so that the
/// fields that are taken off (Host, Proxy-…) never decide.
pub const MAX_REQUEST_HEAD: usize = 32 * 1024;
/// A request line may be this long: 8 KiB of target (as nginx and Apache allow; RFC 9112
/// section 3 asks for 8000) and room for the method and the version.
pub const MAX_REQUEST_LINE: usize = 8 * 1024 + 64;
/// A method may be this long; the longest registered one has 17 letters.
const MAX_METHOD: usize = 32;
/// A head may have this many fields: twice what a busy browser sends.
pub const MAX_REQUEST_FIELDS: usize = 200;
/// Room made at once for the fields of an ordinary request.
const USUAL_FIELDS: usize = 16;
/// The first byte of a TLS record that carries a handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// A head that can be understood in one way only.
#[derive(Debug, Clone)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The target.
    pub target: Target,
    /// HTTP/1.0 or HTTP/1.1. A later 1.x counts as 1.1 (RFC 9110 section 2.5).
    pub version: Version,
    /// The fields as they came. Host, if it is there, is there once and valid, and has lost its
    /// user information.
    pub fields: Fields,
    /// What follows the head.
    pub framing: Framing,
}

/// A head on its way in. Looks at each line once, as soon as it is complete, so that a head gets
/// the same verdict whether it comes in one read or byte by byte.
#[derive(Debug, Default)]
pub struct RequestReader {
    /// Where the first line that is not yet read begins.
    line: usize,
    /// How far the search for its end has come.
    searched: usize,
    /// The one empty line allowed before a request has been seen (RFC 9112 section 2.2).
    blank_seen: bool,
    request_line: Option<(Method, Target, Version)>,
    fields: Fields,
}

impl RequestReader {
    /// Reads on in `bytes`, which begin where the head begins and have grown since the last
    /// call. Returns the head and its length once it is complete; the reader is spent then.
    ///
    /// # Errors
    /// The rule that the head breaks.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Option<(RequestHead, usize)>, Violation> {
        loop {
            if self.request_line.is_none()
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
                return refuse(Rule::Syntax, "A line of the head ends in LF without CR.");
            };
            if self.request_line.is_none() {
                self.request_line_or_blank(line, bytes.len())?;
            } else if line.is_empty() {
                return self.finish().map(|head| head.map(|head| (head, end)));
            } else {
                self.field_line(line)?;
            }
        }
    }

    /// Whether the client owes the rest of a head, of which `bytes` have come: more than an
    /// empty line.
    #[must_use]
    pub fn has_begun(&self, bytes: &[u8]) -> bool {
        self.request_line.is_some() || bytes.len() > 2
    }

    fn check_length(&self, end: usize) -> Result<(), Violation> {
        if self.request_line.is_none() && end - self.line > MAX_REQUEST_LINE {
            return refuse(Rule::TargetTooLong, "The request line is longer than 8 KiB.");
        }
        if end > MAX_REQUEST_HEAD {
            return refuse(Rule::HeadTooLarge, "The head is longer than 32 KiB.");
        }
        Ok(())
    }

    fn request_line_or_blank(&mut self, line: &[u8], there: usize) -> Result<(), Violation> {
        if line.is_empty() {
            if self.blank_seen {
                return refuse(Rule::Syntax, "Empty lines come before the request.");
            }
            self.blank_seen = true;
            return Ok(());
        }
        self.request_line = Some(request_line(line)?);
        self.fields = Fields::with_capacity(USUAL_FIELDS, there.saturating_sub(line.len()));
        Ok(())
    }

    fn field_line(&mut self, line: &[u8]) -> Result<(), Violation> {
        if self.fields.len() == MAX_REQUEST_FIELDS {
            return refuse(Rule::HeadTooLarge, "The head has more than 200 fields.");
        }
        let (name, value) = line::split(line, self.fields.is_empty())?;
        let value = if is(name, "host") { self.host(value)? } else { value };
        self.fields.push(name, value);
        Ok(())
    }

    /// The value of Host. In front of an absolute-form target it is not used (RFC 9112 section
    /// 3.2.2), so user information, which urllib repeats in it, is taken off there.
    fn host<'a>(&self, value: &'a [u8]) -> Result<&'a [u8], Violation> {
        if self.fields.contains("host") {
            return refuse(Rule::Host, "The Host field comes twice.");
        }
        let absolute = self.request_line.as_ref().is_some_and(|(method, target, _)| {
            *method != Method::CONNECT && target.authority().is_some()
        });
        let host = if absolute { split_user_information(value).1 } else { value };
        match Authority::parse(host) {
            Some(_) => Ok(host),
            None => refuse(Rule::Host, "The Host field is not a host name and port."),
        }
    }

    fn finish(&mut self) -> Result<Option<RequestHead>, Violation> {
        let Some((method, target, version)) = self.request_line.take() else { return Ok(None) };
        let fields = std::mem::take(&mut self.fields);
        if version != Version::HTTP_10 && !fields.contains("host") {
            return refuse(Rule::Host, "HTTP/1.1 requires a Host field.");
        }
        let framing = of_request(&method, version, &fields)?;
        Ok(Some(RequestHead { method, target, version, fields, framing }))
    }
}

/// `METHOD SP target SP HTTP/1.x` (RFC 9112 section 3).
fn request_line(line: &[u8]) -> Result<(Method, Target, Version), Violation> {
    let Some(method_end) = memchr(b' ', line) else {
        return refuse(Rule::Syntax, "The request line is not `METHOD target HTTP/1.1`.");
    };
    let (method, rest) = (&line[..method_end], &line[method_end + 1..]);
    if !is_token(method) {
        return refuse(Rule::Syntax, "The method is not a valid token.");
    }
    if method.len() > MAX_METHOD {
        return refuse(Rule::MethodTooLong, "The method is longer than 32 letters.");
    }
    let Some(target_end) = memchr(b' ', rest) else {
        return refuse(
            Rule::Protocol,
            "The request line has no version: this is HTTP/0.9, or not HTTP at all.",
        );
    };
    let (target, version) = (&rest[..target_end], &rest[target_end + 1..]);
    let version = match version {
        b"HTTP/1.0" => Version::HTTP_10,
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1'..=b'9'] => Version::HTTP_11,
        b"HTTP/2.0" if method == b"PRI" => {
            return refuse(Rule::Protocol, "The client began with the HTTP/2 preface.");
        }
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            return refuse(Rule::Version, "The version is not HTTP/1.1 or HTTP/1.0.");
        }
        _ => return refuse(Rule::Syntax, "The version is not written as `HTTP/1.1`."),
    };
    let Ok(method) = Method::from_bytes(method) else {
        return refuse(Rule::Syntax, "The method is not a valid token.");
    };
    let target = Target::parse(&method, target)?;
    Ok((method, target, version))
}

/// Recognises at the first byte what will never become a request, so that no TLS handshake has
/// to wait for the end of a line.
fn check_first_byte(first: u8) -> Result<(), Violation> {
    match first {
        TLS_HANDSHAKE => {
            refuse(Rule::Protocol, "The client began a TLS handshake on this plain HTTP port.")
        }
        b' ' | b'\t' => refuse(Rule::Syntax, "The request begins with a blank."),
        b'\n' => refuse(Rule::Syntax, "A line of the head ends in LF without CR."),
        b'\r' => Ok(()),
        _ if all(TOKEN, &[first]) => Ok(()),
        _ => refuse(Rule::Syntax, "The method is not a valid token."),
    }
}
