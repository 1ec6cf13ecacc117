//! The records of the clients, in a folder or a database.
//!
//! ```text
//!   Store ──► Records ──┬──► Folder      one file per client
//!     │                 └──► Postgres    one row per client, shared by several gateways
//!     └─────► Revoked                    in memory, for the TLS handshake
//! ```
//!
//! A running gateway, further gateways and an administrator's commands use the same records at
//! the same time. A change reads, decides and writes under a lock that holds among all of them,
//! and is durable before it is acknowledged.

mod disk;
mod folder;
#[cfg(feature = "postgres")]
mod postgres;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tracing::warn;

#[cfg(test)]
pub(super) use disk::{Disk, Lock};
use folder::Folder;
#[cfg(feature = "postgres")]
pub use postgres::{InvalidDatabase, Postgres};

use super::record::{NotApplicable, Record, State};
use super::revoked::Revoked;
use crate::client_id::{ClientId, ClientName};

/// A storage for records. A record is read and changed by its client's id.
trait Records: Send + Sync + fmt::Debug {
    /// The ids of all clients, in no order.
    fn ids(&self) -> Result<Vec<ClientId>, StoreError>;

    /// The record of a client, if there is one.
    fn read(&self, id: &ClientId) -> Result<Option<Record>, StoreError>;

    /// Calls `change` once with the record of a client, while no other process can change it, and
    /// returns the record as it then is. The change is durable when this returns; after an error
    /// the record is the old or the new one.
    fn update(
        &self,
        id: &ClientId,
        change: &mut dyn FnMut(&mut Option<Record>),
    ) -> Result<Option<Record>, StoreError>;

    /// Starts watching for changes by other processes.
    fn watch(&self) -> Box<dyn Watch>;
}

/// Reports which records other processes have changed. A new one reports every record first.
pub(crate) trait Watch: Send + fmt::Debug {
    /// `None`: no record has changed since the last call. Otherwise the clients whose records may have;
    /// one that came and was removed between two calls is not among them. May block for up to a second.
    fn changed(&mut self) -> Result<Option<Vec<ClientId>>, StoreError>;

    /// Makes the next call report this client again: its record could not be read.
    fn report_again(&mut self, id: &ClientId);

    /// How long to wait between two calls.
    fn interval(&self) -> Duration;
}

/// The clients on record.
#[derive(Debug)]
pub struct Store {
    records: Box<dyn Records>,
    /// Orders the changes of this process, so that `revoked` never takes over an older record.
    turn: Mutex<()>,
    revoked: Revoked,
}

/// Why the store could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk failed, or another process holds the lock.
    #[error("the client store: {0}")]
    Disk(#[from] io::Error),
    /// The database cannot be reached, or refuses a statement.
    #[cfg(feature = "postgres")]
    #[error("the client database: {0}")]
    Database(String),
    /// A record is damaged. It is left unchanged, and its client has no identity.
    #[error("the client store: the record of {id} is damaged: {what}")]
    Damaged {
        /// The client of the record.
        id: ClientId,
        /// The parser's error.
        what: String,
    },
}

/// Why an administrator's operation failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no client by that name.
    #[error("no client of this gateway has this tag or id")]
    Unknown,
    /// Several clients have this tag.
    #[error("several clients have this tag: give the whole client id")]
    Ambiguous,
    /// The operation does not apply to the record.
    #[error("{0}")]
    NotApplicable(#[from] NotApplicable),
}

impl Store {
    /// Opens the records in this folder, which is created if necessary.
    ///
    /// # Errors
    /// The system's error.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Ok(Self::over(Folder::open(folder)?))
    }

    /// Opens the records in a database. Creates its tables, or brings them up to date.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    ///
    /// # Panics
    /// On a thread of a tokio runtime: the database's client blocks.
    #[cfg(feature = "postgres")]
    pub fn connect(database: &Postgres) -> Result<Self, StoreError> {
        Ok(Self::over(database.open()?))
    }

    /// Records in memory.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::over(Folder::in_memory())
    }

    fn over(records: impl Records + 'static) -> Self {
        Self { records: Box::new(records), turn: Mutex::new(()), revoked: Revoked::default() }
    }

    /// Updates `list` from now on: at once with changes made here, and with changes by other
    /// processes when [`follow`](Self::follow) is called.
    #[must_use]
    pub fn keeping(self, list: Revoked) -> Self {
        Self { revoked: list, ..self }
    }

    /// Opens a disk whose previous user may have crashed in the middle of a change.
    #[cfg(test)]
    pub(crate) fn on(disk: Box<dyn Disk>) -> Result<Self, StoreError> {
        Ok(Self::over(Folder::on(disk)?))
    }

    /// The ids of all clients, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn ids(&self) -> Result<Vec<ClientId>, StoreError> {
        let mut ids = self.records.ids()?;
        ids.sort_unstable();
        Ok(ids)
    }

    /// The record of a client, if there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn read(&self, id: &ClientId) -> Result<Option<Record>, StoreError> {
        self.records.read(id)
    }

    /// Changes a record. When this returns, the change is durable; when it fails, the record is
    /// the old or the new one.
    pub(crate) fn update<T>(
        &self,
        id: &ClientId,
        change: impl FnOnce(&mut Option<Record>) -> T,
    ) -> Result<T, StoreError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut change, mut outcome) = (Some(change), None);
        let after = self.records.update(id, &mut |record| {
            outcome = change.take().map(|change| change(record));
        })?;
        self.revoked.note(id, after.as_ref());
        outcome.ok_or_else(|| io::Error::other("the change was not made").into())
    }

    /// Starts watching for changes by other processes, see [`follow`](Self::follow).
    pub(crate) fn watch(&self) -> Box<dyn Watch> {
        self.records.watch()
    }

    /// Reads the records that other processes have changed, so that the list of revoked
    /// certificates is current. Returns whether there were any. A record that cannot be read
    /// keeps its entries in the list and is read again at the next call.
    pub(crate) fn follow(&self, watch: &mut dyn Watch) -> Result<bool, StoreError> {
        let Some(changed) = watch.changed()? else { return Ok(false) };
        for id in &changed {
            if let Err(error) = self.refresh(id) {
                warn!(client = %id.tag(), %error, "a record cannot be read; a revocation may be missed");
                watch.report_again(id);
            }
        }
        Ok(true)
    }

    fn refresh(&self, id: &ClientId) -> Result<(), StoreError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.revoked.note(id, self.read(id)?.as_ref());
        Ok(())
    }

    /// The client that an administrator has named.
    ///
    /// # Errors
    /// [`AdminError::Unknown`], [`AdminError::Ambiguous`], [`AdminError::Store`].
    pub fn find(&self, name: &ClientName) -> Result<ClientId, AdminError> {
        let mut fitting = self.ids()?.into_iter().filter(|id| name.fits(id));
        match (fitting.next(), fitting.next()) {
            (Some(id), None) => Ok(id),
            (None, _) => Err(AdminError::Unknown),
            (Some(_), Some(_)) => Err(AdminError::Ambiguous),
        }
    }

    /// Approves a client. It receives its certificate with its next query.
    ///
    /// # Errors
    /// [`AdminError`].
    pub fn approve(&self, id: &ClientId) -> Result<Record, AdminError> {
        self.administer(id, |record| record.approve(SystemTime::now()))
    }

    /// Rejects a client's request.
    ///
    /// # Errors
    /// [`AdminError`].
    pub fn reject(&self, id: &ClientId) -> Result<Record, AdminError> {
        self.administer(id, |record| record.reject(SystemTime::now()))
    }

    /// Revokes a client's certificates. A running gateway ends its connections.
    ///
    /// # Errors
    /// [`AdminError`].
    pub fn revoke(&self, id: &ClientId) -> Result<Record, AdminError> {
        self.administer(id, |record| record.revoke(SystemTime::now()))
    }

    /// Deletes a client's record.
    ///
    /// # Errors
    /// [`AdminError`].
    pub fn forget(&self, id: &ClientId) -> Result<(), AdminError> {
        self.update(id, |record| record.take().ok_or(AdminError::Unknown))?.map(drop)
    }

    /// Deletes the matching records of clients that wait for approval, and returns their ids. A
    /// record that cannot be read is left unchanged.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget_pending(
        &self,
        is_meant: impl Fn(&Record) -> bool,
    ) -> Result<Vec<ClientId>, StoreError> {
        let mut forgotten = Vec::new();
        let goes = |record: &Record| record.state() == State::Pending && is_meant(record);
        for id in self.ids()? {
            if !self.read(&id).is_ok_and(|record| record.as_ref().is_some_and(goes)) {
                continue;
            }
            // It may have been approved meanwhile.
            if self.update(&id, |record| record.take_if(|it| goes(it)).is_some())? {
                forgotten.push(id);
            }
        }
        Ok(forgotten)
    }

    fn administer(
        &self,
        id: &ClientId,
        administer: impl FnOnce(&mut Record) -> Result<(), NotApplicable>,
    ) -> Result<Record, AdminError> {
        self.update(id, |record| {
            let record = record.as_mut().ok_or(AdminError::Unknown)?;
            administer(record)?;
            Ok(record.clone())
        })?
    }
}

#[cfg(test)]
mod tests {
    use super::folder::tests::{half_written, record_file};
    use super::*;
    use crate::enroll::record::Facts;

    fn id(number: u8) -> ClientId {
        ClientId::of_key(&[number])
    }

    fn put(store: &Store, id: &ClientId) {
        let record = Record::new(b"csr", SystemTime::now());
        store.update(id, |it| *it = Some(record)).unwrap();
    }

    /// Each store here opens the folder anew, as another process does.
    #[test]
    fn changes_from_all_sides_add_up() {
        const SIDES: u32 = 4;
        const CHANGES: u32 = 20;
        let dir = tempfile::tempdir().unwrap();
        let open = || Store::open(dir.path()).unwrap();
        put(&open(), &id(1));
        let note = |store: &Store, side: u32, change: u32| {
            store.update(&id(1), |record| {
                let record = record.as_mut().unwrap();
                let (serial, items) = (0, Default::default());
                let facts = Facts { serial, items };
                let facts = record.characteristics.get_or_insert(facts);
                facts.serial += 1;
                facts.items.insert(format!("{side}.{change}"), String::new());
            })
        };
        std::thread::scope(|scope| {
            for side in 0..SIDES {
                scope.spawn(move || {
                    let store = open();
                    (0..CHANGES).for_each(|change| note(&store, side, change).unwrap());
                });
            }
        });
        let facts = open().read(&id(1)).unwrap().unwrap().characteristics;
        let facts = facts.unwrap();
        assert_eq!(facts.serial, SIDES * CHANGES);
        assert_eq!(facts.items.len(), facts.serial as usize);
    }

    #[test]
    fn clients_are_found_by_id_and_by_tag() {
        let store = Store::in_memory();
        let find = |name: &str| store.find(&name.parse().unwrap());
        assert!(matches!(find(&id(1).tag()), Err(AdminError::Unknown)));
        put(&store, &id(1));
        put(&store, &id(2));
        assert_eq!(find(&id(1).tag()).unwrap(), id(1));
        assert_eq!(find(&id(2).to_string()).unwrap(), id(2));
        // Two clients with the same tag are distinguished by their ids.
        let mut twin = id(1).to_string();
        let end = if twin.ends_with('0') { "1" } else { "0" };
        twin.replace_range(95.., end);
        put(&store, &twin.parse().unwrap());
        assert!(matches!(find(&id(1).tag()), Err(AdminError::Ambiguous)));
        assert_eq!(find(&twin).unwrap().to_string(), twin);
    }

    /// Its connection must be looked at again, however short the time was.
    #[test]
    fn a_client_that_is_forgotten_at_once_is_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut watch = store.watch();
        while store.follow(&mut *watch).unwrap() {
            std::thread::sleep(Duration::from_millis(50));
        }
        put(&store, &id(1));
        Store::open(dir.path()).unwrap().forget(&id(1)).unwrap();
        assert!(store.follow(&mut *watch).unwrap());
    }

    #[test]
    #[cfg(unix)]
    fn what_root_writes_belongs_to_the_gateway() {
        use std::os::unix::fs::{MetadataExt, chown};
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let clients = dir.path().join("clients");
        // Only root can change the owner of a folder.
        let _ = chown(&clients, Some(12_345), Some(12_345));
        put(&store, &id(1));
        let owner = |path: &Path| {
            let is = std::fs::metadata(path).unwrap();
            (is.uid(), is.gid())
        };
        let record = record_file(dir.path(), &id(1));
        assert_eq!(owner(&record), owner(&clients));
        assert_eq!(owner(&dir.path().join("lock")), owner(&clients));
    }

    #[test]
    fn an_incomplete_record_of_an_earlier_run_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        put(&Store::open(dir.path()).unwrap(), &id(1));
        let half = half_written(dir.path(), &id(2));
        std::fs::write(&half, "version = ").unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.ids().unwrap(), [id(1)]);
        assert!(store.read(&id(2)).unwrap().is_none() && !half.exists());
    }

    #[test]
    fn a_record_of_a_newer_gateway_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        put(&store, &id(1));
        let path = record_file(dir.path(), &id(1));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("version = 1", "version = 2")).unwrap();
        let error = store.revoke(&id(1)).unwrap_err().to_string();
        assert!(error.contains("written by a newer gateway"), "{error}");
    }
}
