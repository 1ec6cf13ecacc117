//! Kills at a chosen write point, as `kill -9` would: what was done stays, nothing more is done.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Burns through after a number of write points, and lets nothing pass from then on.
#[derive(Clone, Debug)]
pub(crate) struct Fuse(Arc<AtomicUsize>);

impl Default for Fuse {
    fn default() -> Self {
        Self::after(usize::MAX)
    }
}

impl Fuse {
    pub(crate) fn after(points: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(points)))
    }

    pub(crate) fn point(&self) -> io::Result<()> {
        let left =
            self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| io::Error::other("killed"))
    }

    pub(crate) fn is_burnt(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}
