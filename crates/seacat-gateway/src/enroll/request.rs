//! CSR: a client's signing request, checked (wire specification, sections 3.7 and 5.2).
//!
//! Reference clients write version 1 where PKCS#10 knows version 0 alone, and sign with SHA-1. Both
//! are accepted: the signature only proves that the sender holds the key.

use rcgen::{DistinguishedName, DnType, DnValue};
use x509_parser::asn1_rs::{Any, Ia5String, Tag};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use crate::client_id::{ClientId, rsa_key};

/// A certificate repeats what the request says and must fit into a frame of 16 KiB itself, with
/// all we add; the requests seen in the field have 800 bytes.
pub(crate) const LARGEST: usize = 8 * 1024;

/// RSA keys of fewer bits are too weak, of more too slow to be checked for strangers.
const KEY_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The extension with the application's label (wire specification, section 5.2).
const APPLICATION: &str = "1.3.6.1.4.1.47278.1";

/// A request whose signature is good.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The client's id.
    pub(crate) id: ClientId,
    /// The request as received.
    pub(crate) der: Vec<u8>,
    /// PKCS#1 `RSAPublicKey`.
    pub(crate) key: Vec<u8>,
    pub(crate) subject: DistinguishedName,
    /// What it states about the client.
    pub(crate) about: About,
}

/// What a client states about itself in its request. It is not verified and may contain control
/// characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// The subject, like `CN=Anna, O=Example`.
    pub subject: String,
    /// E-mail addresses in its subjectAltName.
    pub emails: Vec<String>,
    /// The application's label.
    pub application: Option<String>,
}

/// Why a request is rejected permanently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadRequest {
    #[error("it is larger than {LARGEST} bytes")]
    TooLarge,
    #[error("it is not PKCS#10")]
    NotPkcs10,
    #[error("its key is not an RSA key of {} to {} bits", KEY_BITS.start(), KEY_BITS.end())]
    Key,
    #[error("its signature is not made with its key")]
    Signature,
    #[error("its subject cannot stand in a certificate: each kind of name once, as text")]
    Subject,
    #[error("an e-mail address in it is not ASCII")]
    Email,
}

impl Request {
    /// Checks a request.
    ///
    /// # Errors
    /// [`BadRequest`] when no certificate can be made of it, now or later.
    pub(crate) fn parse(der: &[u8]) -> Result<Self, BadRequest> {
        if der.len() > LARGEST {
            return Err(BadRequest::TooLarge);
        }
        let (rest, csr) =
            X509CertificationRequest::from_der(der).map_err(|_| BadRequest::NotPkcs10)?;
        if !rest.is_empty() {
            return Err(BadRequest::NotPkcs10);
        }
        let info = &csr.certification_request_info;
        let key = rsa_key(&info.subject_pki).ok_or(BadRequest::Key)?;
        match info.subject_pki.parsed() {
            Ok(PublicKey::RSA(rsa)) if KEY_BITS.contains(&rsa.key_size()) => {}
            _ => return Err(BadRequest::Key),
        }
        csr.verify_signature().map_err(|_| BadRequest::Signature)?;

        let mut request = Self {
            id: ClientId::of_key(key),
            der: der.to_vec(),
            key: key.to_vec(),
            subject: subject(&info.subject)?,
            about: About { subject: info.subject.to_string(), ..About::default() },
        };
        for attribute in info.attributes() {
            if let ParsedCriAttribute::ExtensionRequest(wanted) = attribute.parsed_attribute() {
                for extension in &wanted.extensions {
                    request.heed(extension)?;
                }
            }
        }
        Ok(request)
    }

    /// Reads the known extensions. Key usage is decided by the gateway, not by the client.
    fn heed(&mut self, extension: &X509Extension<'_>) -> Result<(), BadRequest> {
        if let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension() {
            for name in &names.general_names {
                let GeneralName::RFC822Name(email) = name else {
                    continue;
                };
                if !email.is_ascii() {
                    return Err(BadRequest::Email);
                }
                self.about.emails.push((*email).to_owned());
            }
        }
        if extension.oid.to_id_string() == APPLICATION {
            let label = Ia5String::from_der(extension.value);
            self.about.application = label.ok().map(|(_, label)| label.string());
        }
        Ok(())
    }
}

/// The subject in the form that rcgen writes. rcgen keeps one value of each kind.
fn subject(name: &X509Name<'_>) -> Result<DistinguishedName, BadRequest> {
    let mut subject = DistinguishedName::new();
    for attribute in name.iter_attributes() {
        let kind: Vec<u64> = attribute.attr_type().iter().ok_or(BadRequest::Subject)?.collect();
        let kind = DnType::from_oid(&kind);
        if subject.get(&kind).is_some() {
            return Err(BadRequest::Subject);
        }
        subject.push(kind, value(attribute).ok_or(BadRequest::Subject)?);
    }
    Ok(subject)
}

/// A value in its own string type, or in UTF-8 where that is obsolete or was used wrongly.
fn value(attribute: &AttributeTypeAndValue<'_>) -> Option<DnValue> {
    let value: &Any<'_> = attribute.attr_value();
    let text = match value.header.tag() {
        Tag::PrintableString | Tag::Ia5String | Tag::Utf8String => {
            std::str::from_utf8(value.data).ok()?.to_owned()
        }
        Tag::T61String => value.data.iter().map(|&byte| char::from(byte)).collect(),
        Tag::BmpString => {
            let (units, rest) = value.data.as_chunks::<2>();
            let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
            let text: Result<String, _> = char::decode_utf16(units).collect();
            text.ok().filter(|_| rest.is_empty())?
        }
        _ => return None,
    };
    Some(match value.header.tag() {
        Tag::PrintableString => match text.as_str().try_into() {
            Ok(printable) => DnValue::PrintableString(printable),
            Err(_) => DnValue::Utf8String(text),
        },
        Tag::Ia5String => DnValue::Ia5String(text.as_str().try_into().ok()?),
        _ => DnValue::Utf8String(text),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    /// The body of a recorded frame of this name.
    pub(crate) fn golden(name: &str) -> Vec<u8> {
        let file = include_str!("../../../seacat-proto/tests/golden/identity.json");
        let frames: serde_json::Value = serde_json::from_str(file).unwrap();
        let frames = frames.as_array().unwrap();
        let frame = frames.iter().find(|it| it["name"] == name).unwrap();
        let hex = frame["hex"].as_str().unwrap();
        let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
        bytes[8..].to_vec()
    }

    #[test]
    fn requests_of_the_reference_client_are_taken() {
        let der = golden("csr");
        let request = Request::parse(&der).unwrap();
        // Its CERT_QUERY contains the key that the id is derived from.
        assert_eq!(request.key, golden("cert_query")[4..]);
        assert_eq!(request.id, ClientId::of_key(&golden("cert_query")[4..]));
        assert_eq!(request.id.tag(), "[6X44WDUMSC2PK46D]");
        assert!(request.id.to_string().starts_with("f5f9cb0e8c90b4f573c37a4f"));
        assert_eq!(ClientId::of_certificate(&golden("cert")[4..]), Some(request.id));
        assert_eq!(request.about.subject, "CN=Test User, C=CZ, O=Test Org");
        assert_eq!(request.about.emails, ["alt@example.com"]);
        let label = "fcb8e55c185661e4fbc087688c1bb717py3-dev";
        assert_eq!(request.about.application.as_deref(), Some(label));

        let request = Request::parse(&golden("csr_with_subject")).unwrap();
        assert_eq!(request.key, golden("cert_query_anonymous")[4..]);
        assert_eq!(request.id.tag(), "[DHB63WMKUJLQLBI6]");
        let subject = "CN=Test User, C=CZ, O=Test Org, Email=a@example.com";
        assert_eq!(request.about.subject, subject);
    }

    #[test]
    fn what_is_not_a_good_request_is_refused() {
        let good = golden("csr");
        let with = |at: usize, bits: u8| {
            let mut bad = good.clone();
            bad[at] ^= bits;
            Request::parse(&bad).map(drop)
        };
        assert_eq!(with(good.len() - 1, 1), Err(BadRequest::Signature));
        let name = good.windows(4).position(|it| it == b"Test").unwrap();
        assert_eq!(with(name, 1), Err(BadRequest::Signature));
        // Changing any bit of the signed part or of the signature must be detected. The name of the
        // algorithm between them is not signed.
        const SHA1_WITH_RSA: [u8; 9] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 5];
        let at = good.windows(9).position(|it| it == SHA1_WITH_RSA).unwrap();
        let unsigned = at - 4..at + 11;
        for at in (0..good.len()).filter(|at| !unsigned.contains(at)) {
            assert!(with(at, 1 << (at % 8)).is_err(), "bit of byte {at}");
        }
        for length in 0..good.len() {
            assert!(Request::parse(&good[..length]).is_err(), "{length} bytes");
        }
        let long = [&good[..], b"\0"].concat();
        assert_eq!(Request::parse(&long).map(drop), Err(BadRequest::NotPkcs10));
        let huge = vec![0x30; LARGEST + 1];
        assert_eq!(Request::parse(&huge).map(drop), Err(BadRequest::TooLarge));
        assert_eq!(Request::parse(b"").map(drop), Err(BadRequest::NotPkcs10));

        let elliptic =
            CertificateParams::default().serialize_request(&KeyPair::generate().unwrap()).unwrap();
        let got = Request::parse(elliptic.der()).map(drop);
        assert_eq!(got, Err(BadRequest::Key));
    }
}
