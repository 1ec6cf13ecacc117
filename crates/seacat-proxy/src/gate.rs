//! The gate: a strict reader in front of hyper, which is a lenient one.
//!
//! It follows the messages on one client connection and lets their bytes through unchanged, but
//! a head (or a chunk line, or a trailer section) only once it is complete and valid. What hyper
//! sees can therefore be read in one way only, and a bad request behind a good one never
//! disturbs the good one.
//!
//! ```text
//!            ┌────────────── Length(0) ◄────────────────┐
//!            ▼                                          │
//!   ┌──► Head ──Length(n)──► Body(n) ──all of it──► (next Head)
//!   │        ├──Chunked────► ChunkSize ──n──► ChunkData(n) ──► ChunkEnd ──► ChunkSize
//!   │        │                   └──0──► Trailers ──empty line──► (next Head)
//!   │        └──Tunnel─────► Tunnel (everything passes, for ever)
//!   │
//!   any ──broken──► the caller stops: nothing more is read
//! ```
//!
//! Pure: bytes in, a count out. [`Gated`](crate::gated::Gated) does the I/O.

use memchr::memchr;

use crate::errors::Code;
use crate::head::{Framing, HeadScan, Reject, split_field};
use crate::syntax::{VALUE, all};

/// `chunk-size` has at most this many hex digits: 64 bits.
const MAX_SIZE_DIGITS: usize = 16;
/// All chunk extensions of one message together: nobody sends them, but they must not be free.
const MAX_EXTENSIONS: usize = 4096;
/// The trailer section of one message. It is dropped anyway (the wire has no trailers).
const MAX_TRAILERS: usize = 4096;

/// What the gate let through in place of one head: the service takes one per request, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passed {
    /// An ordinary request.
    Plain,
    /// CONNECT or Upgrade: the rest of the connection belongs to it.
    Tunnel,
    /// A head was refused and a harmless one stands in its place.
    Rejected(Reject),
}

/// The state machine drawn above.
#[derive(Debug)]
pub(crate) struct Gate {
    state: State,
    extensions_left: usize,
}

#[derive(Debug)]
enum State {
    Head(HeadScan),
    Body(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers { checked: usize },
    Tunnel,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Gate { state: State::Head(HeadScan::default()), extensions_left: MAX_EXTENSIONS }
    }

    /// Looks at `bytes`: everything that has arrived and not yet passed, from its beginning.
    /// Returns how many of them may pass now; the rest is to be given again with what follows.
    /// `passed` is told of each head among them.
    ///
    /// # Errors
    /// What is wrong with the first byte that has not passed: the message there is refused.
    pub(crate) fn inspect(
        &mut self,
        bytes: &[u8],
        mut passed: impl FnMut(Passed),
    ) -> Result<usize, Reject> {
        let mut clear = 0;
        while clear < bytes.len() {
            match self.step(&bytes[clear..], &mut passed) {
                Ok(0) => break,
                Ok(n) => clear += n,
                // First let through what is good; the caller comes back with the rest.
                Err(_) if clear > 0 => {
                    self.rewind();
                    break;
                }
                Err(reject) => return Err(reject),
            }
        }
        Ok(clear)
    }

    /// Whether the connection stands between two messages (nothing of a body is missing).
    pub(crate) fn between_messages(&self) -> bool {
        matches!(self.state, State::Head(_))
    }

    /// Whether the client owes the rest of a head, of which `held` has arrived.
    pub(crate) fn owes_head(&self, held: &[u8]) -> bool {
        matches!(&self.state, State::Head(scan) if scan.begun(held))
    }

    /// Takes one element from the front of `bytes`, which are not empty; 0: it is not complete.
    fn step(&mut self, bytes: &[u8], passed: &mut impl FnMut(Passed)) -> Result<usize, Reject> {
        match &mut self.state {
            State::Head(scan) => {
                let Some((length, framing)) = scan.scan(bytes)? else {
                    return Ok(0);
                };
                let tunnel = framing == Framing::Tunnel;
                passed(if tunnel { Passed::Tunnel } else { Passed::Plain });
                self.extensions_left = MAX_EXTENSIONS;
                self.state = match framing {
                    Framing::Length(0) => State::Head(HeadScan::default()),
                    Framing::Length(length) => State::Body(length),
                    Framing::Chunked => State::ChunkSize,
                    Framing::Tunnel => State::Tunnel,
                };
                Ok(length)
            }
            State::Body(left) => {
                let n = pass(left, bytes);
                if *left == 0 {
                    self.state = State::Head(HeadScan::default());
                }
                Ok(n)
            }
            State::ChunkSize => self.chunk_size(bytes),
            State::ChunkData(left) => {
                let n = pass(left, bytes);
                if *left == 0 {
                    self.state = State::ChunkEnd;
                }
                Ok(n)
            }
            State::ChunkEnd => match bytes {
                [b'\r'] => Ok(0),
                [b'\r', b'\n', ..] => {
                    self.state = State::ChunkSize;
                    Ok(2)
                }
                _ => bad_chunk("A chunk is not followed by CR LF."),
            },
            State::Trailers { checked } => match trailers(bytes, checked)? {
                0 => Ok(0),
                n => {
                    self.state = State::Head(HeadScan::default());
                    Ok(n)
                }
            },
            State::Tunnel => Ok(bytes.len()),
        }
    }

    /// `chunk-size [ ";" extensions ] CRLF` (RFC 9112 section 7.1), with no blanks around the
    /// size.
    fn chunk_size(&mut self, bytes: &[u8]) -> Result<usize, Reject> {
        let digits = bytes.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        if digits > MAX_SIZE_DIGITS {
            return bad_chunk("A chunk size has more than 16 digits.");
        }
        let after = &bytes[digits..];
        if digits == 0 || !matches!(after.first(), None | Some(b'\r' | b';')) {
            return bad_chunk("A chunk size is not a plain hexadecimal number.");
        }
        let end = memchr(b'\n', after);
        let extension = &after[..end.unwrap_or(after.len())];
        // One more than allowed: the CR.
        if extension.len() > self.extensions_left + 1 {
            return bad_chunk("The chunk extensions are too long.");
        }
        let Some(end) = end else { return Ok(0) };
        let Some(extension) = extension.strip_suffix(b"\r").filter(|text| all(VALUE, text)) else {
            return bad_chunk("The line of a chunk size is not ended by CR LF.");
        };
        self.extensions_left -= extension.len();
        let size = bytes[..digits]
            .iter()
            .fold(0, |size, &b| size << 4 | (b as char).to_digit(16).map_or(0, u64::from));
        self.state = match size {
            0 => State::Trailers { checked: 0 },
            // hyper counts in u64 with two values taken; nobody has that much to send.
            size if size > i64::MAX as u64 => return bad_chunk("A chunk size is absurd."),
            size => State::ChunkData(size),
        };
        Ok(digits + end + 1)
    }

    /// Forgets what was learnt of an element that has not passed; it will be read again.
    fn rewind(&mut self) {
        match &mut self.state {
            State::Head(scan) => *scan = HeadScan::default(),
            State::Trailers { checked } => *checked = 0,
            _ => {}
        }
    }
}

/// Lets through what there is of `left` bytes.
fn pass(left: &mut u64, bytes: &[u8]) -> usize {
    let n = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
    *left -= n as u64;
    n
}

/// Reads trailer lines from `checked` on. Returns the length of the whole section when its
/// empty line has come, 0 before.
fn trailers(bytes: &[u8], checked: &mut usize) -> Result<usize, Reject> {
    while let Some(end) = memchr(b'\n', &bytes[*checked..]) {
        let Some(line) = bytes[*checked..*checked + end].strip_suffix(b"\r") else {
            return bad_chunk("A trailer ends in LF without CR.");
        };
        *checked += end + 1;
        if *checked > MAX_TRAILERS {
            break;
        }
        if line.is_empty() {
            return Ok(*checked);
        }
        split_field(line, false)
            .map_err(|Reject { what, .. }| Reject { code: Code::BadChunk, what })?;
    }
    if bytes.len() > MAX_TRAILERS {
        return bad_chunk("The trailers are too long.");
    }
    Ok(0)
}

fn bad_chunk<T>(what: &'static str) -> Result<T, Reject> {
    Err(Reject { code: Code::BadChunk, what })
}
