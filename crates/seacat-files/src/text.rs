//! Texts that people write, in the encodings that editors write.

use std::fs;
use std::io;
use std::path::Path;

/// U+FEFF in UTF-8. Notepad wrote it until 2018, PowerShell 5 writes it with `-Encoding utf8`.
const UTF8_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// Reads a text file: see [`decode_text`].
///
/// # Errors
/// What the system says, or [`io::ErrorKind::InvalidData`] when it is not a text.
pub fn read_text(path: &Path) -> io::Result<String> {
    decode_text(fs::read(path)?)
}

/// A text in UTF-8, with or without a byte order mark, or in UTF-16 with one (PowerShell 5 writes that with
/// `>`). The mark is not a part of the text. Line ends stay as they are.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] when it is neither.
pub fn decode_text(mut bytes: Vec<u8>) -> io::Result<String> {
    let wide = |unit: fn([u8; 2]) -> u16, bytes: &[u8]| {
        let (pairs, rest) = bytes.as_chunks();
        let text = String::from_utf16(&pairs.iter().copied().map(unit).collect::<Vec<_>>());
        text.ok().filter(|_| rest.is_empty()).ok_or_else(|| not_a_text("UTF-16"))
    };
    match bytes.as_slice() {
        [0xff, 0xfe, text @ ..] => wide(u16::from_le_bytes, text),
        [0xfe, 0xff, text @ ..] => wide(u16::from_be_bytes, text),
        _ => {
            if bytes.starts_with(&UTF8_MARK) {
                bytes.drain(..UTF8_MARK.len());
            }
            String::from_utf8(bytes).map_err(|_| not_a_text("UTF-8"))
        }
    }
}

fn not_a_text(encoding: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the file is not a text in {encoding}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_gives_the_same_text() {
        let text = "ann:žluťoučký 🐈\r\n";
        let le: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let files = [
            text.as_bytes().to_vec(),
            [&UTF8_MARK, text.as_bytes()].concat(),
            [&[0xff, 0xfe], le.as_slice()].concat(),
            [&[0xfe, 0xff], be.as_slice()].concat(),
        ];
        for bytes in files {
            assert_eq!(decode_text(bytes.clone()).unwrap(), text, "{bytes:02x?}");
        }
        assert_eq!(decode_text(Vec::new()).unwrap(), "");
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let binary: [&[u8]; 3] = [b"\x80abc", b"\xff\xfea", b"\xff\xfe\x00\xd8"];
        for bytes in binary {
            let error = decode_text(bytes.to_vec()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{bytes:02x?}");
            assert!(error.to_string().contains("not a text in UTF-"), "{error}");
        }
    }
}
