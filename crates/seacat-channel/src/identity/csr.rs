//! The certificate signing request: PKCS#10 version 0, SHA-256 (wire specification, section 5.2,
//! with the remedies of section 8).

use rcgen::string::{Ia5String, PrintableString};
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, KeyUsagePurpose,
    PublicKeyData, SanType, SignatureAlgorithm, SigningKey,
};
use rustls::SignatureScheme;

use super::key::Key;

/// The extension that names the application, as an IA5String.
const APPLICATION: [u64; 8] = [1, 3, 6, 1, 4, 1, 47278, 1];

/// emailAddress (PKCS#9).
const EMAIL_ADDRESS: [u64; 7] = [1, 2, 840, 113_549, 1, 9, 1];

/// Who the certificate shall be for. All of it may be left out: the gateway's administrator
/// recognises the request by its Client Tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// CN: the user, or the computer.
    pub common_name: Option<String>,
    /// C: two letters.
    pub country: Option<String>,
    /// ST.
    pub state: Option<String>,
    /// L.
    pub locality: Option<String>,
    /// O.
    pub organization: Option<String>,
    /// OU.
    pub unit: Option<String>,
    /// An e-mail address, which becomes a subjectAltName.
    pub email: Option<String>,
    /// The application's label, for gateways that tell applications apart.
    pub application: Option<String>,
}

/// Something in a [`Subject`] that a certificate cannot say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// Not two letters.
    #[error("the country must be two letters, such as CZ, not \"{0}\"")]
    Country(String),
    /// Not an ASCII address.
    #[error("\"{0}\" is not an e-mail address that fits into a certificate")]
    Email(String),
    /// Not ASCII.
    #[error("the application's label must be ASCII, not \"{0}\"")]
    Application(String),
    /// Empty, or a line break or another control character in it.
    #[error("{what} must not be empty or hold a control character, such as a line break")]
    Unprintable {
        /// Which part.
        what: &'static str,
    },
    /// X.520 allows 64 characters.
    #[error("{what} is longer than 64 characters")]
    Long {
        /// Which part.
        what: &'static str,
    },
}

/// The longest name in a subject (X.520: ub-common-name and its like).
const LONGEST: usize = 64;

impl Subject {
    /// Checks that a certificate can say all this.
    ///
    /// # Errors
    /// The first thing it cannot say.
    pub fn validate(&self) -> Result<(), SubjectError> {
        self.params().map(drop)
    }

    fn params(&self) -> Result<CertificateParams, SubjectError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = self.name()?;
        params.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        if let Some(label) = &self.application {
            if check_name("the label", label).is_err() || !label.is_ascii() {
                return Err(SubjectError::Application(label.clone()));
            }
            // An IA5String: tag 22, the length in one byte, the characters.
            let mut content = vec![22, label.len() as u8];
            content.extend_from_slice(label.as_bytes());
            let extension = CustomExtension::from_oid_content(&APPLICATION, content);
            params.custom_extensions.push(extension);
        }
        if let Some(email) = &self.email {
            params.subject_alt_names.push(SanType::Rfc822Name(address(email)?));
        }
        Ok(params)
    }

    fn name(&self) -> Result<DistinguishedName, SubjectError> {
        let mut name = DistinguishedName::new();
        let parts = [
            ("the common name", DnType::CommonName, &self.common_name),
            ("the country", DnType::CountryName, &self.country),
            ("the state", DnType::StateOrProvinceName, &self.state),
            ("the locality", DnType::LocalityName, &self.locality),
            ("the organization", DnType::OrganizationName, &self.organization),
            ("the unit", DnType::OrganizationalUnitName, &self.unit),
        ];
        for (what, kind, text) in parts {
            let Some(text) = text else { continue };
            check_name(what, text)?;
            let value = match kind {
                DnType::CountryName => country(text)?,
                _ => DnValue::Utf8String(text.clone()),
            };
            name.push(kind, value);
        }
        if let Some(email) = &self.email {
            let kind = DnType::CustomDnType(EMAIL_ADDRESS.to_vec());
            name.push(kind, DnValue::Ia5String(address(email)?));
        }
        Ok(name)
    }
}

/// Checks a part of a subject, wherever it comes from: the command line, the control socket, the
/// configuration or the file that remembers it.
///
/// # Errors
/// When a certificate cannot hold it.
pub(crate) fn check_name(what: &'static str, text: &str) -> Result<(), SubjectError> {
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(SubjectError::Unprintable { what });
    }
    if text.chars().count() > LONGEST {
        return Err(SubjectError::Long { what });
    }
    Ok(())
}

fn country(text: &str) -> Result<DnValue, SubjectError> {
    let letters = text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
    PrintableString::try_from(text)
        .ok()
        .filter(|_| letters)
        .map(DnValue::PrintableString)
        .ok_or_else(|| SubjectError::Country(text.to_owned()))
}

fn address(text: &str) -> Result<Ia5String, SubjectError> {
    let sound = text
        .split_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'))
        && text.bytes().all(|b| b.is_ascii_graphic());
    Ia5String::try_from(text)
        .ok()
        .filter(|_| sound)
        .ok_or_else(|| SubjectError::Email(text.to_owned()))
}

/// Why there is no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// The subject cannot be said.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// The key did not sign.
    #[error("the request could not be signed")]
    NotSigned,
}

/// The request in DER.
pub(crate) fn write(key: &dyn Key, subject: &Subject) -> Result<Vec<u8>, CsrError> {
    let request =
        subject.params()?.serialize_request(&Signer(key)).map_err(|_| CsrError::NotSigned)?;
    Ok(request.der().to_vec())
}

/// A [`Key`] as rcgen wants it.
struct Signer<'a>(&'a dyn Key);

impl PublicKeyData for Signer<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

impl SigningKey for Signer<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0
            .sign(SignatureScheme::RSA_PKCS1_SHA256, message)
            .map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::RsaKey;
    use super::super::testing::{golden, key};
    use super::*;
    use x509_parser::certification_request::X509CertificationRequest;
    use x509_parser::cri_attributes::ParsedCriAttribute;
    use x509_parser::prelude::FromDer as _;

    fn subject() -> Subject {
        Subject {
            common_name: Some("Test User".into()),
            country: Some("CZ".into()),
            organization: Some("Test Org".into()),
            email: Some("a@example.com".into()),
            application: Some("fcb8e55c185661e4fbc087688c1bb717py3-tst1".into()),
            ..Subject::default()
        }
    }

    /// OID, criticality and bytes of the extensions a request asks for.
    fn extensions(request: &X509CertificationRequest<'_>) -> Vec<(String, bool, Vec<u8>)> {
        let mut found = Vec::new();
        for attribute in request.certification_request_info.iter_attributes() {
            if let ParsedCriAttribute::ExtensionRequest(asked) = attribute.parsed_attribute() {
                for it in &asked.extensions {
                    found.push((it.oid.to_id_string(), it.critical, it.value.to_vec()));
                }
            }
        }
        found.sort();
        found
    }

    /// The same subject and extensions as the reference client asks for; version and signature as
    /// they should be.
    #[test]
    fn a_request_asks_for_what_the_reference_client_asks_for() {
        let key = RsaKey::new(&key()).unwrap();
        let ours = write(&key, &subject()).unwrap();
        let (rest, ours) = X509CertificationRequest::from_der(&ours).unwrap();
        assert!(rest.is_empty());
        ours.verify_signature().unwrap();
        assert_eq!(ours.certification_request_info.version.0, 0);
        assert_eq!(ours.signature_algorithm.algorithm.to_id_string(), "1.2.840.113549.1.1.11");
        let theirs = golden("csr_with_subject")[8..].to_vec();
        let (_, theirs) = X509CertificationRequest::from_der(&theirs).unwrap();
        let email = |request: &X509CertificationRequest<'_>| {
            let alternative = extensions(request);
            alternative.into_iter().find(|it| it.0 == "2.5.29.17").unwrap().2
        };
        let without_email = |request: &X509CertificationRequest<'_>| {
            let mut all = extensions(request);
            all.retain(|it| it.0 != "2.5.29.17");
            all
        };
        assert_eq!(without_email(&ours), without_email(&theirs));
        // Theirs has another address there than in the subject.
        assert_eq!(email(&ours)[..4], [0x30, 0x0f, 0x81, 0x0d]);
        assert_eq!(email(&theirs)[..4], [0x30, 0x11, 0x81, 0x0f]);
        let name = |request: &X509CertificationRequest<'_>| {
            request.certification_request_info.subject.to_string()
        };
        assert_eq!(name(&ours), name(&theirs));
    }

    #[test]
    fn nothing_need_be_said() {
        let key = RsaKey::new(&key()).unwrap();
        let der = write(&key, &Subject::default()).unwrap();
        let (_, request) = X509CertificationRequest::from_der(&der).unwrap();
        assert_eq!(request.certification_request_info.subject.to_string(), "");
        assert_eq!(extensions(&request), [("2.5.29.15".into(), true, vec![3, 2, 5, 0xa0])]);
    }

    #[test]
    fn what_cannot_be_said() {
        let country = |text: &str| Subject { country: Some(text.into()), ..Subject::default() };
        let email = |text: &str| Subject { email: Some(text.into()), ..Subject::default() };
        for text in ["C", "CZE", "C1", "ČR"] {
            assert_eq!(country(text).validate(), Err(SubjectError::Country(text.into())));
        }
        for text in ["", "a", "@b", "a@", "a@b@c", "a b@c", "ž@c"] {
            assert_eq!(email(text).validate(), Err(SubjectError::Email(text.into())));
        }
        let name = |text: &str| Subject { common_name: Some(text.into()), ..Subject::default() };
        for text in ["", " ", "x\nfile identity-1", "x\r", "\0", "a\u{85}b"] {
            let refused = Err(SubjectError::Unprintable { what: "the common name" });
            assert_eq!(name(text).validate(), refused, "{text:?}");
        }
        let long = Subject { common_name: Some("ž".repeat(65)), ..Subject::default() };
        assert!(matches!(long.validate(), Err(SubjectError::Long { .. })));
        assert_eq!(subject().validate(), Ok(()));
    }
}
