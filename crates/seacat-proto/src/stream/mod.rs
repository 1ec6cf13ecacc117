//! One stream: its state and its send queue.

mod queue;
mod state;
mod window;

pub(crate) use queue::SendQueue;
pub(crate) use state::{Refused, State};
pub(crate) use window::{INITIAL_WINDOW, RecvWindow};

use crate::Priority;

/// A stream of a connection.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) state: State,
    pub(crate) queue: SendQueue,
    pub(crate) priority: Priority,
    /// It is in the outbox's ring.
    pub(crate) waiting: bool,
    /// Payload sent since it was last fresh, see [`Stream::is_fresh`].
    pub(crate) burst: usize,
    /// What the connection had sent in all when this stream's last frame left.
    pub(crate) sent_at: u64,
    /// The program has stopped receiving.
    pub(crate) unwanted: bool,
    /// Received, and not taken by the reader.
    pub(crate) unread: u64,
    /// What the peer permits us to send, if it uses windows.
    pub(crate) send_window: Option<u32>,
    /// What we permit the peer to send, if both use windows.
    pub(crate) recv_window: Option<RecvWindow>,
}

/// A body is fresh for this many bytes: most never have more.
const FRESH: usize = 64 * 1024;

/// A stream that sent nothing while the others sent this much is fresh again.
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

    /// Applies windows in both directions from here on, if the peer uses them: `peer` is its
    /// initial window.
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

    /// Whether something is queued and the peer's window permits it. FIN alone needs no window.
    pub(crate) fn may_send(&self) -> bool {
        !self.queue.is_empty() && (self.send_window != Some(0) || self.queue.bytes() == 0)
    }
    /// Whether it precedes bulk: it has sent little so far, or little recently, like an interactive
    /// tunnel.
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
