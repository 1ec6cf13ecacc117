//! The certificate that the gateway gives out: read, and held against our key.

use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer as _;

use super::lifecycle::Validity;
use crate::failure::printable;

/// A client certificate that could be read.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    der: CertificateDer<'static>,
    pub(crate) validity: Validity,
    public_key: Vec<u8>,
    /// Printable and short.
    pub(crate) subject: String,
    /// Printable and short.
    pub(crate) issuer: String,
    /// The issuer's name in DER.
    issuer_name: Vec<u8>,
    /// Which of the issuer's keys has signed it (RFC 5280 section 4.2.1.1). Names alone are not unique.
    issuer_key: Option<Vec<u8>>,
    /// Hexadecimal.
    pub(crate) serial: String,
}

/// Why a certificate is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// Not X.509 in DER, or something behind it.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// For another key.
    #[error("the certificate is not for this key")]
    OtherKey,
}

impl Certificate {
    pub(crate) fn read(der: &[u8]) -> Result<Self, CertificateFault> {
        let (rest, it) =
            X509Certificate::from_der(der).map_err(|_| CertificateFault::Unreadable)?;
        if !rest.is_empty() {
            return Err(CertificateFault::Unreadable);
        }
        Ok(Self {
            der: CertificateDer::from(der.to_vec()),
            validity: Validity {
                not_before: it.validity().not_before.timestamp(),
                not_after: it.validity().not_after.timestamp(),
            },
            // For RSA, the content of subjectPublicKey is the PKCS#1 form.
            public_key: it.public_key().subject_public_key.data.to_vec(),
            subject: printable(&it.subject().to_string()),
            issuer: printable(&it.issuer().to_string()),
            issuer_name: it.issuer().as_raw().to_vec(),
            issuer_key: issuer_key(&it),
            serial: it.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    /// Reads a certificate that must be for this key.
    pub(crate) fn read_for(der: &[u8], public_key: &[u8]) -> Result<Self, CertificateFault> {
        let it = Self::read(der)?;
        if it.public_key != public_key {
            return Err(CertificateFault::OtherKey);
        }
        Ok(it)
    }

    /// The issuer's name in DER, as a gateway names the CAs that it accepts.
    pub(crate) fn issuer_name(&self) -> &[u8] {
        &self.issuer_name
    }

    /// Whether another certificate is of the same issuer.
    pub(crate) fn has_issuer_of(&self, other: &Self) -> bool {
        (&self.issuer_name, &self.issuer_key) == (&other.issuer_name, &other.issuer_key)
    }

    /// A file name that no other certificate has.
    pub(crate) fn file_name(&self, prefix: &str) -> String {
        let digest = digest(&SHA256, &self.der);
        let hex: String = digest.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{prefix}{hex}.der")
    }

    pub(crate) fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }
}

fn issuer_key(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.extensions().iter().find_map(|it| match it.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(it) => Some(it.key_identifier.as_ref()?.0.to_vec()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::golden;
    use super::*;

    #[test]
    fn the_vectors_certificate_is_for_the_vectors_key() {
        let der = golden("cert")[12..].to_vec();
        let key = golden("cert_query")[12..].to_vec();
        let it = Certificate::read_for(&der, &key).unwrap();
        assert_eq!(it.issuer, "CN=ca.seacat.mobi");
        assert_eq!(it.subject, "CN=Test User, C=CZ, O=Test Org");
        assert_eq!(it.validity.not_after - it.validity.not_before, 31_536_300);
        assert_eq!(it.serial, "01a202d11659");

        let other = golden("cert_query_anonymous")[12..].to_vec();
        let fault = Certificate::read_for(&der, &other).err();
        assert_eq!(fault, Some(CertificateFault::OtherKey));
    }

    #[test]
    fn a_certificate_cut_anywhere_or_with_a_tail_is_unreadable() {
        let der = golden("cert")[12..].to_vec();
        for cut in 0..der.len() {
            let fault = Certificate::read(&der[..cut]).err();
            assert_eq!(fault, Some(CertificateFault::Unreadable), "{cut}");
        }
        let tail = [&der[..], b"x"].concat();
        assert!(Certificate::read(&tail).is_err());
    }
}
