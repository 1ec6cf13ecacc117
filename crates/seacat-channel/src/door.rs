//! How requests find the connection: the driver says what is behind the door, requests look.

use std::time::Instant;

use seacat_link::Link;

use crate::backoff::SHORTEST;
use crate::driver::now;
use crate::exchange::ExchangeError;
use crate::failure::Failure;

/// What is behind the door.
#[derive(Clone)]
pub(crate) enum Door {
    /// Take this one. Generations count the connections from 1.
    Open { link: Link, generation: u64 },
    /// There is none yet. `next`: nothing is being tried before then, and something is then if
    /// somebody asks.
    Soon { next: Option<Instant>, why: Option<Failure> },
    /// There will be none until a human acts.
    Shut { why: Option<Failure> },
    /// There will be none at all.
    Draining,
}

impl Door {
    /// A connection newer than `after`, or an error if there will be none before `deadline`;
    /// otherwise wait.
    pub(crate) fn look(
        &self,
        after: u64,
        deadline: Instant,
    ) -> Option<Result<(Link, u64), ExchangeError>> {
        match self {
            Self::Open { link, generation } if *generation > after => {
                Some(Ok((link.clone(), *generation)))
            }
            // The one that failed us; the driver is about to notice.
            Self::Open { .. } => None,
            Self::Soon { next: Some(next), .. } if *next >= deadline => Some(Err(self.closed())),
            Self::Soon { .. } => None,
            Self::Shut { .. } | Self::Draining => Some(Err(self.closed())),
        }
    }

    /// The error of a request that could not enter.
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
