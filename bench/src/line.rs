//! A simulated long-distance line between the two ends.
//!
//! One process owns two TUN devices, each in a network of its own (see [`crate::networks`]).
//! Packets of one network are queued, delayed, and delivered to the other. The kernel's own
//! emulator (netem) is a module that not every kernel has; this needs no module, and a TUN device
//! delivers whole packets, so no offload has to be disabled.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio_tun::Tun;

use crate::Outcome;

/// The devices' names.
pub(crate) const NEAR: &str = "near";
pub(crate) const FAR: &str = "far";

/// Larger than any packet, in bytes: a TUN device's MTU is 1500.
const PACKET: usize = 2048;

/// The properties of a line, the same in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// How long a packet travels, one way.
    pub(crate) delay: Duration,
    pub(crate) bits_per_second: f64,
    /// The size of its queue, in bytes. Packets are dropped when it is full.
    pub(crate) buffer: f64,
    /// The probability that a packet is lost.
    pub(crate) loss: f64,
}

/// One direction.
#[derive(Debug)]
struct Lane {
    line: Line,
    /// When everything queued so far has been sent.
    free: Instant,
}

impl Lane {
    fn new(line: Line, now: Instant) -> Self {
        Self { line, free: now }
    }

    /// When a packet that is sent now arrives; `None` if it is lost. `chance` is from 0 to 1.
    fn carry(&mut self, size: usize, now: Instant, chance: f64) -> Option<Instant> {
        let seconds = |bytes: f64| Duration::from_secs_f64(bytes * 8.0 / self.line.bits_per_second);
        let turn = self.free.max(now);
        if turn - now + seconds(size as f64) > seconds(self.line.buffer) {
            return None;
        }
        // A packet that is lost later has occupied the line as well.
        self.free = turn + seconds(size as f64);
        (chance >= self.line.loss).then_some(self.free + self.line.delay)
    }
}

/// Forwards packets until the process is killed.
pub(crate) fn run(line: Line) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let carried = runtime.block_on(async {
        let (near, far) = (device(NEAR)?, device(FAR)?);
        let there = carry(line, Arc::clone(&near), Arc::clone(&far));
        let back = carry(line, far, near);
        tokio::try_join!(there, back).map_err(|error| format!("the line: {error}"))
    });
    carried.map(|_| ())
}

fn device(name: &str) -> Outcome<Arc<Tun>> {
    let built = Tun::builder().name(name).build();
    let mut devices = built.map_err(|error| format!("a TUN device: {error}"))?;
    Ok(Arc::new(devices.remove(0)))
}

/// One direction: this task decides when, a thread waits for it. The runtime's timers are exact to a
/// millisecond; eight packets leave a line of 100 Mbit/s in that time.
async fn carry(line: Line, from: Arc<Tun>, to: Arc<Tun>) -> io::Result<()> {
    let (travelling, arriving) = channel();
    thread::spawn(move || deliver(&arriving, &to));
    let mut lane = Lane::new(line, Instant::now());
    let mut packet = [0; PACKET];
    loop {
        let size = from.recv(&mut packet).await?;
        let arrival = lane.carry(size, Instant::now(), fastrand::f64());
        if let Some(arrival) = arrival {
            send(&travelling, arrival, &packet[..size])?;
        }
    }
}

/// A packet and when it arrives. The number in flight is bounded by the line's queue and its
/// bandwidth-delay product.
type Travelling = (Instant, Box<[u8]>);

fn send(travelling: &Sender<Travelling>, arrival: Instant, packet: &[u8]) -> io::Result<()> {
    let gone = |_| io::Error::other("its other end is gone");
    travelling.send((arrival, packet.into())).map_err(gone)
}

fn deliver(arriving: &Receiver<Travelling>, to: &Tun) {
    while let Ok((arrival, packet)) = arriving.recv() {
        thread::sleep(arrival.saturating_duration_since(Instant::now()));
        // A device that is not up yet accepts nothing: to the sender the packet is lost.
        let _ = to.try_send(&packet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Line = Line {
        delay: Duration::from_millis(25),
        bits_per_second: 8e6, // a microsecond for each byte
        buffer: 10_000.0,
        loss: 0.1,
    };

    fn lane() -> (Lane, Instant) {
        let now = Instant::now();
        (Lane::new(LINE, now), now)
    }

    #[test]
    fn packets_wait_for_those_in_front_of_them() {
        let (mut lane, start) = lane();
        let after = |us| Some(start + LINE.delay + Duration::from_micros(us));
        assert_eq!(lane.carry(1000, start, 1.0), after(1000));
        assert_eq!(lane.carry(1000, start, 1.0), after(2000));
        // Long after, the line is free again.
        let later = start + Duration::from_micros(5000);
        assert_eq!(lane.carry(1000, later, 1.0), after(6000));
    }

    #[test]
    fn what_finds_the_buffer_full_is_dropped_and_takes_no_time() {
        let (mut lane, start) = lane();
        let fits = (0..20).filter(|_| lane.carry(1000, start, 1.0).is_some()).count();
        assert_eq!(fits, 10);
        let later = start + Duration::from_micros(1000);
        assert_eq!(
            lane.carry(1000, later, 1.0),
            Some(start + Duration::from_micros(11_000) + LINE.delay)
        );
    }

    #[test]
    fn what_is_lost_on_the_way_has_taken_its_time() {
        let (mut lane, start) = lane();
        assert_eq!(lane.carry(1000, start, 0.09), None);
        let second = lane.carry(1000, start, 0.1);
        assert_eq!(second, Some(start + Duration::from_micros(2000) + LINE.delay));
    }
}
