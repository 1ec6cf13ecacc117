//! How requests find the connection: the driver publishes which one there is, requests look.

use std::time::Instant;

use seacat_link::Link;

use crate::backoff::SHORTEST;
use crate::driver::now;
use crate::exchange::{ExchangeError, Replay};
use crate::failure::Failure;

/// Whether there is a connection for requests.
#[derive(Clone)]
pub(crate) enum Availability {
    /// Take this one. Generations count the connections from 1. A connection that is `probed` has
    /// been asked for a sign of life: what must not be sent twice waits for that.
    Open { link: Link, generation: u64, probed: bool },
    /// There is none yet. `next`: nothing is tried before then, and something is then if a request
    /// asks for it.
    Soon { next: Option<Instant>, why: Option<Failure> },
    /// There will be none until a human acts.
    Shut { why: Option<Failure> },
    /// There will be none at all.
    Draining,
}

impl Availability {
    /// A connection newer than `after`, or an error if there will be none before `deadline`;
    /// otherwise wait.
    pub(crate) fn look(
        &self,
        after: u64,
        replay: Replay,
        deadline: Instant,
    ) -> Option<Result<(Link, u64), ExchangeError>> {
        match self {
            Self::Open { probed: true, .. } if replay == Replay::Never => None,
            Self::Open { .. } if self.is_doubtful(replay) => None,
            Self::Open { link, generation, .. } if *generation > after => {
                Some(Ok((link.clone(), *generation)))
            }
            // The one that failed us; the driver is about to notice.
            Self::Open { .. } => None,
            Self::Soon { next: Some(next), .. } if *next >= deadline => Some(Err(self.closed())),
            // The network or the gateway must change first, which may take a while: better say
            // what it is at once.
            Self::Soon { next: Some(_), why: Some(why) } if why.heals_slowly() => {
                Some(Err(self.closed()))
            }
            Self::Soon { .. } => None,
            Self::Shut { .. } | Self::Draining => Some(Err(self.closed())),
        }
    }

    /// Whether the connection is to be asked for a sign of life before this is sent on it.
    pub(crate) fn is_doubtful(&self, replay: Replay) -> bool {
        let Self::Open { link, probed: false, .. } = self else {
            return false;
        };
        replay == Replay::Never && link.is_doubtful()
    }

    /// Whether nothing is tried until a request asks for it.
    pub(crate) fn pauses(&self) -> bool {
        matches!(self, Self::Soon { next: Some(_), .. })
    }

    /// The error of a request for which there is no connection.
    pub(crate) fn closed(&self) -> ExchangeError {
        match self {
            Self::Draining => ExchangeError::Draining,
            Self::Shut { why } => {
                ExchangeError::NotConnected { why: why.clone(), retry_after: None }
            }
            Self::Soon { next, why } => {
                let wait = next.map_or(SHORTEST, |next| next.saturating_duration_since(now()));
                let retry_after = Some(wait.max(SHORTEST));
                ExchangeError::NotConnected { why: why.clone(), retry_after }
            }
            Self::Open { .. } => {
                ExchangeError::NotConnected { why: None, retry_after: Some(SHORTEST) }
            }
        }
    }
}
