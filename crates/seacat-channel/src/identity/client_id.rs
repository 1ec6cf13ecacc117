//! What a key is called: the Client ID for machines, the Client Tag for people (wire
//! specification, section 5.4).

use std::fmt;

use ring::digest::{SHA384, digest};

/// Bytes of the id that the tag shows.
const TAG_BYTES: usize = 10;

/// RFC 4648 section 6.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The SHA-384 of a public key. `Display` gives 96 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientId([u8; 48]);

impl ClientId {
    /// The id of a PKCS#1 `RSAPublicKey` in DER (not of a SubjectPublicKeyInfo).
    #[must_use]
    pub fn of(public_key: &[u8]) -> Self {
        let mut id = [0; 48];
        id.copy_from_slice(digest(&SHA384, public_key).as_ref());
        Self(id)
    }

    /// The short form that a person reads out to the administrator: 16 letters and digits in
    /// brackets, such as `[OY4PHTSP5YAU5AUK]`.
    #[must_use]
    pub fn tag(&self) -> String {
        // Ten bytes are two groups of forty bits, eight characters each.
        let groups = self.0[..TAG_BYTES].chunks(5);
        let letters = groups.flat_map(|group| {
            let bits = group.iter().fold(0_u64, |bits, &byte| bits << 8 | u64::from(byte));
            (0..8).rev().map(move |at| char::from(BASE32[(bits >> (5 * at) & 31) as usize]))
        });
        format!("[{}]", letters.collect::<String>())
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientId({})", self.tag())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::golden;
    use super::*;

    /// Wire specification, section 5.4: the example in it, and the id of no key at all.
    #[test]
    fn the_tag_is_the_beginning_of_the_id() {
        let mut id = [0; 48];
        assert_eq!(ClientId(id).tag(), "[AAAAAAAAAAAAAAAA]");
        id[..10].copy_from_slice(&[0x76, 0x38, 0xf3, 0xce, 0x4f, 0xee, 0x01, 0x4e, 0x82, 0x8a]);
        assert_eq!(ClientId(id).tag(), "[OY4PHTSP5YAU5AUK]");
        assert_eq!(ClientId(id).to_string().len(), 96);
        assert!(ClientId(id).to_string().starts_with("7638f3ce4fee014e828a00"));
    }

    /// The keys that the reference client showed its gateway. The ids were computed from them by
    /// Python's hashlib and base64.
    #[test]
    fn the_vectors_keys() {
        let key = |name| golden(name)[12..].to_vec();
        let id = ClientId::of(&key("cert_query"));
        let expected = "f5f9cb0e8c90b4f573c37a4f072d396a5cf46ae08a2105eb\
                        f1a6752b1947801f10482a0e66e1830d77ed19ba561fb111";
        assert_eq!(id.to_string(), expected);
        assert_eq!(id.tag(), "[6X44WDUMSC2PK46D]");
        assert_eq!(ClientId::of(&key("cert_query_anonymous")).tag(), "[DHB63WMKUJLQLBI6]");
    }
}
