//! Files as other programs export them. `testdata/make.sh` made them; the key in them is for
//! these tests alone.

use super::*;

/// A moment at which the good certificate is good.
const NOW: i64 = 1_795_000_000;

macro_rules! file {
    ($name:literal) => {
        ($name, &include_bytes!(concat!("testdata/", $name))[..])
    };
}

#[test]
fn every_kind_of_file_gives_the_same_key_and_certificate() {
    let expected = Imported::read(file!("both.pem").1, None, NOW).unwrap();
    for (name, bytes, password) in [
        (file!("both-pkcs1.pem").0, file!("both-pkcs1.pem").1, None),
        (file!("openssl3.p12").0, file!("openssl3.p12").1, Some("secret")),
        (file!("openssl11.p12").0, file!("openssl11.p12").1, Some("secret")),
        (file!("windows.p12").0, file!("windows.p12").1, Some("secret")),
        (file!("macos.p12").0, file!("macos.p12").1, Some("secret")),
        (file!("with-chain.p12").0, file!("with-chain.p12").1, Some("secret")),
        (file!("umlaut.p12").0, file!("umlaut.p12").1, Some("žluťoučký")),
        (file!("empty-password.p12").0, file!("empty-password.p12").1, None),
    ] {
        let imported =
            Imported::read(bytes, password, NOW).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(imported.certificate, expected.certificate, "{name}");
        let public = |it: &Imported| RsaKey::new(&it.key).unwrap().public_key().to_vec();
        assert_eq!(public(&imported), public(&expected), "{name}");
    }
}

#[test]
fn every_failure_has_its_own_message() {
    let unreadable = ImportError::Unreadable;
    let mut messages = Vec::new();
    for ((name, bytes), password, expected) in [
        (file!("openssl3.p12"), Some("wrong"), ImportError::WrongPassword),
        (file!("openssl11.p12"), Some("wrong"), ImportError::WrongPassword),
        (file!("openssl3.p12"), None, ImportError::PasswordNeeded),
        (file!("no-key.p12"), Some("secret"), ImportError::NoKey),
        (file!("no-certificate.p12"), Some("secret"), ImportError::NoCertificate),
        (file!("mismatch.pem"), None, ImportError::Mismatch),
        (
            file!("expired.p12"),
            Some("secret"),
            ImportError::Expired { not_after: "2020-01-02".into() },
        ),
        (file!("encrypted.pem"), None, ImportError::EncryptedPem),
        (file!("ecdsa.pem"), None, ImportError::Key(KeyError::NotRsa)),
        (("rubbish", &b"hello"[..]), None, unreadable),
    ] {
        let error = Imported::read(bytes, password, NOW).unwrap_err();
        assert_eq!(error, expected, "{name}");
        messages.push(error.to_string());
    }
    messages.sort();
    messages.dedup();
    assert_eq!(messages.len(), 9, "{messages:?}");
}
