//! The operating system's key store: Secret Service, Keychain, Credential Manager.
//!
//! It may not be there, may ask a person for a password, may hang for as long as nobody answers,
//! and may come back. So every call has a thread of its own and a time limit, and makes a
//! connection of its own.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

#[cfg(not(target_os = "linux"))]
use super::credentials as platform;
#[cfg(target_os = "linux")]
use super::secret_service as platform;
use crate::identity::key::PrivateKey;

/// Long enough for a key store that is being started (53 ms were measured), short enough that the
/// status says within 5 s that it does not answer, the making of a key included.
const LIMIT: Duration = Duration::from_secs(3);

/// What our entries are found by.
pub(super) const SERVICE: &str = "seacat-proxy";

/// What people see in the key store's own window.
#[cfg(target_os = "linux")]
pub(super) const LABEL: &str = "SeaCat Proxy: key of this computer";

/// Why the key store was of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// It did not answer.
    #[error("the key store did not answer within {} s", LIMIT.as_secs())]
    Silent,
    /// It wants its password.
    #[error("the key store is locked")]
    Locked,
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
    /// Whether a call is under way, other than one that waits for a person.
    busy: Arc<Busy>,
    /// A person has been asked for the password.
    asked: Arc<AtomicBool>,
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
        let id = id.to_owned();
        self.call(self.asked.clone(), move |ask| platform::get(&id, ask))
    }

    fn set(&self, id: &str, key: &PrivateKey) -> Result<(), KeyringError> {
        let (id, key) = (id.to_owned(), key.clone());
        self.call(self.asked.clone(), move |ask| platform::set(&id, &key, ask))
    }

    /// Only a person deletes, and may be asked each time.
    fn delete(&self, id: &str) -> Result<(), KeyringError> {
        let id = id.to_owned();
        self.call(Arc::default(), move |ask| platform::delete(&id, ask))
    }
}

impl Keyring {
    fn call<T: Send + 'static>(
        &self,
        asked: Arc<AtomicBool>,
        work: impl FnOnce(&mut Ask) -> Result<T, KeyringError> + Send + 'static,
    ) -> Result<T, KeyringError> {
        // One thread that hangs is enough; several identities share the key store.
        let turn = Turn::take(&self.busy).ok_or(KeyringError::Silent)?;
        let asking = Arc::new(AtomicBool::new(false));
        let mut ask = Ask { turn: Some(turn), asked, asking: asking.clone() };
        let (sender, receiver) = mpsc::channel();
        let thread = thread::Builder::new().name("keyring".into()).spawn(move || {
            let outcome = work(&mut ask);
            drop(ask);
            // Nobody may be waiting any more.
            let _ = sender.send(outcome);
        });
        thread.map_err(|error| KeyringError::Unavailable(error.to_string()))?;
        match receiver.recv_timeout(LIMIT) {
            Ok(outcome) => outcome,
            Err(mpsc::RecvTimeoutError::Timeout) if asking.load(Ordering::Acquire) => {
                Err(KeyringError::Locked)
            }
            Err(mpsc::RecvTimeoutError::Timeout) => Err(KeyringError::Silent),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Err(KeyringError::Unavailable("its library failed".to_owned()))
            }
        }
    }
}

/// The right to be the one call that may hang; given back when dropped.
#[derive(Debug)]
struct Turn(Arc<Busy>);

#[derive(Debug, Default)]
struct Busy {
    taken: Mutex<bool>,
    freed: Condvar,
}

impl Turn {
    /// Waits for as long as a call may take.
    fn take(busy: &Arc<Busy>) -> Option<Self> {
        let taken = busy.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = busy.freed.wait_timeout_while(taken, LIMIT, |taken| *taken);
        let (mut taken, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *taken {
            return None;
        }
        *taken = true;
        Some(Self(Arc::clone(busy)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.freed.notify_one();
    }
}

/// The question for the key store's password. It is put to a person once, and after that the key
/// store is only looked at: nobody wants the same dialogue every minute.
#[derive(Debug)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "other key stores never ask"))]
pub(super) struct Ask {
    turn: Option<Turn>,
    asked: Arc<AtomicBool>,
    asking: Arc<AtomicBool>,
}

#[cfg(target_os = "linux")]
impl Ask {
    /// Whether to ask now. If so, others need not wait for the answer: it may never come.
    pub(super) fn may(&mut self) -> bool {
        let may = !self.asked.swap(true, Ordering::AcqRel);
        if may {
            self.asking.store(true, Ordering::Release);
            self.turn = None;
        }
        may
    }
}
