//! What the tests of the identity share.

use std::sync::OnceLock;

use super::key::{KeySize, PrivateKey};

/// The whole frame of this name, as the reference client and its gateway exchanged it.
pub(crate) fn golden(name: &str) -> Vec<u8> {
    let text = include_str!("../../../seacat-proto/tests/golden/identity.json");
    // No JSON reader for one field: the vectors are written one key a line.
    let item = text
        .split("\"name\": ")
        .find(|item| item.starts_with(&format!("\"{name}\"")))
        .unwrap_or_else(|| panic!("no vector {name}"));
    let hex = item
        .split("\"hex\": \"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

/// One RSA key for all tests: making one takes a while.
pub(crate) fn key() -> PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(|| PrivateKey::generate(KeySize::Rsa2048).unwrap())
        .clone()
}
