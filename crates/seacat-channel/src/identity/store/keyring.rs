//! The operating system's key store: Secret Service, Keychain, Credential Manager.
//!
//! It may not be there, may ask a person for a password, may hang for as long as nobody answers,
//! and may come back. So every call has a thread of its own and a time limit, and a connection is
//! made anew for each (what `keyring` itself would keep after a failure is the failure).

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use keyring_core::api::CredentialStoreApi;
use keyring_core::{Entry, Error};

use crate::identity::key::PrivateKey;

/// Long enough for a key store that is being started (53 ms were measured), short enough that the
/// status says within 5 s that it does not answer.
const LIMIT: Duration = Duration::from_secs(4);

/// What our entries are found by.
const SERVICE: &str = "seacat-proxy";

/// What people see in the key store's own window.
const LABEL: &str = "SeaCat Proxy: key of this computer";

/// Why the key store was of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// It did not answer: most likely it is locked and waits for a person.
    #[error("the key store did not answer within {} s (is it locked?)", LIMIT.as_secs())]
    Silent,
    /// It is not there, or refused.
    #[error("the key store cannot be used: {0}")]
    Unavailable(String),
}

/// A place for secrets by name.
pub(crate) trait Vault: fmt::Debug + Send + Sync {
    /// What people call it.
    fn name(&self) -> &'static str;
    /// The secret of this name, if it is there.
    fn get(&self, id: &str) -> Result<Option<PrivateKey>, KeyringError>;
    fn set(&self, id: &str, key: &PrivateKey) -> Result<(), KeyringError>;
    /// Deletes what may not be there.
    fn delete(&self, id: &str) -> Result<(), KeyringError>;
}

/// The one of this computer.
#[derive(Debug, Default)]
pub(crate) struct Keyring {
    /// A call from which nobody has come back yet.
    hanging: Arc<AtomicBool>,
}

impl Vault for Keyring {
    fn name(&self) -> &'static str {
        if cfg!(target_os = "macos") {
            "Keychain"
        } else if cfg!(windows) {
            "Credential Manager"
        } else {
            "Secret Service"
        }
    }

    fn get(&self, id: &str) -> Result<Option<PrivateKey>, KeyringError> {
        self.call(id, |entry| match entry.get_secret() {
            Ok(secret) => Ok(Some(PrivateKey::from_pkcs8(secret))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(error),
        })
    }

    fn set(&self, id: &str, key: &PrivateKey) -> Result<(), KeyringError> {
        let key = key.clone();
        self.call(id, move |entry| entry.set_secret(key.as_pkcs8()))
    }

    fn delete(&self, id: &str) -> Result<(), KeyringError> {
        self.call(id, |entry| match entry.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(error),
        })
    }
}

impl Keyring {
    fn call<T: Send + 'static>(
        &self,
        id: &str,
        work: impl FnOnce(&Entry) -> keyring_core::Result<T> + Send + 'static,
    ) -> Result<T, KeyringError> {
        // One thread that hangs is enough.
        if self.hanging.swap(true, Ordering::AcqRel) {
            return Err(KeyringError::Silent);
        }
        let hanging = self.hanging.clone();
        let (sender, receiver) = mpsc::channel();
        let id = id.to_owned();
        let thread = thread::Builder::new().name("keyring".into()).spawn(move || {
            let outcome = entry(&id).and_then(|entry| work(&entry));
            hanging.store(false, Ordering::Release);
            // Nobody may be waiting any more.
            let _ = sender.send(outcome);
        });
        if let Err(error) = thread {
            self.hanging.store(false, Ordering::Release);
            return Err(KeyringError::Unavailable(error.to_string()));
        }
        match receiver.recv_timeout(LIMIT) {
            Ok(outcome) => outcome.map_err(|error| explain(&error)),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(KeyringError::Silent),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                self.hanging.store(false, Ordering::Release);
                Err(KeyringError::Unavailable("its library failed".to_owned()))
            }
        }
    }
}

fn entry(id: &str) -> keyring_core::Result<Entry> {
    #[cfg(target_os = "linux")]
    let (store, options) =
        (zbus_secret_service_keyring_store::Store::new()?, HashMap::from([("label", LABEL)]));
    #[cfg(target_os = "macos")]
    let (store, options) = (apple_native_keyring_store::keychain::Store::new()?, HashMap::new());
    #[cfg(windows)]
    let (store, options) = (windows_native_keyring_store::Store::new()?, HashMap::new());
    store.build(SERVICE, id, Some(&options))
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
