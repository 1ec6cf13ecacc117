//! Whether the gateway's certificate is believed: chain, name, pins.
//!
//! Chains and signatures are judged by rustls-webpki. What is ours: the issuer is named when it
//! is not known, public keys may be pinned, and with a private CA a certificate *without any*
//! subjectAltName may match by its one common name, which is how gateways of the reference era
//! were issued (wire specification, section 8).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use seacat_files::read_text;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Version;

use crate::config::{ConfigError, Pin, Roots, Trust, certificates_in};
use crate::failure::{Failure, printable};

/// Believes the certificates that a [`Trust`] describes.
#[derive(Debug)]
pub(crate) struct Verifier {
    roots: Arc<RootCertStore>,
    /// The roots are the operator's own, not the public ones.
    private: bool,
    pins: Vec<Pin>,
    algorithms: WebPkiSupportedAlgorithms,
    /// A pinned certificate may be of a kind that webpki refuses.
    old_certificates: bool,
}

impl Verifier {
    /// Reads the CA file, if there is one. It is small and read once, so it may block.
    pub(crate) fn new(
        trust: &Trust,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Result<Self, ConfigError> {
        let (roots, private) = match &trust.roots {
            Roots::WebPki => {
                let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
                (roots, false)
            }
            Roots::Pem(pem) => (private_roots(pem.as_bytes())?, true),
            Roots::File(path) => {
                let pem = read_text(path)
                    .map_err(|error| ConfigError::Pem(format!("{}: {error}", path.display())))?;
                (private_roots(pem.as_bytes())?, true)
            }
        };
        Ok(Self {
            roots: Arc::new(roots),
            private,
            pins: trust.parsed_pins()?,
            algorithms,
            old_certificates: false,
        })
    }

    /// Whether a certificate of X.509 version 1 or with a SHA-1 signature is believed for its pinned key
    /// (gateways of the reference era, `tls = "compat"`).
    pub(crate) fn with_old_certificates(self, yes: bool) -> Self {
        Self { old_certificates: yes, ..self }
    }

    /// The verdict on a certificate whose chain says nothing and whose key is pinned; nothing for any
    /// other. The handshake has proved that the gateway holds that key, which is all that a signature of
    /// the CA could add. Name and dates are looked at as ever.
    fn judge_old(
        &self,
        leaf_der: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Option<Result<(), Error>> {
        let (_, certificate) = X509Certificate::from_der(leaf_der).ok()?;
        let pinned = self.pins.contains(&Pin::of(certificate.public_key().raw));
        (self.old_certificates && pinned && is_old(&certificate)).then(|| {
            check_dates(&certificate, now)?;
            match ParsedCertificate::try_from(leaf_der) {
                Ok(leaf) => self.check_name(&leaf, leaf_der, name),
                Err(_) if matches_by_common_name(&certificate, &name.to_str()) => Ok(()),
                Err(_) => Err(wrong_name(&certificate, name)),
            }
        })
    }

    fn check_chain(
        &self,
        leaf: &ParsedCertificate<'_>,
        leaf_der: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let all = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(leaf, &self.roots, others, now, all).map_err(
            |error| match error {
                // A bad signature is a CA that has the right name and another key.
                Error::InvalidCertificate(
                    CertificateError::UnknownIssuer | CertificateError::BadSignature,
                ) => refuse(Failure::UnknownCa { issuer: issuer_of(leaf_der) }),
                other => other,
            },
        )
    }

    fn check_name(
        &self,
        leaf: &ParsedCertificate<'_>,
        leaf_der: &CertificateDer<'_>,
        name: &ServerName<'_>,
    ) -> Result<(), Error> {
        let Err(error) = verify_server_name(leaf, name) else {
            return Ok(());
        };
        let Ok((_, certificate)) = X509Certificate::from_der(leaf_der) else {
            return Err(error);
        };
        if self.private && matches_by_common_name(&certificate, &name.to_str()) {
            return Ok(());
        }
        Err(wrong_name(&certificate, name))
    }

    fn check_pins(&self, leaf: &ParsedCertificate<'_>) -> Result<(), Error> {
        let found = Pin::of(leaf.subject_public_key_info().as_ref());
        if self.pins.is_empty() || self.pins.contains(&found) {
            return Ok(());
        }
        Err(refuse(Failure::PinMismatch { found: found.to_string() }))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(verdict) = self.judge_old(end_entity, server_name, now) {
            return verdict.map(|()| ServerCertVerified::assertion());
        }
        let leaf = ParsedCertificate::try_from(end_entity)
            .map_err(|error| explain_unreadable(end_entity, error))?;
        self.check_chain(&leaf, end_entity, intermediates, now)?;
        self.check_name(&leaf, end_entity, server_name)?;
        self.check_pins(&leaf)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Judges as a [`Verifier`] does, remembers what it saw, and lets everybody pass, so that a probe
/// can look at who is there. Never for a connection that carries anything.
#[derive(Debug)]
pub(crate) struct Witness {
    judge: Verifier,
    seen: Mutex<Option<(CertificateDer<'static>, Result<(), Error>)>>,
}

impl Witness {
    pub(crate) fn new(judge: Verifier) -> Self {
        Self { judge, seen: Mutex::default() }
    }

    /// The certificate that was shown last, and what is to be thought of it.
    pub(crate) fn take(&self) -> Option<(CertificateDer<'static>, Result<(), Error>)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judge = &self.judge;
        let verdict =
            judge.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let seen = (end_entity.clone().into_owned(), verdict.map(drop));
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}

/// A verdict of ours on its way through rustls; [`Failure::from_tls`] takes it out again.
fn refuse(failure: Failure) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(failure))))
}

fn private_roots(pem: &[u8]) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates_in(pem)? {
        roots.add(certificate).map_err(|error| ConfigError::Pem(error.to_string()))?;
    }
    Ok(roots)
}

/// `sha1WithRSAEncryption` and `ecdsa-with-SHA1` (RFC 3279 section 2.2).
const SHA_1_SIGNATURES: [&str; 2] = ["1.2.840.113549.1.1.5", "1.2.840.10045.4.1"];

/// Whether webpki refuses the certificate for its version or for the kind of its signature.
fn is_old(certificate: &X509Certificate<'_>) -> bool {
    let signature = certificate.signature_algorithm.algorithm.to_id_string();
    certificate.version() == X509Version::V1 || SHA_1_SIGNATURES.contains(&signature.as_str())
}

/// webpki's word for it is `UnsupportedCertVersion`.
fn explain_unreadable(certificate: &CertificateDer<'_>, error: Error) -> Error {
    match X509Certificate::from_der(certificate) {
        Ok((_, certificate)) if certificate.version() == X509Version::V1 => {
            refuse(Failure::BadCertificate(
                "it is of X.509 version 1, which does not say what it may be used for; it must be issued \
                 anew, or its key pinned with tls = \"compat\""
                    .to_owned(),
            ))
        }
        _ => error,
    }
}

fn check_dates(certificate: &X509Certificate<'_>, now: UnixTime) -> Result<(), Error> {
    let at = |time: ASN1Time| {
        let seconds = u64::try_from(time.timestamp()).unwrap_or_default();
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    };
    let validity = certificate.validity();
    let (not_before, not_after) = (at(validity.not_before), at(validity.not_after));
    let error = match () {
        () if now.as_secs() < not_before.as_secs() => {
            CertificateError::NotValidYetContext { time: now, not_before }
        }
        () if now.as_secs() > not_after.as_secs() => {
            CertificateError::ExpiredContext { time: now, not_after }
        }
        () => return Ok(()),
    };
    Err(Error::InvalidCertificate(error))
}

fn wrong_name(certificate: &X509Certificate<'_>, name: &ServerName<'_>) -> Error {
    let expected = name.to_str().into_owned();
    refuse(Failure::WrongName { expected, found: names_in(certificate) })
}

/// The compatibility rule: no subjectAltName at all, exactly one common name, and that is `name`
/// (without regard to ASCII case).
fn matches_by_common_name(certificate: &X509Certificate<'_>, name: &str) -> bool {
    if !matches!(certificate.subject_alternative_name(), Ok(None)) {
        return false;
    }
    let mut names = certificate.subject().iter_common_name();
    match (names.next(), names.next()) {
        (Some(only), None) => only.as_str().is_ok_and(|cn| cn.eq_ignore_ascii_case(name)),
        _ => false,
    }
}

/// The names shown when none of them fits; more would not help.
const NAMES_SHOWN: usize = 5;

pub(crate) fn names_in(certificate: &X509Certificate<'_>) -> Vec<String> {
    if let Ok(Some(alternative)) = certificate.subject_alternative_name() {
        let dns_names = alternative.value.general_names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(printable(name)),
            GeneralName::IPAddress(bytes) => ip(bytes),
            _ => None,
        });
        return dns_names.take(NAMES_SHOWN).collect();
    }
    let common = certificate.subject().iter_common_name().filter_map(|cn| cn.as_str().ok());
    common.take(NAMES_SHOWN).map(printable).collect()
}

fn ip(bytes: &[u8]) -> Option<String> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(v4).to_string());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|v6| std::net::Ipv6Addr::from(v6).to_string())
}

/// Who says to have issued a certificate.
pub(crate) fn issuer_of(certificate: &CertificateDer<'_>) -> String {
    match X509Certificate::from_der(certificate) {
        Ok((_, certificate)) => printable(&certificate.issuer().to_string()),
        Err(_) => "an unreadable issuer".to_owned(),
    }
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
