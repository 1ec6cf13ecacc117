//! Whether a client connection is in use, so that an idle one can be closed without a timer per
//! request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the requests of one connection.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    running: AtomicUsize,
    ever: AtomicUsize,
}

impl Activity {
    /// How many requests there have been, if none is running now.
    pub(crate) fn at_rest(&self) -> Option<usize> {
        let ever = self.ever.load(Ordering::Relaxed);
        (self.running.load(Ordering::Relaxed) == 0).then_some(ever)
    }

    /// A request begins; it ends when the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.ever.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }
}

/// A running request.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_rest_only_between_requests() {
        let activity = Arc::new(Activity::default());
        assert_eq!(activity.at_rest(), Some(0));
        let (a, b) = (activity.begin(), activity.begin());
        drop(a);
        assert_eq!(activity.at_rest(), None);
        drop(b);
        assert_eq!(activity.at_rest(), Some(2));
    }
}
