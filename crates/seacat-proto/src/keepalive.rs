//! Keep-alive: liveness and round trip of the peer (wire spec 3.5).
//!
//! ```text
//!            interval over                 timeout, nothing received
//!   Resting ───────────────► Waiting(0) ─────────────────────────────► Waiting(1) ──► Dead
//!      ▲        PING             │                  PING                    │  the same again
//!      └────────── PONG ─────────┴──────────────── PONG ───────────────────┘
//! ```
//!
//! A PING counts as missed only if nothing at all was received for the timeout: behind a long
//! download the PONG is late, not lost.

use std::time::{Duration, Instant};

/// The interval and timeout of PINGs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAliveConfig {
    /// From one PONG to the next PING.
    pub interval: Duration,
    /// From a PING until it counts as missed.
    pub timeout: Duration,
}

impl Default for KeepAliveConfig {
    /// Every 30 s, as wire spec 8 advises (slower than every middlebox's idle limit seen), and 10 s
    /// to answer: a dead gateway is detected 50 s after its last frame at the latest.
    fn default() -> Self {
        Self { interval: Duration::from_secs(30), timeout: Duration::from_secs(10) }
    }
}

/// Missed PINGs in a row that mean the peer is dead.
const MISSED_LIMIT: u8 = 2;

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Rest,
    /// Send a PING with this id.
    Ping(u32),
    /// Give the connection up.
    Dead,
}

#[derive(Clone, Copy, Debug)]
struct Outstanding {
    id: u32,
    sent: Instant,
    missed: u8,
}

/// The PINGs of one connection.
#[derive(Debug)]
pub(crate) struct KeepAlive {
    config: Option<KeepAliveConfig>,
    next_id: u32,
    outstanding: Option<Outstanding>,
    /// When to act next.
    due: Option<Instant>,
    /// When anything was last received.
    last_received: Instant,
}

impl KeepAlive {
    /// Ids count from `first_id` by two: odd for a client, even for a gateway.
    /// Without a configuration no PING is sent unless asked for.
    pub(crate) fn new(config: Option<KeepAliveConfig>, first_id: u32, now: Instant) -> Self {
        let due = config.map(|config| now + config.interval);
        Self { config, next_id: first_id, outstanding: None, due, last_received: now }
    }

    pub(crate) fn received(&mut self, now: Instant) {
        self.last_received = now;
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Verdict {
        let (Some(config), Some(due)) = (self.config, self.due) else {
            return Verdict::Rest;
        };
        if now < due {
            return Verdict::Rest;
        }
        let silent_until = self.last_received + config.timeout;
        match &mut self.outstanding {
            None => self.ping(now, 0),
            Some(waiting) if now < silent_until => {
                waiting.missed = 0;
                self.due = Some(silent_until);
                Verdict::Rest
            }
            Some(waiting) if waiting.missed + 1 >= MISSED_LIMIT => {
                self.due = None;
                Verdict::Dead
            }
            Some(waiting) => {
                let missed = waiting.missed + 1;
                self.ping(now, missed)
            }
        }
    }

    /// A PING outside the interval, unless one is outstanding.
    pub(crate) fn ping_now(&mut self, now: Instant) -> Verdict {
        if self.outstanding.is_some() { Verdict::Rest } else { self.ping(now, 0) }
    }

    /// An id for a PING of our own. No two outstanding PINGs have the same.
    pub(crate) fn take_id(&mut self) -> u32 {
        let id = self.next_id;
        self.next_id = id.wrapping_add(2);
        id
    }

    fn ping(&mut self, now: Instant, missed: u8) -> Verdict {
        let id = self.take_id();
        self.outstanding = Some(Outstanding { id, sent: now, missed });
        self.due = self.config.map(|config| now + config.timeout);
        Verdict::Ping(id)
    }

    /// The round trip if this answers the outstanding PING; others are ignored.
    pub(crate) fn pong(&mut self, id: u32, now: Instant) -> Option<Duration> {
        let waiting = self.outstanding.take_if(|waiting| waiting.id == id)?;
        self.due = self.config.map(|config| now + config.interval);
        Some(now.saturating_duration_since(waiting.sent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: KeepAliveConfig =
        KeepAliveConfig { interval: Duration::from_secs(30), timeout: Duration::from_secs(10) };

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_pong_gives_the_round_trip_and_starts_the_interval_again() {
        let start = Instant::now();
        let mut pings = KeepAlive::new(Some(CONFIG), 1, start);
        assert_eq!(pings.handle_timeout(at(start, 29)), Verdict::Rest);
        assert_eq!(pings.handle_timeout(at(start, 30)), Verdict::Ping(1));
        assert_eq!(pings.pong(7, at(start, 31)), None, "not ours");
        assert_eq!(pings.pong(1, at(start, 32)), Some(Duration::from_secs(2)));
        assert_eq!(pings.pong(1, at(start, 32)), None, "only once");
        assert_eq!(pings.poll_timeout(), Some(at(start, 62)));
        assert_eq!(pings.handle_timeout(at(start, 62)), Verdict::Ping(3));
    }

    #[test]
    fn two_missed_pings_are_fatal() {
        let start = Instant::now();
        let mut pings = KeepAlive::new(Some(CONFIG), 1, start);
        assert_eq!(pings.handle_timeout(at(start, 30)), Verdict::Ping(1));
        assert_eq!(pings.handle_timeout(at(start, 40)), Verdict::Ping(3));
        assert_eq!(pings.handle_timeout(at(start, 50)), Verdict::Dead);
        assert_eq!(pings.poll_timeout(), None);
    }

    #[test]
    fn a_peer_that_sends_is_not_dead() {
        let start = Instant::now();
        let mut pings = KeepAlive::new(Some(CONFIG), 1, start);
        assert_eq!(pings.handle_timeout(at(start, 30)), Verdict::Ping(1));
        for second in [39, 49, 59, 69] {
            pings.received(at(start, second));
            assert_eq!(pings.handle_timeout(at(start, second + 1)), Verdict::Rest);
        }
        assert_eq!(pings.pong(1, at(start, 75)), Some(Duration::from_secs(45)));
    }

    /// The connection breaks right behind a frame that came after the PING.
    #[test]
    fn one_frame_after_the_ping_does_not_keep_a_dead_peer_alive() {
        let start = Instant::now();
        let mut pings = KeepAlive::new(Some(CONFIG), 1, start);
        assert_eq!(pings.handle_timeout(at(start, 30)), Verdict::Ping(1));
        pings.received(at(start, 31));
        assert_eq!(pings.handle_timeout(at(start, 40)), Verdict::Rest);
        assert_eq!(pings.poll_timeout(), Some(at(start, 41)));
        assert_eq!(pings.handle_timeout(at(start, 41)), Verdict::Ping(3));
        assert_eq!(pings.handle_timeout(at(start, 51)), Verdict::Dead);
    }

    #[test]
    fn without_an_interval_only_a_requested_ping_is_sent() {
        let start = Instant::now();
        let mut pings = KeepAlive::new(None, 2, start);
        assert_eq!(pings.handle_timeout(at(start, 1000)), Verdict::Rest);
        assert_eq!(pings.ping_now(start), Verdict::Ping(2));
        assert_eq!(pings.ping_now(start), Verdict::Rest, "one at a time");
        assert_eq!(pings.pong(2, at(start, 1)), Some(Duration::from_secs(1)));
        assert_eq!(pings.poll_timeout(), None);
    }
}
