//! One numbered two-way lane: its life and what it has to send.

mod queue;
mod state;
mod window;

pub(crate) use queue::SendQueue;
pub(crate) use state::{Refused, State};
pub(crate) use window::{INITIAL_WINDOW, RecvWindow};

use crate::Priority;

/// A stream as its connection keeps it.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) state: State,
    pub(crate) queue: SendQueue,
    pub(crate) priority: Priority,
    /// It stands in the outbox's ring.
    pub(crate) waiting: bool,
    /// Payload sent since it was last fresh, see [`Stream::is_fresh`].
    pub(crate) burst: usize,
    /// What the connection had sent in all when this stream's last frame left.
    pub(crate) sent_at: u64,
    /// Our program wants no more of the peer's half.
    pub(crate) unwanted: bool,
    /// Received, and not taken by the reader.
    pub(crate) unread: u64,
    /// What the peer lets us send, if it keeps windows.
    pub(crate) send_window: Option<u32>,
    /// What we let the peer send, if both keep windows.
    pub(crate) recv_window: Option<RecvWindow>,
}

/// A body is fresh for this many bytes: most never have more.
const FRESH: usize = 64 * 1024;

/// A stream that had nothing to send while the others sent this much is no bulk.
const OTHERS: u64 = 256 * 1024;

impl Stream {
    pub(crate) fn new(state: State, priority: Priority) -> Self {
        Self {
            state,
            queue: SendQueue::default(),
            priority,
            waiting: false,
            burst: 0,
            sent_at: 0,
            unwanted: false,
            unread: 0,
            send_window: None,
            recv_window: None,
        }
    }

    /// From here on windows hold in both directions, if the peer keeps them: `peer` is what it
    /// allows on a fresh stream.
    pub(crate) fn keep_windows(&mut self, peer: Option<u32>) {
        self.send_window = peer;
        self.recv_window = peer.map(|_| RecvWindow::new(0));
    }

    /// What we send from here on is counted, if it was not before.
    pub(crate) fn count_sent(&mut self, peer: u32) {
        self.send_window.get_or_insert(peer);
    }

    /// What we receive from here on is counted, if it was not before.
    pub(crate) fn count_received(&mut self) {
        self.recv_window.get_or_insert(RecvWindow::new(self.unread));
    }

    /// Something waits, and the peer has room for it. The end alone needs no room.
    pub(crate) fn may_send(&self) -> bool {
        !self.queue.is_empty() && (self.send_window != Some(0) || self.queue.bytes() == 0)
    }
    /// Whether it goes before bodies that have had their share: it has sent little so far, or
    /// little lately, like a tunnel in which somebody types.
    pub(crate) fn is_fresh(&self) -> bool {
        self.burst < FRESH
    }

    /// It has something to send again; the connection has sent `total` bytes so far.
    pub(crate) fn rested(&mut self, total: u64) {
        if total - self.sent_at >= OTHERS {
            self.burst = 0;
        }
    }

    /// A frame of it leaves, with which the connection has sent `total` bytes.
    pub(crate) fn sends(&mut self, bytes: usize, total: u64) {
        self.burst = self.burst.saturating_add(bytes);
        self.sent_at = total;
    }
}
