//! Flow control of a connection: the total of bytes in flight towards us
//! (docs/protocol/extensions.md).
//!
//! A path carries its bandwidth-delay product. More bytes in flight do not increase the rate: they
//! wait in a queue, and every small response waits behind them. So the windows together follow the
//! measured bandwidth-delay product, plus some slack to detect when the path can carry more.
//!
//! ```text
//!   PING ─────────► PONG         round trip, and what came since the PONG before: the rate
//!   windows = rate × gain × (minimum round trip − 0.5 ms) + slack
//!   gain:  2 while nothing queues (round trip ≈ minimum), else 5/4
//!   slack: what the line carries in 10 ms, 352 KiB at most
//! ```
//!
//! A PING is sent like a small request: before all bodies, and behind any queue on the path. At
//! most one is outstanding, and only while windows are being used up.

use std::time::{Duration, Instant};

/// Time in addition to the minimum round trip that bytes may be in flight. Round trips vary without
/// a queue of ours: radio links, and processes that wait for a processor. Windows based on the
/// minimum alone would shrink repeatedly, and the rate with them, to a tenth of what a busy machine
/// can do.
const SLACK: Duration = Duration::from_millis(10);

/// The limit of the slack in bytes: on one machine 10 ms would be far too long a queue.
const SLACK_BYTES: f64 = 352.0 * 1024.0;

/// RTT samples within this margin of the minimum are treated as scheduling noise, not queueing. The
/// margin is also subtracted from the minimum RTT when sizing windows.
const JITTER: Duration = Duration::from_micros(500);

/// From one PONG to the next PING: 200 frames of 18 bytes a second at most.
const PAUSE: Duration = Duration::from_millis(5);

/// After this much idle time the minimum round trip is measured again: the path may have changed.
const REST: Duration = Duration::from_secs(2);

/// The total of all busy windows before the first PONG: a slower path has a queue for one round
/// trip, a faster one is filled sooner.
const START: u64 = 256 * 1024;

/// Number of rate samples, of which the maximum is used: a lost packet stalls a path for some round
/// trips but does not reduce its bandwidth.
const RATES: usize = 10;

/// The limit of the total growth of all windows of a connection beyond their initial size. So a
/// connection buffers at most this and an initial window for each stream.
pub(crate) const GROWTH_LIMIT: u64 = 32 * 1024 * 1024;

/// The flow control of one connection.
#[derive(Debug)]
pub(crate) struct Flow {
    /// By how much windows may still grow.
    pub(crate) growth: u64,
    /// Payload received so far.
    received: u64,
    probe: Option<Probe>,
    /// When the last PONG was received, and the payload received until then.
    last: Option<(Instant, u64)>,
    shortest: Option<Duration>,
    /// Bytes a second, a ring.
    rates: [f64; RATES],
    samples: usize,
    /// What all busy windows together should be.
    target: u64,
    /// Counts PONGs, so that each busy stream is counted once between two.
    round: u32,
    /// Streams that used up some of their window in this round, and in the last.
    busy: u32,
    busy_before: u32,
    /// Some window was used up and no PING is under way.
    wanted: bool,
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    id: u32,
    sent: Instant,
    received: u64,
}

impl Flow {
    pub(crate) fn new() -> Self {
        Self {
            growth: GROWTH_LIMIT,
            received: 0,
            probe: None,
            last: None,
            shortest: None,
            rates: [0.0; RATES],
            samples: 0,
            target: START,
            round: 1,
            busy: 0,
            busy_before: 0,
            wanted: false,
        }
    }

    /// Counts received payload.
    pub(crate) fn receive(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// Reports that a stream has used up a part of its window; `round` is when it last did. Returns
    /// the target size of its window.
    pub(crate) fn used_up(&mut self, round: &mut u32) -> u64 {
        if *round != self.round {
            *round = self.round;
            self.busy += 1;
        }
        self.wanted = self.probe.is_none();
        let streams = self.busy.max(self.busy_before).max(1);
        self.target / u64::from(streams)
    }

    /// Whether to send a PING to measure.
    pub(crate) fn wants_probe(&self, now: Instant) -> bool {
        self.wanted && self.last.is_none_or(|(at, _)| now.saturating_duration_since(at) >= PAUSE)
    }

    /// Records that the PING of this id is sent now.
    pub(crate) fn probe(&mut self, id: u32, now: Instant) {
        self.wanted = false;
        self.probe = Some(Probe { id, sent: now, received: self.received });
        if self.last.is_some_and(|(at, _)| now.saturating_duration_since(at) > REST) {
            (self.last, self.shortest, self.samples) = (None, None, 0);
            (self.rates, self.target) = ([0.0; RATES], START);
        }
    }

    /// Handles the PONG to our PING and returns the round trip; `None` for other ids.
    pub(crate) fn pong(&mut self, id: u32, now: Instant) -> Option<Duration> {
        let probe = self.probe.take_if(|probe| probe.id == id)?;
        let rtt = now.saturating_duration_since(probe.sent);
        let shortest = self.shortest.map_or(rtt, |shortest| shortest.min(rtt));
        self.shortest = Some(shortest);

        let (since, before) = self.last.unwrap_or((probe.sent, probe.received));
        let seconds = now.saturating_duration_since(since).max(PAUSE).as_secs_f64();
        self.rates[self.samples % RATES] = (self.received - before) as f64 / seconds;
        self.samples += 1;
        self.last = Some((now, self.received));
        self.round = self.round.wrapping_add(1);
        (self.busy_before, self.busy) = (self.busy, 0);

        let rate = self.rates.iter().copied().fold(0.0, f64::max);
        let queues = rtt > shortest + shortest / 10 + JITTER;
        let line = shortest.saturating_sub(JITTER);
        let time = if queues { line + line / 4 } else { 2 * line };
        let slack = (rate * SLACK.as_secs_f64()).min(SLACK_BYTES);
        self.target = (rate * time.as_secs_f64() + slack) as u64;
        Some(rtt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Simulates a path of `rate` bytes per second with an unbounded queue. Returns the round trip
    /// at the end and the utilisation in the last second.
    fn run(rate: f64, round_trip: Duration, streams: u32) -> (Duration, f64) {
        let mut flow = Flow::new();
        let mut now = Instant::now();
        let mut rounds = vec![0; streams as usize];
        let (mut window, mut used) = (64.0 * 1024.0, 0.0);
        for id in 0..200 {
            let targets = rounds.iter_mut().map(|round| flow.used_up(round)).min();
            window = (targets.unwrap() as f64).max(64.0 * 1024.0);
            let under_way = window * f64::from(streams);
            let rtt = round_trip.max(Duration::from_secs_f64(under_way / rate));
            now += PAUSE;
            flow.receive((rate.min(under_way / rtt.as_secs_f64()) * 0.005) as usize);
            flow.probe(id, now);
            flow.receive((rate * rtt.as_secs_f64()).min(under_way) as usize);
            now += rtt;
            assert!(flow.pong(id, now).is_some());
            used = (under_way / rtt.as_secs_f64()) / rate;
        }
        let under_way = window * f64::from(streams);
        (round_trip.max(Duration::from_secs_f64(under_way / rate)), used)
    }

    #[test]
    fn a_long_line_is_filled_and_its_queue_stays_short() {
        for streams in [1, 2, 4] {
            let (rtt, used) = run(12.5e6, Duration::from_millis(50), streams);
            assert!(used > 0.95, "{streams} streams: {used}");
            assert!(rtt < Duration::from_millis(80), "{streams} streams: {rtt:?}");
        }
    }

    #[test]
    fn on_one_machine_the_slack_decides() {
        let (rtt, used) = run(500e6, Duration::from_micros(100), 4);
        assert!(used > 0.95, "{used}");
        assert!(rtt < Duration::from_millis(5), "{rtt:?}");
    }

    /// Each round trip is 3 ms because the machine is busy; once it was not.
    #[test]
    fn one_quick_round_trip_does_not_make_windows_small_for_ever() {
        let mut flow = Flow::new();
        let mut now = Instant::now();
        let mut window = 0;
        for id in 0..100 {
            window = flow.used_up(&mut 0);
            now += PAUSE;
            flow.probe(id, now);
            let rtt = Duration::from_micros(if id == 10 { 60 } else { 3000 });
            flow.receive(window as usize * 8 / 3);
            now += rtt;
            assert!(flow.pong(id, now).is_some());
        }
        assert!(window > SLACK_BYTES as u64 / 2, "{window}");
    }

    #[test]
    fn after_idle_time_the_path_is_measured_again() {
        let mut flow = Flow::new();
        let start = Instant::now();
        flow.used_up(&mut 0);
        assert!(flow.wants_probe(start));
        flow.probe(1, start);
        assert!(flow.pong(3, start).is_none(), "not ours");
        assert!(flow.pong(1, start + Duration::from_millis(1)).is_some());
        let later = start + 2 * REST;
        flow.used_up(&mut 0);
        flow.probe(3, later);
        assert!(flow.pong(3, later + Duration::from_millis(80)).is_some());
        assert_eq!(flow.shortest, Some(Duration::from_millis(80)));
    }
}
