//! The tolerant reading of a response head (RFC 9112 sections 2 to 6).
//!
//! What old servers get wrong and the head can be read in spite of is mended here, once:
//!
//! | seen | done |
//! |-|-|
//! | LF without CR | ends the line (section 2.2) |
//! | empty lines before the status line | passed over |
//! | `ICY 200 OK` | a response of HTTP/1.0 |
//! | `HTTP/1.2` | counts as 1.1 (RFC 9110 section 2.5) |
//! | no reason phrase, no space before it | there is none |
//! | a blank before the first field | the line is ignored (section 2.2) |
//! | a folded field | joined with one space (section 5.2) |
//! | a blank before the colon | removed (section 5.1) |
//! | any number of fields | up to 64 KiB |

use http::{Method, StatusCode, Version};
use memchr::memchr;

use crate::fields::{Fields, is};
use crate::framing::{Framing, keeps_alive, of_response};
use crate::syntax::{VALUE, all, trim};
use crate::violation::{Rule, Violation, refuse};

/// A head may be this long: four times what fits into a SeaCat frame.
pub const MAX_RESPONSE_HEAD: usize = 64 * 1024;
/// Bytes of empty lines before a status line: what a script leaves behind its last body.
const MAX_BLANK: usize = 8;

/// The head of a response, safe to be written anew.
#[derive(Debug, Clone)]
pub struct ResponseHead {
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// The status, interim ones included.
    pub status: StatusCode,
    /// The reason phrase as it came, perhaps empty. It has no control characters.
    pub reason: Box<[u8]>,
    /// The fields as they came.
    pub fields: Fields,
}

impl ResponseHead {
    /// How the body is framed, `method` being the request's.
    ///
    /// # Errors
    /// Its length is not clear, or it has a transfer coding that is not undone here.
    pub fn framing(&self, method: &Method) -> Result<Framing, Violation> {
        of_response(method, self.status, &self.fields)
    }

    /// What is wrong with a status that a server must not send when it was not asked for another
    /// protocol: 101, which needs `upgrade`, and 407, which is a proxy's (RFC 9110 sections 15.2.2 and
    /// 15.5.8). The server is the subject of the sentence.
    #[must_use]
    pub fn unasked(&self, upgrade: bool) -> Option<&'static str> {
        match self.status {
            StatusCode::SWITCHING_PROTOCOLS if !upgrade => {
                Some("switched to a protocol that it was not asked for")
            }
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => Some(
                "answered 407, as only a proxy may: it wants credentials for itself as a proxy, and is \
                 used as a server",
            ),
            _ => None,
        }
    }

    /// Whether another response follows this one: 1xx, but not 101.
    #[must_use]
    pub fn is_interim(&self) -> bool {
        self.status.is_informational() && self.status != StatusCode::SWITCHING_PROTOCOLS
    }

    /// Whether the connection may carry another request after this response. Not after a
    /// response whose framing was mended: of a length beside chunks, or chunks in HTTP/1.0
    /// (RFC 9112 sections 6.1 and 6.3).
    #[must_use]
    pub fn keeps_alive(&self, framing: Framing) -> bool {
        let doubtful = framing == Framing::Chunked
            && (self.version == Version::HTTP_10 || self.fields.contains("content-length"));
        let ends = matches!(framing, Framing::Length(_) | Framing::Chunked);
        ends && !doubtful && keeps_alive(self.version, &self.fields)
    }
}

/// A head on its way in.
#[derive(Debug, Default)]
pub struct ResponseReader {
    /// Where the first line that is not yet read begins.
    line: usize,
    /// How far the search for its end has come.
    searched: usize,
    status_line: Option<(Version, StatusCode, Box<[u8]>)>,
    /// The last line was ignored, and so is what continues it.
    ignoring: bool,
    fields: Fields,
}

impl ResponseReader {
    /// Reads on in `bytes`, which begin where the head begins and have grown since the last
    /// call. Returns the head and its length once it is complete; the reader is then as new,
    /// for the head that follows an interim one.
    ///
    /// # Errors
    /// The rule that the head breaks, in a sentence about the response.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Option<(ResponseHead, usize)>, Violation> {
        loop {
            let found = memchr(b'\n', &bytes[self.searched..]);
            let end = found.map_or(bytes.len(), |at| self.searched + at + 1);
            if end > MAX_RESPONSE_HEAD {
                return refuse(Rule::HeadTooLarge, "The head of the response exceeds 64 KiB.");
            }
            self.searched = end;
            if found.is_none() {
                self.check_beginning(&bytes[self.line..])?;
                return Ok(None);
            }
            let line = &bytes[self.line..end - 1];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            self.line = end;
            match &self.status_line {
                None if line.is_empty() && end <= MAX_BLANK => {}
                None => {
                    self.status_line = Some(status_line(line)?);
                    self.fields = Fields::with_capacity(16, bytes.len().saturating_sub(end));
                }
                Some(_) if line.is_empty() => {
                    return Ok(self.finish().map(|head| (head, end)));
                }
                Some(_) => self.field_line(line)?,
            }
        }
    }

    /// Refuses a response that is no HTTP before its first line ends: a back end that speaks
    /// another protocol may wait for us.
    fn check_beginning(&self, line: &[u8]) -> Result<(), Violation> {
        let is_start = |known: &[u8]| line.iter().zip(known).all(|(a, b)| a == b);
        if self.status_line.is_some() || line.starts_with(b"\r") || is_start(b"HTTP/1.") {
            return Ok(());
        }
        if is_start(b"ICY ") { Ok(()) } else { no_http() }
    }

    fn field_line(&mut self, line: &[u8]) -> Result<(), Violation> {
        let continued = matches!(line.first(), Some(b' ' | b'\t'));
        if continued && (self.ignoring || self.fields.is_empty()) {
            return self.ignore(line);
        }
        self.ignoring = false;
        if continued {
            return self.continuation(trim(line));
        }
        let Some(colon) = memchr(b':', line) else {
            return refuse(Rule::Syntax, "The response has a line without a colon.");
        };
        let (name, value) = (trim(&line[..colon]), trim(&line[colon + 1..]));
        self.fields.push_checked(name, value).map_err(|_| Violation {
            rule: Rule::Syntax,
            what: if all(VALUE, value) {
                "The response has a field with an invalid name."
            } else {
                "The response has a field value with a control character."
            },
        })
    }

    /// A line before the first field that begins with a blank. Ignored, as section 2.2 demands,
    /// unless the end of the body could depend on it.
    fn ignore(&mut self, line: &[u8]) -> Result<(), Violation> {
        let name = trim(&line[..memchr(b':', line).unwrap_or(line.len())]);
        if is(name, "content-length") || is(name, "transfer-encoding") {
            return refuse(Rule::Length, "A blank stands before the length of the response.");
        }
        self.ignoring = true;
        Ok(())
    }

    fn continuation(&mut self, text: &[u8]) -> Result<(), Violation> {
        if !all(VALUE, text) {
            return refuse(
                Rule::Syntax,
                "The response has a field value with a control character.",
            );
        }
        self.fields.unfold(text);
        Ok(())
    }

    fn finish(&mut self) -> Option<ResponseHead> {
        let spent = std::mem::take(self);
        let (version, status, reason) = spent.status_line?;
        Some(ResponseHead { version, status, reason, fields: spent.fields })
    }
}

/// `HTTP/1.x SP status [ SP reason ]` (RFC 9112 section 4), or SHOUTcast's `ICY`.
fn status_line(line: &[u8]) -> Result<(Version, StatusCode, Box<[u8]>), Violation> {
    let (version, rest) = match line {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9', b' ', rest @ ..] => {
            (if *minor == b'0' { Version::HTTP_10 } else { Version::HTTP_11 }, rest)
        }
        [b'I', b'C', b'Y', b' ', rest @ ..] => (Version::HTTP_10, rest),
        _ => return no_http(),
    };
    let rest = trim(rest);
    let (code, reason) = rest.split_at(rest.len().min(3));
    let status = match reason {
        [] | [b' ', ..] => StatusCode::from_bytes(code).ok(),
        _ => None,
    };
    let Some(status) = status else {
        return refuse(Rule::Syntax, "The status of the response is not a number from 100 to 999.");
    };
    let reason = trim(reason);
    // A phrase that cannot be written again is no loss.
    let reason = if all(VALUE, reason) { reason } else { b"" };
    Ok((version, status, reason.into()))
}

fn no_http<T>() -> Result<T, Violation> {
    refuse(Rule::Protocol, "The response does not begin with `HTTP/1.1`: it is not HTTP.")
}
