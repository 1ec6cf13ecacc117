//! Records as files: one for each client, in a folder that a running gateway and an
//! administrator's commands use at the same time.
//!
//! ```text
//!   state/lock                        held while a file is changed
//!   state/clients/<client id>.toml    a record
//!   state/clients/<client id>.new     a record being written, never read
//! ```
//!
//! A change is read, write beside, sync, rename, sync the folder, all under the lock. A file is
//! therefore always complete, the old or the new version, and acknowledged changes survive kill -9
//! and a power cut at any moment. Reading needs no lock.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::disk::{self, Disk};
use super::{Records, StoreError, Watch};
use crate::client_id::ClientId;
use crate::enroll::record::Record;

const RECORD: &str = ".toml";
const BEING_WRITTEN: &str = ".new";

/// The records in a folder.
#[derive(Debug)]
pub(super) struct Folder {
    disk: Arc<dyn Disk>,
}

impl Folder {
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        let disk = disk::Folder::open(&folder.join("clients"), &folder.join("lock"))?;
        Self::on(Box::new(disk))
    }

    pub(super) fn in_memory() -> Self {
        Self { disk: Arc::new(disk::Memory::new()) }
    }

    /// Opens a disk whose previous user may have crashed in the middle of a change.
    pub(super) fn on(disk: Box<dyn Disk>) -> Result<Self, StoreError> {
        let lock = disk.lock()?;
        for name in disk.names()? {
            if name.ends_with(BEING_WRITTEN) {
                disk.remove(&name)?;
            }
        }
        // A rename by the previous user may not be durable yet, and it is about to be read.
        disk.sync_names()?;
        drop(lock);
        Ok(Self { disk: disk.into() })
    }

    fn write(&self, id: &ClientId, record: &Record) -> Result<(), StoreError> {
        let text = toml::to_string(record).map_err(io::Error::other)?;
        let new = file(id, BEING_WRITTEN);
        self.disk.write(&new, text.as_bytes())?;
        self.disk.sync(&new)?;
        self.disk.rename(&new, &file(id, RECORD))?;
        Ok(self.disk.sync_names()?)
    }
}

impl Records for Folder {
    fn ids(&self) -> Result<Vec<ClientId>, StoreError> {
        Ok(ids(&*self.disk)?)
    }

    fn read(&self, id: &ClientId) -> Result<Option<Record>, StoreError> {
        let damaged = |what: String| StoreError::Damaged { id: *id, what };
        let Some(bytes) = self.disk.read(&file(id, RECORD))? else {
            return Ok(None);
        };
        let text = String::from_utf8(bytes).map_err(|error| damaged(error.to_string()))?;
        let record = toml::from_str(&text).map_err(|error| damaged(error.message().to_owned()))?;
        Ok(Some(record))
    }

    fn update(
        &self,
        id: &ClientId,
        change: &mut dyn FnMut(&mut Option<Record>),
    ) -> Result<Option<Record>, StoreError> {
        let _lock = self.disk.lock()?;
        let before = self.read(id)?;
        let mut after = before.clone();
        change(&mut after);
        match &after {
            _ if after == before => {}
            Some(record) => self.write(id, record)?,
            None => {
                self.disk.remove(&file(id, RECORD))?;
                self.disk.sync_names()?;
            }
        }
        Ok(after)
    }

    fn watch(&self) -> Box<dyn Watch> {
        Box::new(FolderWatch {
            disk: Arc::clone(&self.disk),
            folder: None,
            records: HashMap::new(),
        })
    }
}

fn file(id: &ClientId, ending: &str) -> String {
    format!("{id}{ending}")
}

fn ids(disk: &dyn Disk) -> io::Result<Vec<ClientId>> {
    let id = |name: &String| name.strip_suffix(RECORD)?.parse().ok();
    Ok(disk.names()?.iter().filter_map(id).collect())
}

/// Compares the modification times of files with those of the previous poll.
#[derive(Debug)]
struct FolderWatch {
    disk: Arc<dyn Disk>,
    folder: Option<SystemTime>,
    records: HashMap<ClientId, SystemTime>,
}

impl FolderWatch {
    /// The resolution of a file system's clock: two changes within it may have the same time.
    const COARSE: Duration = Duration::from_secs(3);
    /// How soon a revocation by another process takes effect. Polling an unchanged folder is one
    /// system call.
    const INTERVAL: Duration = Duration::from_secs(1);
}

impl Watch for FolderWatch {
    fn changed(&mut self) -> Result<Option<Vec<ClientId>>, StoreError> {
        let changed = self.disk.changed()?;
        if self.folder == Some(changed) && !is_fresh(changed) {
            return Ok(None);
        }
        let mut found = Vec::new();
        let mut before = std::mem::take(&mut self.records);
        for id in ids(&*self.disk)? {
            let Some(modified) = self.disk.modified(&file(&id, RECORD))? else { continue };
            if before.remove(&id) != Some(modified) || is_fresh(modified) {
                found.push(id);
            }
            self.records.insert(id, modified);
        }
        // Those that are left were deleted.
        found.extend(before.into_keys());
        self.folder = Some(changed);
        Ok(Some(found))
    }

    fn report_again(&mut self, id: &ClientId) {
        self.records.remove(id);
        self.folder = None;
    }

    fn interval(&self) -> Duration {
        Self::INTERVAL
    }
}

fn is_fresh(time: SystemTime) -> bool {
    // An error means that the time is in the future: the clock was set.
    time.elapsed().map_or(true, |age| age < FolderWatch::COARSE)
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;

    use super::*;

    pub(in crate::enroll::store) fn record_file(folder: &Path, id: &ClientId) -> PathBuf {
        folder.join("clients").join(file(id, RECORD))
    }

    pub(in crate::enroll::store) fn half_written(folder: &Path, id: &ClientId) -> PathBuf {
        folder.join("clients").join(file(id, BEING_WRITTEN))
    }
}
