//! One numbered two-way lane: its life and what it has to send.

mod queue;
mod state;

pub(crate) use queue::SendQueue;
pub(crate) use state::{Refused, State};

use crate::Priority;

/// A stream as its connection keeps it.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) state: State,
    pub(crate) queue: SendQueue,
    pub(crate) priority: Priority,
    /// Our program wants no more of the peer's half.
    pub(crate) unwanted: bool,
}
