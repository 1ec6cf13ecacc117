//! One numbered two-way lane: its life and what it has to send.

mod queue;
mod state;
mod window;

pub(crate) use queue::SendQueue;
pub(crate) use state::{Refused, State};
pub(crate) use window::{GROWTH_LIMIT, INITIAL_WINDOW, RecvWindow};

use crate::Priority;

/// A stream as its connection keeps it.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) state: State,
    pub(crate) queue: SendQueue,
    pub(crate) priority: Priority,
    /// It stands in the outbox's ring.
    pub(crate) waiting: bool,
    /// Our program wants no more of the peer's half.
    pub(crate) unwanted: bool,
    /// What the peer lets us send, if it keeps windows.
    pub(crate) send_window: Option<u32>,
    /// What we let the peer send, if both keep windows.
    pub(crate) recv_window: Option<RecvWindow>,
}

impl Stream {
    pub(crate) fn new(state: State, priority: Priority) -> Self {
        Self {
            state,
            queue: SendQueue::default(),
            priority,
            waiting: false,
            unwanted: false,
            send_window: None,
            recv_window: None,
        }
    }

    /// From here on windows hold in both directions, if the peer keeps them: `peer` is what it
    /// allows on a fresh stream.
    pub(crate) fn keep_windows(&mut self, peer: Option<u32>) {
        self.send_window = peer;
        self.recv_window = peer.map(|_| RecvWindow::new());
    }

    /// Something waits, and the peer has room for it. The end alone needs no room.
    pub(crate) fn may_send(&self) -> bool {
        !self.queue.is_empty() && (self.send_window != Some(0) || self.queue.bytes() == 0)
    }
}
