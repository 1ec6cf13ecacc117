//! Keychain of macOS and Credential Manager of Windows, through `keyring`. Neither has a password
//! of its own to be asked for while its owner is logged in.

use std::collections::HashMap;

use keyring_core::api::CredentialStoreApi;
use keyring_core::{Entry, Error};

use super::keyring::{Ask, KeyringError, SERVICE};
use crate::identity::key::PrivateKey;

pub(super) fn get(id: &str, _: &mut Ask) -> Result<Option<PrivateKey>, KeyringError> {
    match entry(id).and_then(|entry| entry.get_secret()) {
        Ok(secret) => Ok(Some(PrivateKey::from_pkcs8(secret))),
        Err(Error::NoEntry) => Ok(None),
        Err(error) => Err(explain(&error)),
    }
}

pub(super) fn set(id: &str, key: &PrivateKey, _: &mut Ask) -> Result<(), KeyringError> {
    entry(id).and_then(|entry| entry.set_secret(key.as_pkcs8())).map_err(|it| explain(&it))
}

pub(super) fn delete(id: &str, _: &mut Ask) -> Result<(), KeyringError> {
    match entry(id).and_then(|entry| entry.delete_credential()) {
        Ok(()) | Err(Error::NoEntry) => Ok(()),
        Err(error) => Err(explain(&error)),
    }
}

/// The default of Windows, "Enterprise", roams with a domain user's profile; this key is the computer's.
#[cfg(windows)]
const MODIFIERS: [(&str, &str); 1] = [("persistence", "local")];
#[cfg(target_os = "macos")]
const MODIFIERS: [(&str, &str); 0] = [];

fn entry(id: &str) -> keyring_core::Result<Entry> {
    #[cfg(target_os = "macos")]
    let store = apple_native_keyring_store::keychain::Store::new()?;
    #[cfg(windows)]
    let store = windows_native_keyring_store::Store::new()?;
    store.build(SERVICE, id, Some(&HashMap::from(MODIFIERS)))
}

/// Without the bytes that some errors carry.
fn explain(error: &Error) -> KeyringError {
    KeyringError::Unavailable(match error {
        Error::PlatformFailure(cause) | Error::NoStorageAccess(cause) => cause.to_string(),
        Error::BadEncoding(_) | Error::BadDataFormat(..) => "it holds something else".to_owned(),
        Error::Ambiguous(_) => "it holds several keys of this name".to_owned(),
        other => other.to_string(),
    })
}

#[cfg(all(test, windows))]
mod tests {
    use super::*;

    #[test]
    fn the_key_stays_on_this_computer() {
        let id = format!("test of persistence {}", std::process::id());
        let entry = entry(&id).unwrap();
        entry.set_secret(b"key").unwrap();
        let attributes = entry.get_attributes().unwrap();
        entry.delete_credential().unwrap();
        assert_eq!(attributes["persistence"], "Local");
    }
}
