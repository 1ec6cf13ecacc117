//! Certificates in a file as administrators send it: PEM, DER (`.cer`) or PKCS#7 (`.p7b`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use x509_parser::asn1_rs::{Any, Class, FromDer as _, Tag};
use x509_parser::pem::Pem;
use x509_parser::prelude::X509Certificate;

/// Characters in a line of PEM (RFC 7468, section 2).
const LINE: usize = 64;

/// The certificates in `file` as one PEM text, and nothing else that is in it; `None` without any.
#[must_use]
pub fn certificates_as_pem(file: &[u8]) -> Option<String> {
    let mut found = Vec::new();
    for block in Pem::iter_from_buffer(file).map_while(Result::ok) {
        match block.label.as_str() {
            "CERTIFICATE" => found.push(block.contents),
            "PKCS7" | "CMS" => found.extend(in_signed_data(&block.contents).unwrap_or_default()),
            _ => {}
        }
    }
    if found.is_empty() {
        found = match X509Certificate::from_der(file) {
            Ok(_) => vec![file.to_vec()],
            Err(_) => in_signed_data(file).unwrap_or_default(),
        };
    }
    (!found.is_empty()).then(|| found.iter().map(|der| pem(der)).collect())
}

/// The certificates of a PKCS#7 message of the type SignedData (RFC 5652, section 5.1), which has
/// them under the tag [0] after version, algorithms and content.
fn in_signed_data(der: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (_, message) = Any::from_der(der).ok()?;
    // The type, and the content under the tag [0].
    let content = elements(message.data).nth(1)?;
    let (_, signed) = Any::from_der(content.data).ok()?;
    let is_set = |it: &Any<'_>| it.class() == Class::ContextSpecific && it.tag() == Tag(0);
    let set = elements(signed.data).find(is_set)?;
    let certificates = whole(set.data).filter(|der| X509Certificate::from_der(der).is_ok());
    Some(certificates.map(<[u8]>::to_vec).collect())
}

/// The elements one after another.
fn elements(mut data: &[u8]) -> impl Iterator<Item = Any<'_>> {
    std::iter::from_fn(move || {
        let (rest, element) = Any::from_der(data).ok()?;
        data = rest;
        Some(element)
    })
}

/// The same, each with its tag and length.
fn whole(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (rest, _) = Any::from_der(data).ok()?;
        let (element, rest) = data.split_at(data.len() - rest.len());
        data = rest;
        Some(element)
    })
}

fn pem(der: &[u8]) -> String {
    let base64 = BASE64.encode(der);
    let lines: Vec<String> = base64
        .as_bytes()
        .chunks(LINE)
        .map(|it| it.iter().copied().map(char::from).collect())
        .collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate, and a PKCS#7 file with it and another, made by
    /// `openssl crl2pkcs7 -nocrl -certfile two.pem -outform DER`.
    fn made() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        let certificate = |name: &str| {
            let key = rcgen::KeyPair::generate().unwrap();
            let names = vec![name.to_owned()];
            rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap().der().to_vec()
        };
        let (one, two) = (certificate("one"), certificate("two"));
        // ContentInfo { signedData, [0] { SignedData { 1, {}, { data }, [0] { one, two }, {} } } }
        let tlv = |tag: u8, parts: &[&[u8]]| {
            let content = parts.concat();
            let length = u16::try_from(content.len()).unwrap().to_be_bytes();
            [&[tag, 0x82, length[0], length[1]][..], &content].concat()
        };
        const SIGNED: &[u8] = &[6, 9, 42, 134, 72, 134, 247, 13, 1, 7, 2];
        const DATA: &[u8] = &[6, 9, 42, 134, 72, 134, 247, 13, 1, 7, 1];
        let signed = tlv(
            0x30,
            &[&[2, 1, 1], &[0x31, 0], &tlv(0x30, &[DATA]), &tlv(0xa0, &[&one, &two]), &[0x31, 0]],
        );
        let file = tlv(0x30, &[SIGNED, &tlv(0xa0, &[&signed])]);
        (one, two, file)
    }

    #[test]
    fn every_form_gives_the_same_certificates() {
        let (one, two, p7b) = made();
        let (first, both) = (pem(&one), pem(&one) + &pem(&two));
        assert_eq!(certificates_as_pem(&one).as_ref(), Some(&first), "DER");
        assert_eq!(certificates_as_pem(first.as_bytes()).as_ref(), Some(&first), "PEM");
        assert_eq!(certificates_as_pem(&p7b).as_ref(), Some(&both), "PKCS#7");
        let text = pem(&p7b).replace("CERTIFICATE", "PKCS7");
        assert_eq!(certificates_as_pem(text.as_bytes()).as_ref(), Some(&both), "PKCS#7 as PEM");
    }

    #[test]
    fn a_key_does_not_leave_its_file() {
        let (one, ..) = made();
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let file = format!("{key}subject=x\n{}{key}", pem(&one));
        assert_eq!(certificates_as_pem(file.as_bytes()), Some(pem(&one)));
        for nothing in [key.as_bytes(), b"", b"film", b"-----BEGIN CERTIFICATE-----\nAAA"] {
            assert_eq!(certificates_as_pem(nothing), None);
        }
    }
}
