//! The fingerprint of a certificate, and four words for it that two people can compare aloud.
//!
//! The words are proquints (D. S. Wilkerson, arXiv:0901.4016): 16 bits each as five letters that can be
//! pronounced in any language. Four of them are the first 64 bits of the fingerprint.

use std::fmt;

const CONSONANTS: &[u8; 16] = b"bdfghjklmnprstvz";
const VOWELS: &[u8; 4] = b"aiou";

/// The SHA-256 of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// From the digest of the certificate in DER.
    #[must_use]
    pub fn new(sha256: [u8; 32]) -> Self {
        Fingerprint(sha256)
    }

    /// Four words such as `lusab babad gutih tugad`.
    #[must_use]
    pub fn words(&self) -> String {
        let words: Vec<String> = self.0[..8].chunks_exact(2).map(word).collect();
        words.join(" ")
    }
}

impl fmt::Display for Fingerprint {
    /// `AB:CD:…`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, byte)| {
            let colon = if at == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")
        })
    }
}

fn word(bytes: &[u8]) -> String {
    let bits = bytes.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
    let consonant = |shift: u32| CONSONANTS[bits >> shift & 15];
    let vowel = |shift: u32| VOWELS[bits >> shift & 3];
    [consonant(12), vowel(10), consonant(6), vowel(4), consonant(0)]
        .map(char::from)
        .iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_proquints() {
        let mut digest = [0xAB; 32];
        // 127.0.0.1 and 63.84.220.193, of the paper.
        digest[..8].copy_from_slice(&[127, 0, 0, 1, 63, 84, 220, 193]);
        let fingerprint = Fingerprint::new(digest);
        assert_eq!(fingerprint.words(), "lusab babad gutih tugad");
        let text = fingerprint.to_string();
        assert!(text.starts_with("7F:00:00:01:3F:54:DC:C1:AB:") && text.len() == 95, "{text}");
    }
}
