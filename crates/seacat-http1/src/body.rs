//! The content of a message out of its framing (RFC 9112 sections 6 and 7.1). Chunk extensions
//! and trailers are dropped: the wire of SeaCat has no place for them.
//!
//! ```text
//!   Length(n) ──n bytes──────────────────────────────────────────► Ended
//!   ChunkSize ──n──► ChunkData(n) ──► ChunkEnd ──► ChunkSize          ▲
//!       └──────0───► Trailers ──empty line────────────────────────────┤
//!   Close ──the connection ends───────────────────────────────────────┘
//! ```

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memchr;

use crate::framing::Framing;
use crate::line;
use crate::syntax::{VALUE, all, trim};
use crate::violation::{Rule, Violation, refuse};

/// A chunk size has at most this many digits: 64 bits.
const MAX_SIZE_DIGITS: usize = 16;
/// All chunk extensions of one message together: no program sends them, but they must not be
/// free.
const MAX_EXTENSIONS: usize = 4096;
/// The trailer section of one message.
const MAX_TRAILERS: usize = 16 * 1024;

/// What the front of the input was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// Content, at least one byte.
    Data(Bytes),
    /// Nothing whole: more input is needed.
    More,
    /// The end of the body. What is left in the input belongs to the next message.
    End,
}

/// Takes the content of one message out of its bytes.
#[derive(Debug, Clone)]
pub struct BodyDecoder {
    state: State,
    strict: bool,
    extensions_left: usize,
    trailers_left: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Length(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    Close,
    Ended,
}

impl BodyDecoder {
    /// For a request: every line as the grammar has it.
    #[must_use]
    pub fn for_request(framing: Framing) -> Self {
        Self::new(framing, true)
    }

    /// For a response: lines may end in LF alone, a chunk size may have blanks around it, and the
    /// connection may end after the last chunk.
    #[must_use]
    pub fn for_response(framing: Framing) -> Self {
        Self::new(framing, false)
    }

    fn new(framing: Framing, strict: bool) -> Self {
        let state = match framing {
            Framing::Length(0) | Framing::Tunnel => State::Ended,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::ChunkSize,
            Framing::Close => State::Close,
        };
        let (extensions_left, trailers_left) = (MAX_EXTENSIONS, MAX_TRAILERS);
        BodyDecoder { state, strict, extensions_left, trailers_left }
    }

    /// Whether the whole body has been decoded.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Takes one piece from the front of `input`. Content is handed out without a copy.
    ///
    /// # Errors
    /// The chunked coding is broken: the end of the body cannot be found.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Decoded, Violation> {
        loop {
            if self.state == State::Ended {
                return Ok(Decoded::End);
            }
            if input.is_empty() {
                return Ok(Decoded::More);
            }
            match self.state {
                State::Length(left) => {
                    let data = take(input, left);
                    self.state = match left - data.len() as u64 {
                        0 => State::Ended,
                        left => State::Length(left),
                    };
                    return Ok(Decoded::Data(data));
                }
                State::ChunkData(left) => {
                    let data = take(input, left);
                    self.state = match left - data.len() as u64 {
                        0 => State::ChunkEnd,
                        left => State::ChunkData(left),
                    };
                    return Ok(Decoded::Data(data));
                }
                State::Close => return Ok(Decoded::Data(input.split().freeze())),
                State::ChunkSize | State::ChunkEnd | State::Trailers => {
                    let Some(used) = self.line(input)? else { return Ok(Decoded::More) };
                    input.advance(used);
                }
                State::Ended => {}
            }
        }
    }

    /// Takes what stands between two pieces of content, as far as it is there, so that the end is known
    /// with the last piece. What is wrong with it is for the next [`BodyDecoder::decode`].
    pub fn take_framing(&mut self, input: &mut BytesMut) {
        while matches!(self.state, State::ChunkSize | State::ChunkEnd | State::Trailers)
            && !input.is_empty()
            && let Ok(Some(used)) = self.line(input)
        {
            input.advance(used);
        }
    }

    /// The connection has ended: is the body whole?
    ///
    /// # Errors
    /// It is not ([`Rule::Incomplete`]).
    pub fn finish(&mut self) -> Result<(), Violation> {
        match self.state {
            State::Ended | State::Close => {}
            // All content has come, and only the end of the trailers is missing.
            State::Trailers if !self.strict => {}
            _ => return refuse(Rule::Incomplete, "The connection ended in the middle of a body."),
        }
        self.state = State::Ended;
        Ok(())
    }

    /// Reads a line of the chunked coding. `None`: it is not complete.
    fn line(&mut self, bytes: &[u8]) -> Result<Option<usize>, Violation> {
        match self.state {
            State::ChunkEnd => self.chunk_end(bytes),
            State::ChunkSize => self.chunk_size(bytes),
            _ => self.trailer(bytes),
        }
    }

    fn chunk_end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Violation> {
        let used = match bytes {
            [b'\r'] => return Ok(None),
            [b'\r', b'\n', ..] => 2,
            [b'\n', ..] if !self.strict => 1,
            _ => return refuse(Rule::Chunk, "A chunk is not followed by CR LF."),
        };
        self.state = State::ChunkSize;
        Ok(Some(used))
    }

    /// `chunk-size [ ";" extensions ] CRLF` (RFC 9112 section 7.1).
    fn chunk_size(&mut self, bytes: &[u8]) -> Result<Option<usize>, Violation> {
        let digits = bytes.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        if digits > MAX_SIZE_DIGITS {
            return refuse(Rule::Chunk, "A chunk size has more than 16 digits.");
        }
        let after = &bytes[digits..];
        let blank = matches!(after.first(), Some(b' ' | b'\t' | b'\n')) && !self.strict;
        if digits == 0 || !(blank || matches!(after.first(), None | Some(b'\r' | b';'))) {
            return refuse(Rule::Chunk, "A chunk size is not a plain hexadecimal number.");
        }
        let end = memchr(b'\n', after);
        let rest = &after[..end.unwrap_or(after.len())];
        // One more than allowed: the CR.
        if rest.len() > self.extensions_left + 1 {
            return refuse(Rule::Chunk, "The chunk extensions are too long.");
        }
        let Some(end) = end else { return Ok(None) };
        let rest = self.without_cr(rest, "The line of a chunk size is not ended by CR LF.")?;
        if !all(VALUE, rest) || !matches!(trim(rest).first(), None | Some(b';')) {
            return refuse(Rule::Chunk, "A chunk size is not a plain hexadecimal number.");
        }
        self.extensions_left -= rest.len().min(self.extensions_left);
        let size = bytes[..digits]
            .iter()
            .fold(0, |size, &b| size << 4 | (b as char).to_digit(16).map_or(0, u64::from));
        self.state = match size {
            0 => State::Trailers,
            size if size > i64::MAX as u64 => {
                return refuse(Rule::Chunk, "A chunk is longer than 2^63 - 1 bytes.");
            }
            size => State::ChunkData(size),
        };
        Ok(Some(digits + end + 1))
    }

    fn trailer(&mut self, bytes: &[u8]) -> Result<Option<usize>, Violation> {
        let end = memchr(b'\n', bytes);
        let length = end.map_or(bytes.len(), |end| end + 1);
        let Some(left) = self.trailers_left.checked_sub(length) else {
            return refuse(Rule::Chunk, "The trailers are too long.");
        };
        let Some(end) = end else { return Ok(None) };
        self.trailers_left = left;
        let line = self.without_cr(&bytes[..end], "A trailer ends in LF without CR.")?;
        if line.is_empty() {
            self.state = State::Ended;
        } else if self.strict {
            line::split(line, false)
                .map_err(|Violation { what, .. }| Violation { rule: Rule::Chunk, what })?;
        }
        Ok(Some(length))
    }

    fn without_cr<'a>(&self, line: &'a [u8], what: &'static str) -> Result<&'a [u8], Violation> {
        match line.strip_suffix(b"\r") {
            Some(line) => Ok(line),
            None if self.strict => refuse(Rule::Chunk, what),
            None => Ok(line),
        }
    }
}

fn take(input: &mut BytesMut, left: u64) -> Bytes {
    let length = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
    input.split_to(length).freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content, and what is left of the input; or the rule.
    fn decode(decoder: &BodyDecoder, input: &[u8], piece: usize) -> Result<(Vec<u8>, usize), Rule> {
        let mut decoder = decoder.clone();
        let (mut content, mut buffer) = (Vec::new(), BytesMut::new());
        let mut pieces = input.chunks(piece);
        loop {
            match decoder.decode(&mut buffer).map_err(|it| it.rule)? {
                Decoded::Data(data) => content.extend_from_slice(&data),
                Decoded::End => return Ok((content, buffer.len() + pieces.flatten().count())),
                Decoded::More => match pieces.next() {
                    Some(more) => buffer.extend_from_slice(more),
                    None => {
                        decoder.finish().map_err(|it| it.rule)?;
                        return Ok((content, 0));
                    }
                },
            }
        }
    }

    fn both_ways(decoder: &BodyDecoder, input: &str) -> Result<(String, usize), Rule> {
        let whole = decode(decoder, input.as_bytes(), input.len().max(1));
        assert_eq!(whole, decode(decoder, input.as_bytes(), 1), "{input:?}");
        whole.map(|(content, left)| (String::from_utf8(content).unwrap(), left))
    }

    #[test]
    fn lengths_and_closed_connections() {
        let request = |length| BodyDecoder::for_request(Framing::Length(length));
        assert_eq!(both_ways(&request(3), "abcGET"), Ok(("abc".into(), 3)));
        assert_eq!(both_ways(&request(0), "GET"), Ok((String::new(), 3)));
        assert_eq!(both_ways(&request(4), "abc"), Err(Rule::Incomplete));
        let close = BodyDecoder::for_response(Framing::Close);
        assert_eq!(both_ways(&close, "abc"), Ok(("abc".into(), 0)));
        assert_eq!(both_ways(&close, ""), Ok((String::new(), 0)));
    }

    /// Chunked bodies: what a strict and a tolerant reader make of them. `None`: refused.
    #[rustfmt::skip]
    const CHUNKED: &[(&str, Option<&str>, Option<&str>)] = &[
        ("3\r\nabc\r\n0\r\n\r\n", Some("abc"), Some("abc")),
        ("0\r\n\r\n", Some(""), Some("")),
        ("A\r\n0123456789\r\n00002\r\nab\r\n0\r\n\r\n", Some("0123456789ab"), Some("0123456789ab")),
        ("3;a=\"b\"\r\nabc\r\n0;x\r\n\r\n", Some("abc"), Some("abc")),
        ("3\r\nabc\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n", Some("abc"), Some("abc")),
        ("3\nabc\n0\n\n", None, Some("abc")),
        ("3 \r\nabc\r\n0  \r\n\r\n", None, Some("abc")),
        ("3 ;x\r\nabc\r\n0\r\n\r\n", None, Some("abc")),
        ("3\r\nabc\r\n0\r\n", None, Some("abc")),
        ("3\r\nabc\r\n0\r\nX Y\r\n\r\n", None, Some("abc")),
        ("3\r\nabcd\r\n0\r\n\r\n", None, None),
        ("3\r\nab", None, None),
        ("3\r\nabc\r\n", None, None),
        (" 3\r\nabc\r\n0\r\n\r\n", None, None),
        ("+3\r\nabc\r\n0\r\n\r\n", None, None),
        ("0x3\r\nabc\r\n0\r\n\r\n", None, None),
        ("zz\r\nabc\r\n0\r\n\r\n", None, None),
        ("3 a\r\nabc\r\n0\r\n\r\n", None, None),
        ("3;a\rb\r\nabc\r\n0\r\n\r\n", None, None),
        ("10000000000000003\r\nabc\r\n0\r\n\r\n", None, None),
        ("ffffffffffffffff\r\nabc\r\n0\r\n\r\n", None, None),
        ("\r\nabc\r\n0\r\n\r\n", None, None),
    ];

    #[test]
    fn chunked_bodies() {
        for (input, strict, tolerant) in CHUNKED {
            let found = |decoder| both_ways(&decoder, input).ok().map(|(content, _)| content);
            let request = BodyDecoder::for_request(Framing::Chunked);
            assert_eq!(found(request).as_deref(), *strict, "strictly {input:?}");
            let response = BodyDecoder::for_response(Framing::Chunked);
            assert_eq!(found(response).as_deref(), *tolerant, "tolerantly {input:?}");
        }
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let long = "e".repeat(MAX_EXTENSIONS + 1);
        let chunked = BodyDecoder::for_request(Framing::Chunked);
        assert!(both_ways(&chunked, &format!("3;{long}")).is_err());
        let half = "e".repeat(MAX_EXTENSIONS / 2);
        assert!(both_ways(&chunked, &format!("1;{half}\r\na\r\n").repeat(3)).is_err());
        let trailer = format!("X: {}\r\n", "y".repeat(1000));
        assert!(both_ways(&chunked, &format!("0\r\n{}", trailer.repeat(17))).is_err());
        assert!(both_ways(&chunked, &format!("0\r\n{}\r\n", trailer.repeat(16))).is_ok());
    }
}
