//! Notices what administrators change in the folder of a running gateway.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use tracing::warn;

use super::store::{Store, StoreError};
use crate::client_id::ClientId;

/// What the last look has seen.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    folder: Option<SystemTime>,
    records: HashMap<ClientId, SystemTime>,
}

impl Watch {
    /// A file system's clock may stand still for this long, and two changes look like one.
    const COARSE: Duration = Duration::from_secs(3);

    /// Reads the records that may have changed since the last look, so that the store's list of
    /// revoked certificates is current; says whether there may be any. When nothing has changed,
    /// a look is one question to the file system.
    pub(crate) fn look(&mut self, store: &Store) -> Result<bool, StoreError> {
        let changed = store.changed()?;
        if self.folder == Some(changed) && !is_fresh(changed) {
            return Ok(false);
        }
        let ids = store.ids()?;
        let before = std::mem::take(&mut self.records);
        for id in &ids {
            let Some(modified) = store.modified(id)? else { continue };
            let known = before.get(id) == Some(&modified) && !is_fresh(modified);
            // One that is damaged stays what it was, and is no reason to miss the others.
            if !known && let Err(error) = store.refresh(id) {
                warn!(client = %id.tag(), %error, "a revocation may go unnoticed");
                continue;
            }
            self.records.insert(*id, modified);
        }
        for forgotten in before.keys().filter(|id| ids.binary_search(id).is_err()) {
            store.refresh(forgotten)?;
        }
        self.folder = Some(changed);
        Ok(true)
    }
}

fn is_fresh(time: SystemTime) -> bool {
    // An error means that it lies ahead: our clock was set.
    time.elapsed().map_or(true, |age| age < Watch::COARSE)
}
