//! A short code for a request that failed. It stands on the error page and finds the request in the
//! window and on the command line, so it must be easy to read out and to type.

use std::fmt;
use std::str::FromStr;

/// Crockford's base 32: no I, L, O and U.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Six digits: 30 bits. Among 2000 kept requests two have the same code once in 500 days of as many.
const LENGTH: u32 = 6;
const BITS: u32 = 5;

/// Six characters such as `7K3M9Q`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestCode(u32);

impl RequestCode {
    pub(crate) fn random() -> Self {
        RequestCode(fastrand::u32(..1 << (LENGTH * BITS)))
    }
}

impl fmt::Display for RequestCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digit = |at: u32| DIGITS[(self.0 >> (at * BITS)) as usize % DIGITS.len()];
        (0..LENGTH).rev().try_for_each(|at| write!(f, "{}", char::from(digit(at))))
    }
}

/// It is not six characters of the alphabet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidRequestCode;

impl FromStr for RequestCode {
    type Err = InvalidRequestCode;

    /// Letters in any case; O is read as 0, I and L as 1.
    fn from_str(text: &str) -> Result<Self, InvalidRequestCode> {
        let text = text.trim().to_ascii_uppercase();
        if text.len() != LENGTH as usize {
            return Err(InvalidRequestCode);
        }
        text.bytes().try_fold(RequestCode(0), |code, byte| {
            let byte = match byte {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
            let digit = DIGITS.iter().position(|it| *it == byte).ok_or(InvalidRequestCode)?;
            Ok(RequestCode(code.0 << BITS | digit as u32))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_they_are_written() {
        for _ in 0..1000 {
            let code = RequestCode::random();
            let text = code.to_string();
            assert_eq!(text.len(), 6, "{text}");
            assert_eq!(text.to_lowercase().parse(), Ok(code), "{text}");
        }
        assert_eq!(" oil0ab ".parse::<RequestCode>().unwrap().to_string(), "0110AB");
        assert_eq!(RequestCode(0).to_string(), "000000");
        for wrong in ["", "12345", "1234567", "12345U", "12 456", "12345é"] {
            assert_eq!(wrong.parse::<RequestCode>(), Err(InvalidRequestCode), "{wrong}");
        }
    }
}
