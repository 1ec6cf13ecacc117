//! What the tests of the identity share.

use std::sync::OnceLock;

use super::key::{Key, KeySize, PrivateKey};
use crate::testing::{Ca, leaf};

/// The whole frame of this name, as the reference client and its gateway exchanged it.
pub(crate) fn golden(name: &str) -> Vec<u8> {
    let text = include_str!("../../../seacat-proto/tests/golden/identity.json");
    // No JSON reader for one field: the vectors are written one key a line.
    let item = text
        .split("\"name\": ")
        .find(|item| item.starts_with(&format!("\"{name}\"")))
        .unwrap_or_else(|| panic!("no vector {name}"));
    let hex = item.split("\"hex\": \"").nth(1).unwrap().split('"').next().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// One RSA key for all tests: making one takes a while.
pub(crate) fn key() -> PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(|| PrivateKey::generate(KeySize::Rsa2048).unwrap()).clone()
}

/// A certificate of a CA of the tests for this key, good for a year.
pub(crate) fn certificate_for(key: &dyn Key) -> Vec<u8> {
    issue(key, 365 * 86_400)
}

/// The same of a new CA.
pub(crate) fn certificate_of(ca: &str, key: &dyn Key) -> Vec<u8> {
    issue_by(&Ca::new(ca), key, 365 * 86_400)
}

/// A certificate that began a minute ago and lives this long, in seconds.
pub(crate) fn issue(key: &dyn Key, life: i64) -> Vec<u8> {
    static CA: OnceLock<Ca> = OnceLock::new();
    issue_by(CA.get_or_init(|| Ca::new("clients")), key, life)
}

fn issue_by(ca: &Ca, key: &dyn Key, life: i64) -> Vec<u8> {
    let mut params = leaf("a client", &[]);
    let start = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    params.not_before = start.into();
    params.not_after = params.not_before + std::time::Duration::from_secs(life as u64);
    ca.certify(&params, &Public(key)).to_vec()
}

struct Public<'a>(&'a dyn Key);

impl rcgen::PublicKeyData for Public<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}
