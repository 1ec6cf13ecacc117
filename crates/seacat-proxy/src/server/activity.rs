//! Whether a client connection is in use, and whether it is to end: what one sweep over all
//! connections needs to know, in place of a timer for each.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};

/// The use of one connection. With the counts of its `Arc` it fills a line of the cache: each request fetches
/// it from memory when there are ten thousand.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    running: AtomicU32,
    leaving: AtomicBool,
    retiring: AtomicBool,
    ever: AtomicU64,
    /// `ever` when the last sweep found nothing running, and one more; 0: something was.
    rested: AtomicU64,
    waiter: Mutex<Option<Waker>>,
}

impl Activity {
    /// A request begins; it ends when the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.ever.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// Asks a connection to end that has been idle since the last sweep.
    pub(crate) fn sweep(&self) {
        let at_rest = self.running.load(Ordering::Relaxed) == 0;
        let now = if at_rest { self.ever.load(Ordering::Relaxed) + 1 } else { 0 };
        if self.rested.swap(now, Ordering::Relaxed) == now && at_rest {
            self.leave();
        }
    }

    /// Whether no request is under way, and it was not asked to end yet.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.running.load(Ordering::Relaxed) == 0 && !self.is_leaving()
    }

    /// Whether no request has begun since the last sweep, which found none under way.
    pub(crate) fn has_rested(&self) -> bool {
        self.rested.load(Ordering::Relaxed) == self.ever.load(Ordering::Relaxed) + 1
    }

    /// Asks the connection to end as soon as nothing is under way on it.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
        let waiter = self.waiter.lock().unwrap_or_else(PoisonError::into_inner).take();
        waiter.into_iter().for_each(Waker::wake);
    }

    /// Asks the connection to end after its next response. A connection at rest is left alone: its
    /// client may be sending a request in this very moment, and would lose it.
    pub(crate) fn retire(&self) {
        self.retiring.store(true, Ordering::Release);
    }

    /// Whether the next response is to be the last.
    pub(crate) fn is_retiring(&self) -> bool {
        self.retiring.load(Ordering::Acquire) || self.is_leaving()
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// Whether it is to end; if not yet, `cx` is woken when it is.
    pub(crate) fn poll_leaving(&self, cx: &Context<'_>) -> bool {
        let mut waiter = self.waiter.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *waiter {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        // Under the lock: a later request to leave finds the waker.
        self.is_leaving()
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
    fn only_a_connection_at_rest_from_sweep_to_sweep_is_asked_to_leave() {
        let activity = Arc::new(Activity::default());
        let swept = || {
            activity.sweep();
            activity.is_leaving()
        };
        assert!(!swept(), "it has just come");
        let running = activity.begin();
        assert!(!swept() && !swept(), "a request is under way");
        drop(running);
        assert!(!swept(), "at rest for a moment");
        drop(activity.begin());
        assert!(!swept(), "there was a request meanwhile");
        assert!(swept());
    }

    #[test]
    fn a_retired_connection_is_not_asked_to_leave_at_once() {
        let activity = Arc::new(Activity::default());
        activity.retire();
        assert!(activity.is_retiring() && !activity.is_leaving());
        activity.sweep();
        activity.sweep();
        assert!(activity.is_leaving(), "it has been at rest for long");
    }

    #[test]
    fn what_rests_can_be_spared() {
        let activity = Arc::new(Activity::default());
        assert!(activity.is_at_rest() && !activity.has_rested());
        activity.sweep();
        assert!(activity.has_rested());
        let running = activity.begin();
        assert!(!activity.is_at_rest() && !activity.has_rested());
        drop(running);
        activity.leave();
        assert!(!activity.is_at_rest());
    }

    #[test]
    fn who_waits_is_woken() {
        let activity = Arc::new(Activity::default());
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = woken.clone().into();
        assert!(!activity.poll_leaving(&Context::from_waker(&waker)));
        activity.leave();
        assert!(woken.0.load(Ordering::Relaxed));
        assert!(activity.poll_leaving(&Context::from_waker(&waker)));
    }

    struct Woken(AtomicBool);

    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}
