//! What is said on the control socket and nowhere else.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// A file with a key, or a password; wiped when it is dropped. In JSON it is base64: a string with
/// nothing to escape, of which the reader makes no copy of its own.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(test, ts(type = "string"))]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes over what is not to be seen.
    pub fn new(bytes: impl Into<Zeroizing<Vec<u8>>>) -> Self {
        Self(bytes.into())
    }

    /// What is not to be seen.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(BASE64.encode(&*self.0)))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Base64)
    }
}

struct Base64;

impl Visitor<'_> for Base64 {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base64")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
        // The decoder's own words would quote a part of it.
        BASE64.decode_vec(text, &mut bytes).map_err(|_| E::custom("this is not base64"))?;
        Ok(Secret(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_base64_in_json_and_shows_nothing() {
        let secret = Secret::new(b"hunter2".to_vec());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        let json = serde_json::to_string(&secret).unwrap();
        assert_eq!(json, r#""aHVudGVyMg==""#);
        assert_eq!(serde_json::from_str::<Secret>(&json).unwrap(), secret);
        let error = serde_json::from_str::<Secret>(r#""hunter2!""#).unwrap_err().to_string();
        assert!(error.contains("not base64") && !error.contains("hunter"), "{error}");
    }
}
