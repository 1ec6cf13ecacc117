//! The clients on record: one file each, in a folder that a running gateway and an
//! administrator's commands use at the same time.
//!
//! ```text
//!   state/lock                        held while a file is changed
//!   state/clients/<client id>.toml    a record
//!   state/clients/<client id>.new     a record on its way, never read
//! ```
//!
//! A change is read, write beside, sync, rename, sync the folder, all under the lock. A file is
//! therefore always whole, the old or the new, and what was acknowledged survives kill -9 and a
//! power cut at any moment. Reading needs no lock.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::disk::{Disk, Folder, Memory};
use super::record::{Pointless, Record};
use super::revoked::Revoked;
use crate::client_id::{ClientId, ClientName};

/// The clients on record.
#[derive(Debug)]
pub struct Store {
    disk: Box<dyn Disk>,
    /// Orders the changes of this process; the disk's lock orders those of all.
    turn: Mutex<()>,
    revoked: Revoked,
}

/// Why the store could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk failed, or another process holds the lock.
    #[error("the client store: {0}")]
    Disk(#[from] io::Error),
    /// A file is not what we wrote. It is left alone, and its client has no identity.
    #[error("the client store: {id}.toml is damaged: {what}")]
    Damaged {
        /// Whose it is.
        id: ClientId,
        /// What the parser says.
        what: String,
    },
}

/// Why there was nothing to do for a human's wish.
#[derive(Debug, thiserror::Error)]
pub enum WishError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nobody by that name.
    #[error("no client of this gateway has this tag or id")]
    Unknown,
    /// Several clients have this tag.
    #[error("several clients have this tag: give the whole client id")]
    Ambiguous,
    /// It makes no sense.
    #[error("{0}")]
    Pointless(#[from] Pointless),
}

const RECORD: &str = ".toml";
const ON_ITS_WAY: &str = ".new";

impl Store {
    /// Opens the store in this folder, which is made if it is not there.
    ///
    /// # Errors
    /// What the system says about the folder.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let disk = Folder::open(&folder.join("clients"), &folder.join("lock"))?;
        Self::on(Box::new(disk))
    }

    /// A store that is forgotten with the program.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::over(Box::new(Memory::new()))
    }

    fn over(disk: Box<dyn Disk>) -> Self {
        Self { disk, turn: Mutex::new(()), revoked: Revoked::default() }
    }

    /// Keeps `list` current from now on: at once with what is changed here, and with what other
    /// processes change when a [`Watch`](super::Watch) looks.
    #[must_use]
    pub fn keeping(self, list: Revoked) -> Self {
        Self { revoked: list, ..self }
    }

    /// Takes a disk over from whoever used it before, and may have died in the middle.
    pub(crate) fn on(disk: Box<dyn Disk>) -> Result<Self, StoreError> {
        let lock = disk.lock()?;
        for name in disk.names()? {
            if name.ends_with(ON_ITS_WAY) {
                disk.remove(&name)?;
            }
        }
        // A rename of the one before may not be on the disk yet, and we are about to believe it.
        disk.sync_names()?;
        drop(lock);
        Ok(Self::over(disk))
    }

    /// The ids of all clients, in order.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub fn ids(&self) -> Result<Vec<ClientId>, StoreError> {
        let names = self.disk.names()?;
        let id = |name: &String| name.strip_suffix(RECORD)?.parse().ok();
        let mut ids: Vec<ClientId> = names.iter().filter_map(id).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// The record of a client, if there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn read(&self, id: &ClientId) -> Result<Option<Record>, StoreError> {
        let damaged = |what: String| StoreError::Damaged { id: *id, what };
        let Some(bytes) = self.disk.read(&file(id, RECORD))? else {
            return Ok(None);
        };
        let text = String::from_utf8(bytes).map_err(|error| damaged(error.to_string()))?;
        let record = toml::from_str(&text).map_err(|error| damaged(error.message().to_owned()))?;
        Ok(Some(record))
    }

    /// Changes a record. When this returns, the change is on the disk for good; when it fails,
    /// the record is the old or the new one.
    pub(crate) fn update<T>(
        &self,
        id: &ClientId,
        change: impl FnOnce(&mut Option<Record>) -> T,
    ) -> Result<T, StoreError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let _lock = self.disk.lock()?;
        let before = self.read(id)?;
        let mut after = before.clone();
        let outcome = change(&mut after);
        match &after {
            _ if after == before => {}
            Some(record) => self.write(id, record)?,
            None => {
                self.disk.remove(&file(id, RECORD))?;
                self.disk.sync_names()?;
            }
        }
        self.revoked.note(id, after.as_ref());
        Ok(outcome)
    }

    /// Looks at a record that another process may have changed.
    pub(super) fn refresh(&self, id: &ClientId) -> Result<(), StoreError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.revoked.note(id, self.read(id)?.as_ref());
        Ok(())
    }

    /// When a record was last written, if it is there.
    pub(super) fn modified(&self, id: &ClientId) -> io::Result<Option<SystemTime>> {
        self.disk.modified(&file(id, RECORD))
    }

    fn write(&self, id: &ClientId, record: &Record) -> Result<(), StoreError> {
        let text = toml::to_string(record).map_err(io::Error::other)?;
        let new = file(id, ON_ITS_WAY);
        self.disk.write(&new, text.as_bytes())?;
        self.disk.sync(&new)?;
        self.disk.rename(&new, &file(id, RECORD))?;
        Ok(self.disk.sync_names()?)
    }

    /// When a record last changed, as far as the disk's clock can tell.
    pub(crate) fn changed(&self) -> io::Result<SystemTime> {
        self.disk.changed()
    }

    /// The client that a human means.
    ///
    /// # Errors
    /// [`WishError::Unknown`], [`WishError::Ambiguous`], [`WishError::Store`].
    pub fn find(&self, name: &ClientName) -> Result<ClientId, WishError> {
        let mut fitting = self.ids()?.into_iter().filter(|id| name.fits(id));
        match (fitting.next(), fitting.next()) {
            (Some(id), None) => Ok(id),
            (None, _) => Err(WishError::Unknown),
            (Some(_), Some(_)) => Err(WishError::Ambiguous),
        }
    }

    /// Lets a client have a certificate, which it gets when it next asks.
    ///
    /// # Errors
    /// [`WishError`].
    pub fn approve(&self, id: &ClientId) -> Result<Record, WishError> {
        self.wish(id, |record| record.approve(SystemTime::now()))
    }

    /// Says no to a client's request.
    ///
    /// # Errors
    /// [`WishError`].
    pub fn reject(&self, id: &ClientId) -> Result<Record, WishError> {
        self.wish(id, |record| record.reject(SystemTime::now()))
    }

    /// Takes a client's certificates back. A running gateway ends its connections.
    ///
    /// # Errors
    /// [`WishError`].
    pub fn revoke(&self, id: &ClientId) -> Result<Record, WishError> {
        self.wish(id, |record| record.revoke(SystemTime::now()))
    }

    /// Forgets a client, as if it had never been here.
    ///
    /// # Errors
    /// [`WishError`].
    pub fn forget(&self, id: &ClientId) -> Result<(), WishError> {
        self.update(id, |record| record.take().ok_or(WishError::Unknown))?.map(drop)
    }

    fn wish(
        &self,
        id: &ClientId,
        wish: impl FnOnce(&mut Record) -> Result<(), Pointless>,
    ) -> Result<Record, WishError> {
        self.update(id, |record| {
            let record = record.as_mut().ok_or(WishError::Unknown)?;
            wish(record)?;
            Ok(record.clone())
        })?
    }
}

fn file(id: &ClientId, ending: &str) -> String {
    format!("{id}{ending}")
}

#[cfg(test)]
mod tests {
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
    fn clients_are_found_by_what_people_type() {
        let store = Store::in_memory();
        let find = |name: &str| store.find(&name.parse().unwrap());
        assert!(matches!(find(&id(1).tag()), Err(WishError::Unknown)));
        put(&store, &id(1));
        put(&store, &id(2));
        assert_eq!(find(&id(1).tag()).unwrap(), id(1));
        assert_eq!(find(&id(2).to_string()).unwrap(), id(2));
        // Two that share a tag are told apart by their ids.
        let mut twin = id(1).to_string();
        let end = if twin.ends_with('0') { "1" } else { "0" };
        twin.replace_range(95.., end);
        put(&store, &twin.parse().unwrap());
        assert!(matches!(find(&id(1).tag()), Err(WishError::Ambiguous)));
        assert_eq!(find(&twin).unwrap().to_string(), twin);
    }

    #[test]
    #[cfg(unix)]
    fn what_root_writes_belongs_to_the_gateway() {
        use std::os::unix::fs::{MetadataExt, chown};
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let clients = dir.path().join("clients");
        // Only root can give a folder away. For all others there is nothing to get wrong.
        let _ = chown(&clients, Some(12_345), Some(12_345));
        put(&store, &id(1));
        let owner = |path: &Path| {
            let is = std::fs::metadata(path).unwrap();
            (is.uid(), is.gid())
        };
        let record = clients.join(file(&id(1), RECORD));
        assert_eq!(owner(&record), owner(&clients));
        assert_eq!(owner(&dir.path().join("lock")), owner(&clients));
    }

    #[test]
    fn half_a_record_of_a_life_before_is_cleared_away() {
        let dir = tempfile::tempdir().unwrap();
        put(&Store::open(dir.path()).unwrap(), &id(1));
        let half = dir.path().join("clients").join(file(&id(2), ON_ITS_WAY));
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
        let path = dir.path().join("clients").join(file(&id(1), RECORD));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("version = 1", "version = 2")).unwrap();
        let error = store.revoke(&id(1)).unwrap_err().to_string();
        assert!(error.contains("written by a newer gateway"), "{error}");
    }
}
