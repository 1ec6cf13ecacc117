//! Where an identity outlives the program: the key in the operating system's key store or a
//! private file, the rest in files. Killed between any two writes, the next start continues.
//!
//! ```text
//!   state.json           where the key is, how far the request is
//!   key.pk8              the key, only where the key store was of no use
//!   request.der          the CSR, from its making until the certificate is there
//!   certificate.der
//!   certificate-….der    good ones of other issuers: no gateway overwrites another's
//! ```
//!
//! The order of the writes is what makes this safe, and stands at each function. All of it may
//! block for seconds.

#[cfg(not(target_os = "linux"))]
mod credentials;
mod disk;
#[cfg(test)]
pub(crate) mod fuse;
pub(crate) mod keyring;
mod record;
#[cfg(target_os = "linux")]
mod secret_service;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::certificate::{Certificate, CertificateFault};
use super::csr;
use super::key::{Key, KeyError, KeySize, PrivateKey, RsaKey};
use super::lifecycle::Mark;
pub(crate) use disk::Disk;
pub use keyring::KeyringError;
pub(crate) use keyring::Vault;
pub use record::RecordError;
pub(crate) use record::{Place, Record};

const STATE: &str = "state.json";
/// What it was before it was JSON.
const OLD_STATE: &str = "state";
const KEY: &str = "key.pk8";
const REQUEST: &str = "request.der";
const CERTIFICATE: &str = "certificate.der";
/// How the names of the files of other issuers' certificates begin.
const OTHERS: &str = "certificate-";

/// Other issuers' certificates that are kept: a group has few gateways.
const OTHERS_MAX: usize = 4;

/// Why something could not be stored or found.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file.
    #[error("the identity's files cannot be used: {0}")]
    Io(#[from] io::Error),
    /// The key store, when the key is in it.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The key itself.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The request.
    #[error(transparent)]
    Csr(#[from] csr::CsrError),
    /// A certificate that came.
    #[error(transparent)]
    Certificate(#[from] CertificateFault),
    /// The note about how far we are.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) key: Option<Arc<dyn Key>>,
    pub(crate) certificate: Option<Certificate>,
    /// Those of other issuers.
    pub(crate) others: Vec<Certificate>,
    pub(crate) request: Option<Vec<u8>>,
}

/// A certificate that was stored, and those beside it.
#[derive(Debug)]
pub(crate) struct Installed {
    pub(crate) certificate: Certificate,
    pub(crate) others: Vec<Certificate>,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({})", self.serial)
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Store {
    disk: Disk,
    /// A folder that is taken over when ours is not there.
    legacy: Option<PathBuf>,
    /// None: the user wants a file.
    vault: Option<Arc<dyn Vault>>,
    pub(crate) record: Record,
    /// Why the key is not in the key store, if it should be.
    pub(crate) problem: Option<KeyringError>,
}

impl Store {
    pub(crate) fn new(folder: PathBuf, vault: Option<Arc<dyn Vault>>) -> Self {
        Self::on(Disk::new(folder), vault)
    }

    pub(crate) fn on(disk: Disk, vault: Option<Arc<dyn Vault>>) -> Self {
        Self { disk, legacy: None, vault, record: Record::default(), problem: None }
    }

    /// Takes over what is in `legacy` when it is opened for the first time.
    pub(crate) fn adopting(self, legacy: Option<PathBuf>) -> Self {
        Self { legacy, ..self }
    }

    /// Where the key is, for people.
    pub(crate) fn place(&self) -> Option<String> {
        match &self.record.key {
            Place::Nowhere | Place::Making(_) => None,
            Place::Keyring(_) => self.vault.as_ref().map(|vault| vault.name().to_owned()),
            Place::File(_) => Some(self.disk.path(KEY).display().to_string()),
        }
    }

    /// Looks for everything. A key that exists and cannot be read now is an error, so that nobody
    /// makes a second one.
    pub(crate) fn open(&mut self) -> Result<Found, StoreError> {
        self.adopt()?;
        self.record = self.read_record()?;
        let Some(private) = self.find_key()? else {
            return Ok(Found::default());
        };
        let key: Arc<dyn Key> = Arc::new(RsaKey::new(&private)?);
        let certificate = self.disk.read(CERTIFICATE)?.and_then(|der| {
            Certificate::read_for(&der, key.public_key())
                .inspect_err(|fault| tracing::warn!(%fault, "the stored certificate is of no use"))
                .ok()
        });
        let others = self.others(&*key)?;
        Ok(Found { key: Some(key), certificate, others, request: self.disk.read(REQUEST)? })
    }

    /// One rename: before it everything is in the old folder, after it in ours.
    fn adopt(&self) -> Result<(), StoreError> {
        match &self.legacy {
            Some(legacy) => Ok(self.disk.adopt(legacy)?),
            None => Ok(()),
        }
    }

    /// The note, in its older form where there is no other. That stays until the next is written.
    fn read_record(&self) -> Result<Record, StoreError> {
        if let Some(text) = self.disk.read(STATE)? {
            return Ok(Record::from_json(STATE, &text)?);
        }
        let lines = self.disk.read(OLD_STATE)?.unwrap_or_default();
        Ok(Record::from_lines(&String::from_utf8_lossy(&lines)))
    }

    /// The certificates of other issuers for this key.
    fn others(&self, key: &dyn Key) -> Result<Vec<Certificate>, StoreError> {
        let mut others = Vec::new();
        for name in self.disk.list(OTHERS)? {
            let der = self.disk.read(&name)?.unwrap_or_default();
            others.extend(Certificate::read_for(&der, key.public_key()));
        }
        Ok(others)
    }

    fn find_key(&mut self) -> Result<Option<PrivateKey>, StoreError> {
        match self.record.key.clone() {
            Place::Nowhere => Ok(None),
            Place::File(_) => self.key_file(),
            Place::Keyring(id) => {
                let vault =
                    self.vault.clone().unwrap_or_else(|| Arc::new(keyring::Keyring::default()));
                let in_file = self.key_file()?;
                match vault.get(&id)? {
                    // A copy is left over when the program was killed while the key moved.
                    Some(key) => {
                        if in_file.as_ref() == Some(&key) {
                            self.disk.remove(KEY)?;
                        }
                        Ok(Some(key))
                    }
                    // The key store does not have it: another one answers, or it was emptied.
                    None if in_file.is_some() => {
                        self.remember_place(Place::File(id))?;
                        Ok(in_file)
                    }
                    None => Ok(None),
                }
            }
            // Interrupted. Wherever it got to, no request has been sent with it.
            Place::Making(id) => {
                let in_vault = self.vault.as_ref().map(|vault| vault.get(&id));
                if let Some(Ok(Some(key))) = in_vault {
                    self.remember_place(Place::Keyring(id))?;
                    return Ok(Some(key));
                }
                let key = self.key_file()?;
                if key.is_some() {
                    self.remember_place(Place::File(id))?;
                }
                Ok(key)
            }
        }
    }

    fn key_file(&self) -> Result<Option<PrivateKey>, StoreError> {
        Ok(self.disk.read(KEY)?.map(PrivateKey::from_pkcs8))
    }

    /// Makes a key. First the note that one is being made, under which name, and that no request
    /// (of an earlier key, perhaps) is under way; then the key; then the note where it is.
    pub(crate) fn make(&mut self, size: KeySize) -> Result<Arc<dyn Key>, StoreError> {
        let id = match &self.record.key {
            Place::Making(id) => id.clone(),
            _ => new_id(),
        };
        self.change(|record| {
            (record.key, record.mark) = (Place::Making(id.clone()), Mark::Idle);
        })?;
        let private = PrivateKey::generate(size)?;
        let key = Arc::new(RsaKey::new(&private)?);
        self.keep(&private, id)?;
        Ok(key)
    }

    /// Puts a key where it belongs and notes where that is.
    fn keep(&mut self, private: &PrivateKey, id: String) -> Result<(), StoreError> {
        match self.put_in_vault(private, &id)? {
            true => self.remember_place(Place::Keyring(id)),
            false => {
                self.disk.write(KEY, private.as_pkcs8())?;
                self.remember_place(Place::File(id))
            }
        }
    }

    /// Whether the key is in the key store now. That it cannot be is no error, but told.
    fn put_in_vault(&mut self, private: &PrivateKey, id: &str) -> Result<bool, StoreError> {
        let Some(vault) = &self.vault else {
            return Ok(false);
        };
        self.disk.point()?;
        let outcome = vault.set(id, private).and_then(|()| vault.get(id));
        self.disk.point()?;
        self.problem = match outcome {
            Ok(Some(read)) if read == *private => None,
            Ok(_) => Some(KeyringError::Unavailable("it gave back something else".to_owned())),
            Err(error) => Some(error),
        };
        Ok(self.problem.is_none())
    }

    /// Moves a key from its file to the key store, if that answers by now: the copy, the note, and
    /// only then the file goes.
    fn move_to_vault(&mut self, private: &PrivateKey) {
        let Place::File(id) = self.record.key.clone() else {
            return;
        };
        let moved = self.put_in_vault(private, &id).and_then(|moved| {
            if moved {
                self.remember_place(Place::Keyring(id))?;
                self.disk.remove(KEY)?;
            }
            Ok(())
        });
        if let Err(error) = moved {
            tracing::debug!(%error, "the key stays in its file");
        }
    }

    /// Tries once more to move the key to the key store.
    pub(crate) fn settle(&mut self) -> Result<(), StoreError> {
        if self.vault.is_some()
            && matches!(self.record.key, Place::File(_))
            && let Some(private) = self.key_file()?
        {
            self.move_to_vault(&private);
        }
        Ok(())
    }

    /// Writes a request: first the request, then that it is there.
    pub(crate) fn write_request(
        &mut self,
        key: &dyn Key,
        subject: &csr::Subject,
    ) -> Result<Vec<u8>, StoreError> {
        let der = csr::write(key, subject)?;
        self.disk.write(REQUEST, &der)?;
        self.remember(Mark::Ready, None)?;
        Ok(der)
    }

    /// Checks and stores a certificate: first that nothing is under way any more, then the
    /// certificate, then the request goes. Interrupted in between, another request is made.
    ///
    /// A good certificate of another issuer is copied beside it before.
    pub(crate) fn install(&mut self, der: &[u8], key: &dyn Key) -> Result<Installed, StoreError> {
        let certificate = Certificate::read_for(der, key.public_key())?;
        self.set_aside(&certificate, key)?;
        self.remember(Mark::Idle, None)?;
        self.disk.write(CERTIFICATE, der)?;
        self.disk.remove(REQUEST)?;
        self.disk.remove(&certificate.file_name(OTHERS))?;
        Ok(Installed { certificate, others: self.others(key)? })
    }

    /// Keeps the certificate that is there beside the next one, if that is another issuer's.
    fn set_aside(&self, next: &Certificate, key: &dyn Key) -> Result<(), StoreError> {
        let Some(der) = self.disk.read(CERTIFICATE)? else { return Ok(()) };
        let Ok(current) = Certificate::read_for(&der, key.public_key()) else { return Ok(()) };
        if current.has_issuer_of(next) {
            return Ok(());
        }
        let mut others = self.others(key)?;
        // One of each issuer, and not too many.
        others.sort_by_key(|it| it.validity.not_after);
        let surplus = (others.len() + 1).saturating_sub(OTHERS_MAX);
        for (nth, other) in others.iter().enumerate() {
            if nth < surplus || other.has_issuer_of(&current) {
                self.disk.remove(&other.file_name(OTHERS))?;
            }
        }
        Ok(self.disk.write(&current.file_name(OTHERS), &der)?)
    }

    /// Takes over a key and its certificate. The new key is stored beside the old one and becomes
    /// ours with the note; a certificate of the other key is never shown.
    pub(crate) fn import(
        &mut self,
        private: &PrivateKey,
        der: &[u8],
    ) -> Result<(Arc<dyn Key>, Certificate), StoreError> {
        let key = Arc::new(RsaKey::new(private)?);
        let certificate = Certificate::read_for(der, key.public_key())?;
        let old = self.record.key.clone();
        self.remember(Mark::Idle, None)?;
        self.keep(private, new_id())?;
        self.disk.write(CERTIFICATE, der)?;
        self.disk.remove(REQUEST)?;
        if let (Place::Keyring(id), Some(vault)) = (old, &self.vault)
            && let Err(error) = vault.delete(&id)
        {
            tracing::warn!(%error, "the old key stays in the key store");
        }
        if matches!(self.record.key, Place::Keyring(_)) {
            self.disk.remove(KEY)?;
        }
        Ok((key, certificate))
    }

    /// Forgets everything: the key first, so that nothing is lost when the key store refuses; the
    /// note last, so that a key that is left is still known.
    pub(crate) fn delete(&mut self) -> Result<(), StoreError> {
        match (self.record.key.clone(), &self.vault) {
            (Place::Keyring(id), Some(vault)) => {
                self.disk.point()?;
                vault.delete(&id)?;
                self.disk.point()?;
            }
            // There may be a copy, if the key store answered too late.
            (Place::Making(id) | Place::File(id), Some(vault)) => drop(vault.delete(&id)),
            _ => {}
        }
        self.disk.remove(KEY)?;
        self.disk.remove(CERTIFICATE)?;
        for other in self.disk.list(OTHERS)? {
            self.disk.remove(&other)?;
        }
        self.disk.remove(REQUEST)?;
        self.disk.remove(OLD_STATE)?;
        self.disk.remove(STATE)?;
        let facts = std::mem::take(&mut self.record).facts;
        self.record.facts = facts;
        self.problem = None;
        Ok(())
    }

    /// Notes how far the request is.
    pub(crate) fn remember(&mut self, mark: Mark, last_try: Option<i64>) -> Result<(), StoreError> {
        let last_try = last_try.or(self.record.last_try);
        self.change(|record| (record.mark, record.last_try) = (mark, last_try))
    }

    fn remember_place(&mut self, place: Place) -> Result<(), StoreError> {
        self.change(|record| record.key = place)
    }

    /// Changes the note, on disk and then in memory.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Record)) -> Result<(), StoreError> {
        let mut record = self.record.clone();
        change(&mut record);
        if record != self.record {
            self.disk.write(STATE, &record.to_json())?;
            self.record = record;
            self.disk.remove(OLD_STATE)?;
        }
        Ok(())
    }
}

/// A name that no other installation has.
fn new_id() -> String {
    format!("identity-{:016x}", fastrand::u64(..))
}

#[cfg(test)]
#[path = "../store_tests.rs"]
mod tests;
