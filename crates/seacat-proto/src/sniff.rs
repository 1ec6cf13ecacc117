//! Detection of HTTP in the first bytes of a connection (wire spec 7).
//!
//! An HTTP request read as a frame would be DATA of two megabytes on stream 0x47455420; so it is
//! reported as HTTP and not as a frame that is too large.

use crate::frame::HEADER;
use crate::{ConnectionError, Role};

const HTTP_ANSWER: &[&[u8]] = &[b"HTTP/"];
const HTTP_REQUEST: &[&[u8]] = &[
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"PATCH ",
    b"CONNECT ",
    b"TRACE ",
    b"PRI * HT",
];

/// Checks the first bytes of a connection, once.
#[derive(Debug, Default)]
pub(crate) struct Sniffer {
    seen: [u8; HEADER],
    length: usize,
}

impl Sniffer {
    /// Checks more bytes; costs nothing once enough were seen.
    pub(crate) fn check(&mut self, role: Role, input: &[u8]) -> Result<(), ConnectionError> {
        if self.length == HEADER {
            return Ok(());
        }
        let more = input.len().min(HEADER - self.length);
        self.seen[self.length..self.length + more].copy_from_slice(&input[..more]);
        self.length += more;
        let (words, error) = match role {
            Role::Client => (HTTP_ANSWER, ConnectionError::HttpServer),
            Role::Gateway => (HTTP_REQUEST, ConnectionError::HttpClient),
        };
        let seen = &self.seen[..self.length];
        if words.iter().any(|word| seen.starts_with(word)) { Err(error) } else { Ok(()) }
    }
}
