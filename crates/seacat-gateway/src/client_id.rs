//! The client id: a hash of the client's public key (wire specification, section 5.4).

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE32, HEXLOWER};
use ring::digest::{SHA384, digest};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::SubjectPublicKeyInfo;

/// The SHA-384 of a client's public key, in the PKCS#1 form `RSAPublicKey`.
///
/// It depends on the key alone: it stays the same when the certificate changes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId([u8; ClientId::LENGTH]);

impl ClientId {
    const LENGTH: usize = 48;
    /// Bytes of the id in a tag: few enough to read them out on the telephone.
    const IN_TAG: usize = 10;

    /// The id of the key with this PKCS#1 `RSAPublicKey` DER.
    #[must_use]
    pub fn of_key(pkcs1: &[u8]) -> Self {
        let mut id = [0; Self::LENGTH];
        id.copy_from_slice(digest(&SHA384, pkcs1).as_ref());
        Self(id)
    }

    /// The id of the key in a certificate; `None` unless it is an RSA key. The rule is defined for
    /// RSA only.
    #[must_use]
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        rsa_key(&certificate.tbs_certificate.subject_pki).map(Self::of_key)
    }

    /// The short form for comparison by users and administrators: `[` 16 letters and digits `]`.
    #[must_use]
    pub fn tag(&self) -> String {
        format!("[{}]", BASE32.encode(&self.0[..Self::IN_TAG]))
    }
}

/// The PKCS#1 DER of an RSA key.
pub(crate) fn rsa_key<'a>(key: &'a SubjectPublicKeyInfo<'_>) -> Option<&'a [u8]> {
    /// rsaEncryption, RFC 8017, appendix A.1.
    const RSA: &str = "1.2.840.113549.1.1.1";
    (key.algorithm.algorithm.to_id_string() == RSA).then_some(key.subject_public_key.data.as_ref())
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tag())
    }
}

/// A text that is neither a client id nor a tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is neither a client tag (16 letters and digits, like OY4PHTSP5YAU5AUK) nor a client id \
     (96 hexadecimal digits)"
)]
pub struct NotAClient(String);

impl FromStr for ClientId {
    type Err = NotAClient;

    fn from_str(text: &str) -> Result<Self, NotAClient> {
        HEXLOWER
            .decode(text.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| NotAClient(text.to_owned()))
    }
}

/// How an administrator names a client: its tag, with or without brackets (shells interpret them),
/// or its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientName {
    start: Vec<u8>,
}

impl ClientName {
    /// Whether this names the client. Several clients can have the same tag, although a collision
    /// is improbable.
    #[must_use]
    pub fn fits(&self, id: &ClientId) -> bool {
        id.0.starts_with(&self.start)
    }
}

impl FromStr for ClientName {
    type Err = NotAClient;

    fn from_str(text: &str) -> Result<Self, NotAClient> {
        let bare = text.trim().trim_start_matches('[').trim_end_matches(']');
        if let Ok(id) = bare.to_ascii_lowercase().parse::<ClientId>() {
            return Ok(Self { start: id.0.to_vec() });
        }
        BASE32
            .decode(bare.to_ascii_uppercase().as_bytes())
            .ok()
            .filter(|start| start.len() == ClientId::IN_TAG)
            .map(|start| Self { start })
            .ok_or_else(|| NotAClient(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_tags_have_their_two_forms() {
        // The tag is the wire specification's own example.
        let id = ClientId::from_str(&format!("7638f3ce4fee014e828a{}", "0".repeat(76))).unwrap();
        assert_eq!(id.tag(), "[OY4PHTSP5YAU5AUK]");
        assert_eq!(ClientId([0; 48]).tag(), "[AAAAAAAAAAAAAAAA]");
        assert_eq!(id.to_string().parse(), Ok(id));

        let id_text = id.to_string();
        let upper = id_text.to_uppercase();
        let names =
            ["[OY4PHTSP5YAU5AUK]", "OY4PHTSP5YAU5AUK", "oy4phtsp5yau5auk", &id_text, &upper];
        for name in names {
            let name: ClientName = name.parse().unwrap();
            assert!(name.fits(&id) && !name.fits(&ClientId([0; 48])), "{name:?}");
        }
        for wrong in ["", "[]", "OY4PHTSP5YAU5AU", "OY4PHTSP5YAU5AU1", "7638f3ce"] {
            assert!(wrong.parse::<ClientName>().is_err(), "{wrong}");
        }
    }
}
