//! The CA that signs client certificates.
//!
//! It is not the CA of the gateway's own certificate. That CA authenticates the gateway to every
//! client; its key can be taken offline once the server certificate is made. This one must be
//! online whenever a client enrols. A thief of its key can impersonate neither the gateway nor a
//! client: an identity is a certificate on the gateway's allow-list, not just one issued by this
//! CA.

use std::fmt;
use std::time::{Duration, SystemTime};

use rcgen::string::Ia5String;
use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_RSA_SHA256, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::request::Request;
use crate::pki::{self, PkiError};

/// Clients' clocks may be slow. A certificate starts this long ago …
const CLOCK_SKEW: Duration = Duration::from_secs(3600);
/// … but never more than this part of its lifetime: clients renew by the part that is left, and a
/// certificate that starts half expired would be renewed endlessly.
const SKEW_PART: u32 = 10;

/// A CA with its key.
pub struct ClientCa {
    issuer: Issuer<'static, KeyPair>,
    until: SystemTime,
    #[cfg(test)]
    der: CertificateDer<'static>,
}

/// A certificate and when it ends.
pub(crate) struct Certificate {
    pub(crate) der: Vec<u8>,
    pub(crate) from: SystemTime,
    pub(crate) until: SystemTime,
}

impl ClientCa {
    /// A CA from its certificate and key, both PEM.
    ///
    /// # Errors
    /// [`PkiError`] when either is unreadable, or they do not belong together.
    pub fn from_pem(certificate: &[u8], key: &str) -> Result<Self, PkiError> {
        let certificate = pki::certificates(certificate)?.swap_remove(0);
        let key = KeyPair::from_pem(key).map_err(|_| PkiError::NoKey)?;
        Self::new(&certificate, key)
    }

    /// A CA that exists in memory alone.
    ///
    /// # Errors
    /// [`PkiError::Make`] when the system has no randomness.
    pub fn generate() -> Result<Self, PkiError> {
        let (certificate, key) = pki::client_ca("in memory")?;
        Self::new(certificate.der(), key)
    }

    fn new(certificate: &CertificateDer<'_>, key: KeyPair) -> Result<Self, PkiError> {
        let (_, parsed) =
            X509Certificate::from_der(certificate).map_err(|_| PkiError::NoCertificate)?;
        if parsed.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
            return Err(PkiError::CaKey);
        }
        // A CA from before 1970 or with a year beyond 9999 has no use either way.
        let until = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
        Ok(Self {
            until: SystemTime::UNIX_EPOCH + Duration::from_secs(until),
            issuer: Issuer::from_ca_cert_der(certificate, key)?,
            #[cfg(test)]
            der: certificate.clone().into_owned(),
        })
    }

    /// Issues a certificate for the key and subject of a request. It is valid for this duration
    /// from now on, but not longer than the CA.
    pub(crate) fn issue(
        &self,
        request: &Request,
        life: Duration,
        now: SystemTime,
    ) -> Result<Certificate, rcgen::Error> {
        let from = now - CLOCK_SKEW.min(life / SKEW_PART);
        let until = (now + life).min(self.until);
        let mut params = CertificateParams::default();
        params.distinguished_name = request.subject.clone();
        for email in &request.about.emails {
            let email = Ia5String::try_from(email.as_str())?;
            params.subject_alt_names.push(SanType::Rfc822Name(email));
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial()?);
        (params.not_before, params.not_after) = (from.into(), until.into());
        let certificate = params.signed_by(&Key(&request.key), &self.issuer)?;
        Ok(Certificate { der: certificate.der().to_vec(), from, until })
    }
}

/// 128 random bits (the CA/Browser Forum requires 64): serial numbers are unique without a stored
/// counter. The first bits are fixed, because DER drops leading zeros and a leading one makes the
/// number negative.
fn serial() -> Result<SerialNumber, rcgen::Error> {
    let mut bytes = [0; 17];
    SystemRandom::new().fill(&mut bytes[1..]).map_err(|_| rcgen::Error::RingUnspecified)?;
    bytes[0] = 0x01;
    Ok(SerialNumber::from_slice(&bytes))
}

/// A client's RSA key, as rcgen wants it. The algorithm stands for the key's type here; SHA-256
/// does not appear in the certificate.
struct Key<'a>(&'a [u8]);

impl PublicKeyData for Key<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_RSA_SHA256
    }
}

impl fmt::Debug for ClientCa {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCa").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::RootCertStore;
    use rustls::pki_types::UnixTime;
    use rustls::server::WebPkiClientVerifier;

    use super::*;
    use crate::client_id::ClientId;
    use crate::enroll::request::tests::golden;

    #[test]
    fn a_certificate_contains_what_the_request_contained_only() {
        let ca = ClientCa::generate().unwrap();
        let request = Request::parse(&golden("csr_with_subject")).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        // Lifetime -> seconds before now that it begins.
        for (life, before) in [(1, 1), (60, 6), (86_400, 3600), (31_536_000, 3600)] {
            let issued = ca.issue(&request, Duration::from_secs(life), now).unwrap();
            let (rest, parsed) = X509Certificate::from_der(&issued.der).unwrap();
            assert!(rest.is_empty());
            let validity = parsed.validity();
            assert_eq!(validity.not_before.timestamp(), 1_800_000_000 - before);
            let life = i64::try_from(life).unwrap();
            assert_eq!(validity.not_after.timestamp(), 1_800_000_000 + life);
            assert_eq!(parsed.subject().to_string(), request.about.subject);
            assert!(parsed.raw_serial().len() == 17, "{}", parsed.raw_serial_as_string());
            assert_eq!(ClientId::of_certificate(&issued.der), Some(request.id));
            let usage = parsed.key_usage().unwrap().unwrap().value;
            assert_eq!(usage.flags, 0b101, "signature and key encipherment: {usage}");
            let purposes = parsed.extended_key_usage().unwrap().unwrap().value;
            assert!(purposes.client_auth && !purposes.server_auth && !purposes.any);
            assert!(!parsed.is_ca());
            let names = parsed.subject_alternative_name().unwrap().unwrap();
            assert_eq!(names.value.general_names.len(), 1);
            let (_, issuer) = X509Certificate::from_der(&ca.der).unwrap();
            parsed.verify_signature(Some(issuer.public_key())).unwrap();
        }
        let one = ca.issue(&request, Duration::from_secs(60), now).unwrap();
        let two = ca.issue(&request, Duration::from_secs(60), now).unwrap();
        assert_ne!(one.der, two.der, "serial numbers differ");
    }

    #[test]
    fn the_chain_is_good_for_a_client_and_for_so_long() {
        let ca = ClientCa::generate().unwrap();
        let request = Request::parse(&golden("csr")).unwrap();
        let now = SystemTime::now();
        let issued = ca.issue(&request, Duration::from_secs(60), now).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(ca.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let good_after = |seconds: u64| {
            let at = UnixTime::since_unix_epoch(since_1970 + Duration::from_secs(seconds));
            let leaf = CertificateDer::from(issued.der.as_slice());
            verifier.verify_client_cert(&leaf, &[], at).is_ok()
        };
        assert_eq!([0, 58, 62].map(good_after), [true, true, false]);
    }

    #[test]
    fn no_certificate_outlives_the_ca() {
        let ca = ClientCa::generate().unwrap();
        let request = Request::parse(&golden("csr")).unwrap();
        let century = Duration::from_secs(100 * 365 * 86_400);
        let issued = ca.issue(&request, century, SystemTime::now()).unwrap();
        assert_eq!(issued.until, ca.until);
    }
}
