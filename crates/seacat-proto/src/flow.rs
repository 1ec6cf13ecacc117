//! How much of all bodies together may be under way towards us (docs/protocol/extensions.md).
//!
//! A line carries its rate times its round trip. What is under way beyond that makes nothing
//! faster: it stands in a queue somewhere, and every small answer stands behind it. So the
//! windows together follow what the line was seen to carry, and a little more, by which we
//! notice when it can carry more.
//!
//! ```text
//!   PING ─────────► PONG         round trip, and what came since the PONG before: the rate
//!   windows = rate × gain × (shortest round trip − 0.5 ms) + slack
//!   gain:  2 while nothing queues (round trip ≈ shortest), else 5/4
//!   slack: what the line carries in 10 ms, 352 KiB at most
//! ```
//!
//! A PING travels like a small request: in front of all bodies, and behind whatever queue there
//! is. One is under way at a time, and only while windows are being used up.

use std::time::{Duration, Instant};

/// Time beside the shortest round trip that bytes may take. Round trips scatter without any queue
/// of ours: radio, and programs that wait for a processor. Windows that know only the shortest
/// would shrink again and again, the rate with them, to a tenth of what a busy machine can do.
const SLACK: Duration = Duration::from_millis(10);

/// And the bytes it may be: on one machine 10 ms are far too long a queue.
const SLACK_BYTES: f64 = 352.0 * 1024.0;

/// A round trip may be so much longer than the shortest and still mean that nothing queues. So much
/// of the shortest is no line either, but programs that wait for their turn: to keep bytes under way
/// for it makes the others wait longer.
const JITTER: Duration = Duration::from_micros(500);

/// From one PONG to the next PING: 200 frames of 18 bytes a second at most.
const PAUSE: Duration = Duration::from_millis(5);

/// After such a silence the shortest round trip is measured anew: the way may be another.
const REST: Duration = Duration::from_secs(2);

/// What all busy windows together are before the first PONG: a slower line has a queue for one
/// round trip, and a faster one is filled sooner.
const START: u64 = 256 * 1024;

/// Rates remembered, of which the greatest counts: a lost packet stops a line for some round
/// trips and does not make it slower.
const RATES: usize = 10;

/// What all windows of a connection may have grown beyond their beginnings, together. With it
/// a connection holds at most this and a first window for each stream.
pub(crate) const GROWTH_LIMIT: u64 = 32 * 1024 * 1024;

/// The account of one connection.
#[derive(Debug)]
pub(crate) struct Flow {
    /// What windows may still grow.
    pub(crate) growth: u64,
    /// Payload received so far.
    received: u64,
    probe: Option<Probe>,
    /// When the last PONG came, and what had been received then.
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

    /// Payload came.
    pub(crate) fn receive(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// A stream that last did so in `round` has used up a part of its window. What the window
    /// should be, as far as that is known.
    pub(crate) fn used_up(&mut self, round: &mut u32) -> u64 {
        if *round != self.round {
            *round = self.round;
            self.busy += 1;
        }
        self.wanted = self.probe.is_none();
        let streams = self.busy.max(self.busy_before).max(1);
        self.target / u64::from(streams)
    }

    /// Whether it is time to measure.
    pub(crate) fn wants_probe(&self, now: Instant) -> bool {
        self.wanted && self.last.is_none_or(|(at, _)| now.saturating_duration_since(at) >= PAUSE)
    }

    /// The PING of this id leaves now.
    pub(crate) fn probe(&mut self, id: u32, now: Instant) {
        self.wanted = false;
        self.probe = Some(Probe { id, sent: now, received: self.received });
        if self.last.is_some_and(|(at, _)| now.saturating_duration_since(at) > REST) {
            (self.last, self.shortest, self.samples) = (None, None, 0);
            (self.rates, self.target) = ([0.0; RATES], START);
        }
    }

    /// Takes the PONG to our PING and gives the round trip; others are not for us.
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

    /// A line that carries `rate` bytes a second, with a queue as long as it takes. Returns the
    /// round trip at the end and the part of the line that was used in the last second.
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
    fn after_a_rest_the_way_is_measured_anew() {
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
