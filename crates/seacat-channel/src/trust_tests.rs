//! A table of certificates and who believes them; the certificates are made on the spot.

use std::time::Duration;

use rcgen::{CertificateParams, DnType, PublicKeyData as _};
use rustls::crypto::ring::default_provider;

use super::*;
use crate::testing::{Ca, between, leaf};

/// A moment at which every certificate of the table is valid unless it says otherwise.
const NOW: Duration = Duration::from_secs(1_800_000_000); // 2027-01-15

/// The code of the refusal, or "believed".
fn judge(verifier: &Verifier, leaf: &CertificateDer<'_>, host: &str) -> String {
    let name = ServerName::try_from(host.to_owned()).unwrap();
    match verifier.verify_server_cert(leaf, &[], &name, &[], UnixTime::since_unix_epoch(NOW)) {
        Ok(_) => "believed".to_owned(),
        Err(error) => {
            let failure = Failure::from_tls(&error, true);
            format!("{}: {failure}", failure.code())
        }
    }
}

fn verifier(roots: Roots, pins: Vec<String>) -> Verifier {
    let algorithms = default_provider().signature_verification_algorithms;
    Verifier::new(&Trust { roots, pins }, algorithms).unwrap()
}

#[test]
fn who_is_believed() {
    let (ours, theirs) = (Ca::new("our CA"), Ca::new("Interceptor Inc."));
    let impostor = Ca::new("our CA");
    let gateway = || leaf("whatever", &["gateway.example"]);
    let old = |cn: &str| leaf(cn, &[]);
    let mut two_names = old("gateway.example");
    two_names.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 3]), "other.example");
    let host = "gateway.example";

    // (what, issuer, certificate, host, how the verdict begins)
    let cases: &[(&str, &Ca, CertificateParams, &str, &str)] = &[
        ("right CA, name in SAN", &ours, gateway(), host, "believed"),
        ("case does not matter", &ours, gateway(), "GATEWAY.example", "believed"),
        ("wildcard", &ours, leaf("x", &["*.gw.example"]), "a.gw.example", "believed"),
        ("IP address in SAN", &ours, leaf("x", &["192.0.2.7"]), "192.0.2.7", "believed"),
        ("no SAN, CN", &ours, old(host), host, "believed"),
        ("no SAN, CN in capitals", &ours, old("Gateway.EXAMPLE"), host, "believed"),
        ("no SAN, CN is an IP address", &ours, old("192.0.2.7"), "192.0.2.7", "believed"),
        (
            "other CA",
            &theirs,
            gateway(),
            host,
            "SC-CERT-CA: the certificate was issued by \"CN=Interceptor Inc.\"",
        ),
        ("other CA, CN", &theirs, old(host), host, "SC-CERT-CA"),
        (
            "CA with the right name, other key",
            &impostor,
            gateway(),
            host,
            "SC-CERT-CA: the certificate was issued by \"CN=our CA\"",
        ),
        (
            "other name in SAN",
            &ours,
            leaf("x", &["other.example"]),
            host,
            "SC-CERT-NAME: the certificate is not for gateway.example but for other.example",
        ),
        (
            "other name in SAN, CN does not help",
            &ours,
            leaf(host, &["other.example"]),
            host,
            "SC-CERT-NAME",
        ),
        (
            "IP address in SAN, CN does not help",
            &ours,
            leaf(host, &["192.0.2.7"]),
            host,
            "SC-CERT-NAME: the certificate is not for gateway.example but for 192.0.2.7",
        ),
        (
            "no SAN, other CN",
            &ours,
            old("other.example"),
            host,
            "SC-CERT-NAME: the certificate is not for gateway.example but for other.example",
        ),
        ("no SAN, CN is longer", &ours, old("gateway.example.evil"), host, "SC-CERT-NAME"),
        ("no SAN, wildcard CN", &ours, old("*.example"), host, "SC-CERT-NAME"),
        ("no SAN, two CNs", &ours, two_names, host, "SC-CERT-NAME"),
        (
            "expired",
            &ours,
            between(gateway(), 2020, 2024),
            host,
            "SC-CERT-EXPIRED: the gateway's certificate expired on 2024-01-01",
        ),
        (
            "not yet valid",
            &ours,
            between(gateway(), 2030, 2040),
            host,
            "SC-CERT-NOT-YET: the gateway's certificate is valid from 2030-01-01",
        ),
    ];
    let private = verifier(Roots::Pem(ours.pem()), vec![]);
    for (what, ca, params, host, expected) in cases {
        let verdict = judge(&private, &ca.issue(params).0, host);
        assert!(verdict.starts_with(expected), "{what}: {verdict}");
    }
}

#[test]
fn with_public_roots_a_common_name_is_nothing() {
    // No public CA issues for us, so the rule is asked by itself: same roots, not private.
    let ca = Ca::new("our CA");
    let as_public = Verifier { private: false, ..verifier(Roots::Pem(ca.pem()), vec![]) };
    let (by_cn, _) = ca.issue(&leaf("gateway.example", &[]));
    let (by_san, _) = ca.issue(&leaf("x", &["gateway.example"]));
    assert!(judge(&as_public, &by_cn, "gateway.example").starts_with("SC-CERT-NAME"));
    assert_eq!(judge(&as_public, &by_san, "gateway.example"), "believed");

    let public = verifier(Roots::WebPki, vec![]);
    assert!(!public.private);
    assert!(judge(&public, &by_cn, "gateway.example").starts_with("SC-CERT-CA"));
    assert!(judge(&public, &by_san, "gateway.example").starts_with("SC-CERT-CA"));
}

#[test]
fn pins_come_on_top() {
    let ca = Ca::new("our CA");
    let (certificate, key) = ca.issue(&leaf("x", &["gateway.example"]));
    let right = Pin::of(&key.subject_public_key_info()).to_string();
    let wrong = Pin::of(b"another key").to_string();
    let judge_with = |pins: &[&String], host: &str| {
        let pins = pins.iter().map(ToString::to_string).collect();
        judge(&verifier(Roots::Pem(ca.pem()), pins), &certificate, host)
    };
    assert_eq!(judge_with(&[&right], "gateway.example"), "believed");
    assert_eq!(judge_with(&[&wrong, &right], "gateway.example"), "believed");
    let refused = judge_with(&[&wrong], "gateway.example");
    assert!(refused.starts_with("SC-CERT-PIN"), "{refused}");
    assert!(refused.contains(&right), "the refusal shows the key found: {refused}");
    // A pin does not make up for a wrong name.
    assert!(judge_with(&[&right], "other.example").starts_with("SC-CERT-NAME"));
}

/// Made with `openssl x509 -req`: of version 1, and of version 3 with a SHA-1 signature.
const OLD: [&str; 2] =
    [include_str!("trust_fixtures/v1.pem"), include_str!("trust_fixtures/sha1.pem")];

#[test]
fn old_certificates_are_believed_in_compat_for_their_pinned_key_alone() {
    let ca = include_str!("trust_fixtures/ca.pem");
    let host = "gateway.example";
    for pem in OLD {
        let certificate = certificates_in(pem.as_bytes()).unwrap().remove(0);
        let (_, parsed) = X509Certificate::from_der(&certificate).unwrap();
        let pin = || vec![Pin::of(parsed.public_key().raw).to_string()];
        let with =
            |pins, compat| verifier(Roots::Pem(ca.to_owned()), pins).with_old_certificates(compat);
        assert_eq!(judge(&with(pin(), true), &certificate, host), "believed");
        let refused = judge(&with(vec![], true), &certificate, host);
        assert!(refused.starts_with("SC-CERT-BAD"), "{refused}");
        assert!(refused.ends_with("or its key pinned with tls = \"compat\""), "{refused}");
        assert!(judge(&with(pin(), false), &certificate, host).starts_with("SC-CERT-BAD"));
        let other = vec![Pin::of(b"another key").to_string()];
        assert!(judge(&with(other, true), &certificate, host).starts_with("SC-CERT-BAD"));
        let elsewhere = judge(&with(pin(), true), &certificate, "other.example");
        assert!(elsewhere.starts_with("SC-CERT-NAME"), "{elsewhere}");
        let later = UnixTime::since_unix_epoch(Duration::from_secs(5_000_000_000));
        let expired = check_dates(&parsed, later).unwrap_err();
        assert_eq!(Failure::from_tls(&expired, true).code(), "SC-CERT-EXPIRED");
        let before = UnixTime::since_unix_epoch(Duration::from_secs(1_000_000_000));
        let early = check_dates(&parsed, before).unwrap_err();
        assert_eq!(Failure::from_tls(&early, true).code(), "SC-CERT-NOT-YET");
    }
}

#[test]
fn a_ca_may_come_from_a_file_and_several_may_be_in_it() {
    let (first, second) = (Ca::new("first"), Ca::new("second"));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{}\n{}", first.pem(), second.pem())).unwrap();
    let verifier = verifier(Roots::File(file.path().to_owned()), vec![]);
    for ca in [&first, &second] {
        let (certificate, _) = ca.issue(&leaf("x", &["gateway.example"]));
        assert_eq!(judge(&verifier, &certificate, "gateway.example"), "believed");
    }

    let algorithms = default_provider().signature_verification_algorithms;
    let gone = Trust { roots: Roots::File("no/such/file.pem".into()), pins: vec![] };
    let error = Verifier::new(&gone, algorithms).unwrap_err().to_string();
    assert!(error.contains("no/such/file.pem"), "{error}");
}

#[test]
fn text_from_a_certificate_is_made_harmless() {
    let ca = Ca::new("evil\u{1b}[2J\nCA");
    let (certificate, _) = ca.issue(&leaf("x", &["gateway.example"]));
    let issuer = issuer_of(&certificate);
    assert!(issuer.starts_with("CN=evil") && !issuer.contains(char::is_control), "{issuer:?}");
    let long = "x".repeat(10_000);
    assert!(printable(&long).chars().count() <= 161);
    assert_eq!(issuer_of(&CertificateDer::from(vec![1, 2, 3])), "an unreadable issuer");
}
