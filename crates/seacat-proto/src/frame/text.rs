//! Length-prefixed strings, the only variable part of a head (wire spec 2.3).
//!
//! ```text
//! length < 250 : u8 length, bytes
//! otherwise    : 0xFF, u16 length, bytes        (up to 65 535)
//! ```
//!
//! Readers of the published layers differ on a first byte of 0xFA–0xFE. We take
//! the tolerant reading, a plain length of 250–254, as the client layers do, and
//! never write one.

use super::Malformed;

/// From this length on, the length takes three bytes.
const LONG: usize = 0xFA;
const LONG_MARK: u8 = 0xFF;

/// Bytes that [`put`] writes for a string of `length` bytes.
#[must_use]
pub fn encoded_len(length: usize) -> usize {
    if length < LONG { 1 + length } else { 3 + length }
}

/// Appends one string. The caller has checked that it is no longer than a frame.
pub fn put(out: &mut Vec<u8>, text: &[u8]) {
    if text.len() < LONG {
        out.push(text.len() as u8);
    } else {
        out.push(LONG_MARK);
        out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    }
    out.extend_from_slice(text);
}

/// Takes one string off the front of `input`.
///
/// # Errors
/// [`Malformed`] when the string runs past the end of `input`.
pub fn take<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let (length, rest) = match **input {
        [LONG_MARK, hi, lo, ref rest @ ..] => (usize::from(u16::from_be_bytes([hi, lo])), rest),
        [LONG_MARK, ..] | [] => return Err(Malformed("string length is cut off")),
        [length, ref rest @ ..] => (usize::from(length), rest),
    };
    let (text, rest) =
        rest.split_at_checked(length).ok_or(Malformed("string runs past the frame"))?;
    *input = rest;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(length: usize) -> Vec<u8> {
        let text = vec![b'v'; length];
        let mut out = Vec::new();
        put(&mut out, &text);
        assert_eq!(out.len(), encoded_len(length));
        let mut input = &out[..];
        assert_eq!(take(&mut input).unwrap(), text);
        assert!(input.is_empty());
        for cut in 0..out.len() {
            assert!(take(&mut &out[..cut]).is_err(), "{length} bytes cut at {cut}");
        }
        out
    }

    #[test]
    fn lengths_at_every_edge() {
        assert_eq!(round_trip(0), [0]);
        assert_eq!(round_trip(1), [1, b'v']);
        assert_eq!(round_trip(249)[0], 0xF9);
        for length in [250, 251, 254, 255, 256, 1000, 16_000] {
            let out = round_trip(length);
            assert_eq!(out[0], 0xFF);
            assert_eq!(usize::from(u16::from_be_bytes([out[1], out[2]])), length);
        }
    }

    #[test]
    fn a_long_form_of_a_short_string_is_read() {
        assert_eq!(take(&mut &[0xFF, 0, 2, b'h', b'i'][..]).unwrap(), b"hi");
    }

    #[test]
    fn the_unwritten_first_bytes_are_plain_lengths() {
        for first in 0xFA..=0xFEu8 {
            let mut bytes = vec![first];
            bytes.resize(1 + usize::from(first), b'x');
            assert_eq!(take(&mut &bytes[..]).unwrap().len(), usize::from(first));
        }
    }
}
