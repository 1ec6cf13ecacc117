//! The limit on how long one party may be inactive.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Whom an exchange waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    /// The server, for the head of its response.
    Response,
    /// The server, for the rest of a body.
    Body,
    /// Our own side, for the rest of the request's body.
    Upload,
}

/// Measures how long the party that has to act has done nothing. Progress costs a look at the
/// clock; the timer itself is moved only when it fires. `P` names the parties; with one party it is `()`.
#[derive(Debug)]
pub struct InactivityTimer<P> {
    since: Option<(P, Instant)>,
    /// Made for the first wait; many exchanges have none.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl<P> Default for InactivityTimer<P> {
    fn default() -> Self {
        Self { since: None, sleep: None }
    }
}

impl<P: Copy + PartialEq> InactivityTimer<P> {
    /// There was progress: the party that has to act has the whole limit again.
    pub fn restart(&mut self) {
        self.since = None;
    }

    /// Ready when this party has had to act for as long as `limit` without any progress.
    pub fn poll(&mut self, cx: &mut Context<'_>, party: P, limit: Duration) -> Poll<()> {
        let since = match self.since {
            Some((same, since)) if same == party => since,
            _ => Instant::now(),
        };
        self.since = Some((party, since));
        let due = since + limit;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(due)));
        // One that fires too early is set anew; one that would fire too late, at once.
        if sleep.deadline() > due {
            sleep.as_mut().reset(due);
        }
        loop {
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if sleep.deadline() >= due {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(due);
        }
    }
}
