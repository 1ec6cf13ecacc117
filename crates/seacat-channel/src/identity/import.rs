//! A key and its certificate from a file that somebody exported elsewhere: PKCS#12 or PEM.

use p12_keystore::Pkcs12Archive;
use p12_keystore::error::Error as P12Error;
use rsa::pkcs8::PrivateKeyInfo;
use rsa::pkcs8::der::Encode as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::certificate::Certificate;
use super::key::{Key as _, KeyError, PrivateKey, RsaKey};

/// What such a file held.
#[derive(Debug)]
pub struct Imported {
    pub(crate) key: PrivateKey,
    pub(crate) certificate: Vec<u8>,
}

/// Why a file cannot be imported. Each has its own message, for each has its own cure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// PKCS#12, and it wants a password.
    #[error("the file needs a password")]
    PasswordNeeded,
    /// Another password.
    #[error("the password is wrong")]
    WrongPassword,
    /// Neither PKCS#12 nor PEM.
    #[error("this is neither a PKCS#12 file (.p12, .pfx) nor PEM")]
    Unreadable,
    /// PKCS#12 of a kind we do not know.
    #[error("this PKCS#12 file is protected in a way that is not supported ({0})")]
    Unsupported(String),
    /// PEM with a password.
    #[error("the private key in this PEM file has a password: export it as PKCS#12 instead")]
    EncryptedPem,
    /// Certificates alone.
    #[error("there is no private key in the file")]
    NoKey,
    /// A key alone.
    #[error("there is no certificate in the file")]
    NoCertificate,
    /// Not RSA, or not a sound one.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// They do not belong together.
    #[error("no certificate in the file is for the private key in it")]
    Mismatch,
    /// Of no use any more.
    #[error("the certificate in the file expired on {not_after}")]
    Expired {
        /// Its last day, `YYYY-MM-DD`.
        not_after: String,
    },
}

impl Imported {
    /// Reads a file. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// [`ImportError`].
    pub fn read(bytes: &[u8], password: Option<&str>, now: i64) -> Result<Self, ImportError> {
        let is_pem = bytes.windows(11).any(|window| window == b"-----BEGIN ");
        let (keys, certificates) = match is_pem {
            true => from_pem(bytes)?,
            false => from_pkcs12(bytes, password)?,
        };
        Self::match_up(keys, &certificates, now)
    }

    fn match_up(
        keys: Vec<PrivateKey>,
        certificates: &[Vec<u8>],
        now: i64,
    ) -> Result<Self, ImportError> {
        let key = keys.into_iter().next().ok_or(ImportError::NoKey)?;
        if certificates.is_empty() {
            return Err(ImportError::NoCertificate);
        }
        let public = RsaKey::new(&key)?;
        let fitting = certificates
            .iter()
            .find_map(|der| Certificate::read_for(der, public.public_key()).ok())
            .ok_or(ImportError::Mismatch)?;
        if fitting.validity.not_after <= now {
            return Err(ImportError::Expired { not_after: super::day(fitting.validity.not_after) });
        }
        let certificate = fitting.der().to_vec();
        Ok(Self { key, certificate })
    }
}

type Contents = (Vec<PrivateKey>, Vec<Vec<u8>>);

fn from_pkcs12(bytes: &[u8], password: Option<&str>) -> Result<Contents, ImportError> {
    let archive = Pkcs12Archive::from_pkcs12(bytes, password.unwrap_or("")).map_err(|error| {
        match error {
            // The checksum over the file is made with the password.
            P12Error::MacError(_) | P12Error::Pkcs5Error(_) | P12Error::UnpadError => {
                match password {
                    Some(_) => ImportError::WrongPassword,
                    None => ImportError::PasswordNeeded,
                }
            }
            P12Error::UnsupportedEncryptionScheme | P12Error::UnsupportedMacAlgorithm => {
                ImportError::Unsupported(error.to_string())
            }
            _ => ImportError::Unreadable,
        }
    })?;
    let keys = archive.keys.iter().map(|bag| PrivateKey::from_pkcs8(bag.key.as_der().to_vec()));
    let certificates = archive.certs.iter().map(|bag| bag.cert.as_der().to_vec());
    Ok((keys.collect(), certificates.collect()))
}

fn from_pem(bytes: &[u8]) -> Result<Contents, ImportError> {
    let locked = [&b"BEGIN ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"];
    if locked.iter().any(|mark| bytes.windows(mark.len()).any(|window| window == *mark)) {
        return Err(ImportError::EncryptedPem);
    }
    let certificates: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(bytes)
        .map(|der| der.map(|der| der.to_vec()))
        .collect::<Result<_, _>>()
        .map_err(|_| ImportError::Unreadable)?;
    let keys = match PrivateKeyDer::from_pem_slice(bytes) {
        Ok(PrivateKeyDer::Pkcs8(der)) => {
            vec![PrivateKey::from_pkcs8(der.secret_pkcs8_der().to_vec())]
        }
        Ok(PrivateKeyDer::Pkcs1(der)) => vec![from_pkcs1(der.secret_pkcs1_der())?],
        Ok(_) => return Err(KeyError::NotRsa.into()),
        Err(_) => Vec::new(),
    };
    Ok((keys, certificates))
}

/// PKCS#8 is PKCS#1 with a name tag; whether it is sound shows when it is used.
fn from_pkcs1(der: &[u8]) -> Result<PrivateKey, KeyError> {
    let info = PrivateKeyInfo::new(rsa::pkcs1::ALGORITHM_ID, der);
    info.to_der().map(PrivateKey::from_pkcs8).map_err(|_| KeyError::NotRsa)
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
