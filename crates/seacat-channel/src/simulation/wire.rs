//! A TCP connection between the client and a gateway: bytes take time, stand still, or are lost for good.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The state of the network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network {
    /// From one end to the other.
    pub(super) latency: Duration,
    /// No bytes arrive before this.
    pub(super) blocked_until: Instant,
}

/// What arrives.
#[derive(Debug, PartialEq)]
pub(super) enum Arrival {
    Bytes(Vec<u8>),
    /// The other end closed the connection, or does not know it any more.
    Closed,
}

/// One direction. Its bytes arrive in order.
#[derive(Debug, Default)]
pub(super) struct Lane {
    queue: VecDeque<(Instant, Arrival)>,
    /// An address of one end is gone: no bytes arrive any more.
    dead: bool,
}

impl Lane {
    pub(super) fn send(&mut self, what: Arrival, network: Network, now: Instant) {
        let before = self.queue.back().map_or(now, |(at, _)| *at);
        let at = (now.max(network.blocked_until) + network.latency).max(before);
        self.queue.push_back((at, what));
    }

    pub(super) fn receive(&mut self, network: Network, now: Instant) -> Option<Arrival> {
        let due = self.queue.front().is_some_and(|(at, _)| *at <= now);
        if self.dead || !due || now < network.blocked_until {
            return None;
        }
        self.queue.pop_front().map(|(_, what)| what)
    }

    pub(super) fn die(&mut self) {
        self.dead = true;
    }
}
