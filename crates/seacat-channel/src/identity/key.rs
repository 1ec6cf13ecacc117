//! Private keys. Which kind hides behind [`Key`], so that one in a smart card or a TPM can stand
//! there too: whoever signs needs no bytes of it.
//!
//! RSA, because the Client ID is defined for nothing else (wire specification, section 5.4). The
//! crate `rsa` makes the key, once, with nobody listening; every signature is ring's, whose time
//! tells nothing about the key. (ring cannot make RSA keys.)

use std::fmt;

use ring::rand::SystemRandom;
use ring::signature::{self, RsaEncoding, RsaKeyPair};
use rsa::RsaPrivateKey;
use rsa::pkcs8::EncodePrivateKey as _;
use rsa::rand_core::OsRng;
use rustls::SignatureScheme;
use zeroize::Zeroizing;

use super::client_id::ClientId;

/// A private key that can sign.
pub trait Key: fmt::Debug + Send + Sync {
    /// The public half: PKCS#1 `RSAPublicKey` in DER.
    fn public_key(&self) -> &[u8];

    /// How it can sign, the best first.
    fn schemes(&self) -> &[SignatureScheme];

    /// Signs `message`, which is hashed as the scheme says.
    ///
    /// # Errors
    /// When the scheme is none of [`Key::schemes`], or the device refuses.
    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, SignError>;

    /// The private key itself, PKCS#8 in DER, for OpenSSL (`tls = "compat"`), which signs with
    /// nothing else. A key that never leaves its device has none.
    fn pkcs8(&self) -> Option<&[u8]> {
        None
    }

    /// What the gateway calls this key.
    fn client_id(&self) -> ClientId {
        ClientId::of(self.public_key())
    }
}

/// A signature could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key could not sign")]
pub struct SignError;

/// The bits of a new key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeySize {
    /// 2048, as the reference client has them.
    #[default]
    Rsa2048,
    /// 3072.
    Rsa3072,
    /// 4096.
    Rsa4096,
}

impl KeySize {
    /// The number of bits.
    #[must_use]
    pub fn bits(self) -> usize {
        match self {
            Self::Rsa2048 => 2048,
            Self::Rsa3072 => 3072,
            Self::Rsa4096 => 4096,
        }
    }
}

/// The bytes of a private key, PKCS#8 in DER, on their way between memory and a store. They are
/// wiped when this is dropped, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey(Zeroizing<Vec<u8>>);

impl PrivateKey {
    /// Takes over PKCS#8 in DER; whether it is a key shows when it is used.
    #[must_use]
    pub fn from_pkcs8(der: Vec<u8>) -> Self {
        Self(Zeroizing::new(der))
    }

    /// Makes an RSA key. Takes a second or so, for 4096 bits several: not for the event loop.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn generate(size: KeySize) -> Result<Self, KeyError> {
        let key = RsaPrivateKey::new(&mut OsRng, size.bits()).map_err(|_| KeyError::NotMade)?;
        let document = key.to_pkcs8_der().map_err(|_| KeyError::NotMade)?;
        Ok(Self(Zeroizing::new(document.as_bytes().to_vec())))
    }

    /// The bytes, for a store.
    pub(crate) fn as_pkcs8(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It could not be made.
    #[error("the key could not be made")]
    NotMade,
    /// Not an RSA key, or not PKCS#8.
    #[error("this is not an RSA private key")]
    NotRsa,
    /// RSA, but too short, too long, or with numbers that do not belong together.
    #[error("the RSA key cannot be used: 2048 to 4096 bits and a sound structure are needed")]
    Unsound,
}

/// An RSA key in memory.
pub struct RsaKey {
    pair: RsaKeyPair,
    public: Vec<u8>,
    #[cfg(feature = "compat")]
    private: PrivateKey,
}

impl RsaKey {
    /// Reads a key.
    ///
    /// # Errors
    /// When it is not RSA of 2048 to 4096 bits.
    pub fn new(key: &PrivateKey) -> Result<Self, KeyError> {
        let pair = RsaKeyPair::from_pkcs8(key.as_pkcs8()).map_err(|error| {
            match error.to_string().as_str() {
                "InvalidEncoding" | "WrongAlgorithm" | "VersionNotSupported" => KeyError::NotRsa,
                _ => KeyError::Unsound,
            }
        })?;
        let public = pair.public().as_ref().to_vec();
        Ok(Self {
            pair,
            public,
            #[cfg(feature = "compat")]
            private: key.clone(),
        })
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaKey({})", self.client_id().tag())
    }
}

/// PSS first: it is what TLS 1.3 wants, and has a proof.
const SCHEMES: [SignatureScheme; 6] = [
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];

impl Key for RsaKey {
    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn schemes(&self) -> &[SignatureScheme] {
        &SCHEMES
    }

    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let encoding: &'static dyn RsaEncoding = match scheme {
            SignatureScheme::RSA_PSS_SHA256 => &signature::RSA_PSS_SHA256,
            SignatureScheme::RSA_PSS_SHA384 => &signature::RSA_PSS_SHA384,
            SignatureScheme::RSA_PSS_SHA512 => &signature::RSA_PSS_SHA512,
            SignatureScheme::RSA_PKCS1_SHA256 => &signature::RSA_PKCS1_SHA256,
            SignatureScheme::RSA_PKCS1_SHA384 => &signature::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512 => &signature::RSA_PKCS1_SHA512,
            _ => return Err(SignError),
        };
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(encoding, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| SignError)?;
        Ok(signature)
    }

    #[cfg(feature = "compat")]
    fn pkcs8(&self) -> Option<&[u8]> {
        Some(self.private.as_pkcs8())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::key;
    use super::*;
    use ring::signature::{UnparsedPublicKey, VerificationAlgorithm};

    #[test]
    fn every_scheme_signs_what_its_verifier_believes() {
        let key = RsaKey::new(&key()).unwrap();
        let verifiers: [&'static dyn VerificationAlgorithm; 6] = [
            &signature::RSA_PSS_2048_8192_SHA256,
            &signature::RSA_PSS_2048_8192_SHA384,
            &signature::RSA_PSS_2048_8192_SHA512,
            &signature::RSA_PKCS1_2048_8192_SHA256,
            &signature::RSA_PKCS1_2048_8192_SHA384,
            &signature::RSA_PKCS1_2048_8192_SHA512,
        ];
        for (&scheme, verifier) in key.schemes().iter().zip(verifiers) {
            let signature = key.sign(scheme, b"hello").unwrap();
            let public = UnparsedPublicKey::new(verifier, key.public_key());
            public.verify(b"hello", &signature).unwrap();
            public.verify(b"hallo", &signature).unwrap_err();
        }
        let ecdsa = SignatureScheme::ECDSA_NISTP256_SHA256;
        assert_eq!(key.sign(ecdsa, b"hello"), Err(SignError));
    }

    #[test]
    fn a_key_shows_nothing_of_itself() {
        let private = key();
        let public = RsaKey::new(&private).unwrap();
        assert_eq!(format!("{private:?}"), "PrivateKey(…)");
        assert_eq!(format!("{public:?}"), format!("RsaKey({})", public.client_id().tag()));
    }

    #[test]
    fn what_is_not_a_key_of_ours() {
        let read = |der: &[u8]| RsaKey::new(&PrivateKey::from_pkcs8(der.to_vec())).err();
        assert_eq!(read(b""), Some(KeyError::NotRsa));
        assert_eq!(read(b"hello"), Some(KeyError::NotRsa));
        let ecdsa = rcgen::KeyPair::generate().unwrap();
        assert_eq!(read(&ecdsa.serialize_der()), Some(KeyError::NotRsa));
        let mut broken = key().as_pkcs8().to_vec();
        let middle = broken.len() / 2;
        broken[middle] ^= 1;
        assert_eq!(read(&broken), Some(KeyError::Unsound));
        let short = RsaPrivateKey::new(&mut OsRng, 1024).unwrap();
        let short = short.to_pkcs8_der().unwrap();
        assert_eq!(read(short.as_bytes()), Some(KeyError::Unsound));
    }

    #[test]
    fn the_sizes() {
        let bits: Vec<usize> =
            [KeySize::Rsa2048, KeySize::Rsa3072, KeySize::Rsa4096].map(KeySize::bits).to_vec();
        assert_eq!(bits, [2048, 3072, 4096]);
        let key = RsaKey::new(&PrivateKey::generate(KeySize::Rsa3072).unwrap()).unwrap();
        assert_eq!(key.pair.public().modulus_len() * 8, 3072);
    }
}
