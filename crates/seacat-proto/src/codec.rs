//! Splits the byte stream into frames.

use crate::ConnectionError;
use crate::frame::{FrameHead, HEADER, MAX_FRAME, MAX_PAYLOAD, RawFrame};

/// Finds whole frames in input that may be cut anywhere.
///
/// A frame that lies whole in the input is borrowed from it; only one that is cut is
/// collected here, so the usual frame, which is one TLS record, is not copied.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The beginning of an incomplete frame; at most [`MAX_FRAME`] bytes.
    partial: Vec<u8>,
    /// `partial` holds a frame that was handed out by the last call.
    taken: bool,
}

impl Decoder {
    /// Takes the next whole frame off the front of `input`; `None` when more is needed,
    /// and then `input` is empty.
    ///
    /// # Errors
    /// [`ConnectionError::FrameTooLarge`] as soon as a header announces more than
    /// [`MAX_FRAME`] bytes; nothing is read after that.
    pub fn next<'f, 'i: 'f>(
        &'f mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<RawFrame<'f>>, ConnectionError> {
        if std::mem::take(&mut self.taken) {
            self.partial.clear();
        }
        if self.partial.is_empty() {
            let Some(head) = parse_head(input)? else {
                return Ok(self.keep(input, HEADER));
            };
            let whole = HEADER + head.length();
            let Some((frame, rest)) = input.split_at_checked(whole) else {
                return Ok(self.keep(input, whole));
            };
            *input = rest;
            return Ok(Some(RawFrame { head, body: &frame[HEADER..] }));
        }
        self.collect(input)
    }

    /// Continues a frame that began in earlier input.
    fn collect(&mut self, input: &mut &[u8]) -> Result<Option<RawFrame<'_>>, ConnectionError> {
        self.fill(input, HEADER);
        let Some(head) = parse_head(&self.partial)? else {
            return Ok(None);
        };
        let whole = HEADER + head.length();
        self.fill(input, whole);
        if self.partial.len() < whole {
            return Ok(None);
        }
        self.taken = true;
        Ok(Some(RawFrame { head, body: &self.partial[HEADER..] }))
    }

    /// Moves bytes from `input` until `partial` holds `wanted` of them.
    fn fill(&mut self, input: &mut &[u8], wanted: usize) {
        let missing = wanted.saturating_sub(self.partial.len()).min(input.len());
        let (now, rest) = input.split_at(missing);
        self.partial.extend_from_slice(now);
        *input = rest;
    }

    fn keep(&mut self, input: &mut &[u8], expected: usize) -> Option<RawFrame<'static>> {
        if !input.is_empty() {
            self.partial.reserve(expected.min(MAX_FRAME));
            self.fill(input, expected);
        }
        None
    }
}

fn parse_head(input: &[u8]) -> Result<Option<FrameHead>, ConnectionError> {
    let Some(bytes) = input.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let head = FrameHead::decode(*bytes);
    if head.length() > MAX_PAYLOAD {
        return Err(ConnectionError::FrameTooLarge(HEADER + head.length()));
    }
    Ok(Some(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize) -> Vec<u8> {
        let mut bytes =
            crate::frame::head::data(crate::StreamId::new(5).unwrap(), true, length).to_vec();
        bytes.resize(HEADER + length, b'x');
        bytes
    }

    fn lengths(decoder: &mut Decoder, mut input: &[u8]) -> Vec<usize> {
        let mut found = Vec::new();
        while let Some(raw) = decoder.next(&mut input).unwrap() {
            assert_eq!(raw.head.length(), raw.body.len());
            found.push(raw.body.len());
        }
        assert!(input.is_empty());
        found
    }

    #[test]
    fn frames_come_out_whole_wherever_the_input_is_cut() {
        let expected = [0, 5, 0, MAX_PAYLOAD, 1];
        let bytes: Vec<u8> = expected.iter().flat_map(|&length| frame(length)).collect();
        for cut in 0..bytes.len() {
            let mut decoder = Decoder::default();
            let mut found = lengths(&mut decoder, &bytes[..cut]);
            found.extend(lengths(&mut decoder, &bytes[cut..]));
            assert_eq!(found, expected, "cut at {cut}");
        }
        let mut decoder = Decoder::default();
        let found: Vec<usize> = bytes.iter().flat_map(|b| lengths(&mut decoder, &[*b])).collect();
        assert_eq!(found, expected, "byte by byte");
    }

    #[test]
    fn the_largest_frame_passes_and_one_byte_more_does_not() {
        assert_eq!(lengths(&mut Decoder::default(), &frame(MAX_PAYLOAD)), [MAX_PAYLOAD]);
        let mut long = frame(MAX_PAYLOAD);
        long[7] += 1;
        for cut in [0, 3, HEADER - 1] {
            let mut decoder = Decoder::default();
            assert!(decoder.next(&mut &long[..cut]).unwrap().is_none());
            assert_eq!(
                decoder.next(&mut &long[cut..]).err(),
                Some(ConnectionError::FrameTooLarge(MAX_FRAME + 1))
            );
        }
    }
}
