//! The scenarios and their common parts: rounds, order, meters.

mod bulk;
mod fair;
pub(crate) mod growth;
mod idle;
mod small;
mod stall;
mod startup;
mod wan;

use std::time::Duration;

use clap::ValueEnum;

use crate::Outcome;
use crate::measures::{Measure, Measures, Metric};
use crate::peer::{Peer, ProxyChain};
use crate::place::Place;
use crate::procfs::{Clock, Proc};

/// The scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Small requests: rate, times, processor time.
    Small,
    /// One large body, down and up.
    Bulk,
    /// A small client beside four downloads.
    Fair,
    /// Clients beside readers that have stopped.
    Stall,
    /// The cost of an idle proxy.
    Idle,
    /// From exec to the first response.
    Startup,
    /// The cost of more clients and streams, up to ten thousand.
    Growth,
    /// A line of 50 ms and 100 Mbit/s between the ends. Needs root.
    Wan,
}

impl Scenario {
    pub(crate) const ALL: [Self; 8] = [
        Self::Small,
        Self::Bulk,
        Self::Fair,
        Self::Stall,
        Self::Idle,
        Self::Startup,
        Self::Growth,
        Self::Wan,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Bulk => "bulk",
            Self::Fair => "fair",
            Self::Stall => "stall",
            Self::Idle => "idle",
            Self::Startup => "startup",
            Self::Growth => "growth",
            Self::Wan => "wan",
        }
    }

    /// How often everything is measured, by default: so that all of it takes some twenty minutes.
    /// Starting is quick and scatters most.
    pub(crate) fn rounds(self) -> usize {
        match self {
            Self::Startup => 7,
            Self::Small | Self::Bulk | Self::Fair | Self::Growth => 5,
            Self::Idle => 3,
            // Nearly two and three minutes a round.
            Self::Stall | Self::Wan => 2,
        }
    }

    /// How long one measurement lasts, in seconds, by default.
    fn seconds(self) -> f64 {
        match self {
            Self::Small => 1.2,
            Self::Fair => 2.0,
            // This includes the first second, in which all buffers to the readers fill up.
            Self::Stall => 5.0,
            Self::Growth => 1.0,
            Self::Wan => 4.0,
            // Goals count wake-ups in ten seconds.
            Self::Idle => 10.0,
            Self::Bulk | Self::Startup => 0.0,
        }
    }

    /// Size of the large bodies, in MiB, by default: with 64 readers, of a size that passes what
    /// may wait for one of them, and no more.
    fn mib(self) -> u64 {
        if self == Self::Stall { 64 } else { 1024 }
    }

    /// What it measures, in one line.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Small => "GET of 1 KiB, closed loop, c clients; close: a connection each",
            Self::Bulk => "one body, one client",
            Self::Fair => "one small client that thinks 2 ms, beside four downloads",
            Self::Stall => "four small clients beside k downloads whose readers have stopped",
            Self::Idle => "connected and silent; then with 1000 silent clients",
            Self::Startup => "exec to the first proxied 200, the far end already up",
            Self::Growth => "requests among c silent clients, 16 at a time; then s at one time",
            Self::Wan => "50 ms there and back, 100 Mbit/s; packets lost each for itself",
        }
    }

    /// Those of `peers` that differ in it.
    pub(crate) fn peers(self, peers: &[Peer]) -> Vec<Peer> {
        let told_apart = |peer: &Peer| match self {
            Self::Wan => true,
            Self::Growth => growth::WHO.contains(peer),
            _ => *peer != Peer::NghttpxWide,
        };
        peers.iter().copied().filter(told_apart).collect()
    }

    /// Measures it for every peer.
    pub(crate) fn run(self, bench: &mut Bench) -> Outcome {
        let mut run = Run {
            scenario: self,
            rounds: bench.rounds.unwrap_or(self.rounds()),
            seconds: bench.seconds.unwrap_or(self.seconds()),
            bytes: bench.mib.unwrap_or(self.mib()) << 20,
            losses: &bench.losses,
            peers: self.peers(&bench.peers),
            place: &bench.place,
            measures: &mut bench.measures,
        };
        match self {
            Self::Small => small::run(&mut run),
            Self::Bulk => bulk::run(&mut run),
            Self::Fair => fair::run(&mut run),
            Self::Stall => stall::run(&mut run),
            Self::Idle => idle::run(&mut run),
            Self::Startup => startup::run(&mut run),
            Self::Growth => growth::run(&mut run),
            Self::Wan => wan::run(&mut run),
        }
    }
}

/// The result of one measurement; `None` where there is nothing to measure.
type Numbers = Vec<(Metric, Option<f64>)>;

/// A run: its options, its environment and its results.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) rounds: Option<usize>,
    pub(crate) seconds: Option<f64>,
    /// Size of the large bodies.
    pub(crate) mib: Option<u64>,
    /// Of the lines, only those that lose so much, in per cent; all without.
    pub(crate) losses: Vec<f64>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) place: Place,
    pub(crate) measures: Measures,
}

/// One scenario while it runs.
struct Run<'a> {
    scenario: Scenario,
    rounds: usize,
    seconds: f64,
    /// Size of the large bodies.
    bytes: u64,
    losses: &'a [f64],
    peers: Vec<Peer>,
    place: &'a Place,
    measures: &'a mut Measures,
}

impl Run<'_> {
    /// Starts all peers and the floor.
    fn chains(&self) -> Outcome<Vec<ProxyChain>> {
        let all = self.peers.iter();
        all.map(|peer| ProxyChain::start(*peer, self.place)).collect()
    }

    /// The peers that are processes, in the order of a round.
    fn proxies(&self, round: usize) -> Vec<Peer> {
        let mut turn = self.turn(round);
        turn.retain(|peer| *peer != Peer::Direct);
        turn
    }

    /// All peers and the floor, in the order of a round.
    fn turn(&self, round: usize) -> Vec<Peer> {
        turns(&self.peers, round).into_iter().copied().collect()
    }

    /// Stores a number.
    fn add(&mut self, round: usize, point: &str, peer: Peer, metric: Metric, value: f64) {
        self.measures.add(Measure {
            scenario: self.scenario.name(),
            point: point.to_owned(),
            peer,
            metric,
            round,
            value,
        });
    }

    /// Stores and prints the numbers of one measurement. A failed one is printed and its number is
    /// missing: a peer that fails must not end the run.
    fn keep(&mut self, round: usize, point: &str, peer: Peer, measured: Outcome<Numbers>) {
        let mut line = format!(
            "{} {}/{} {point:10} {:8}",
            self.scenario.name(),
            round + 1,
            self.rounds,
            peer.name()
        );
        match measured {
            Ok(numbers) => {
                for (metric, value) in numbers {
                    if let Some(value) = value {
                        line += &format!("  {} {value:.2}", metric.name());
                        self.add(round, point, peer, metric, value);
                    }
                }
            }
            Err(why) => {
                line += &format!("  FAILED: {why}");
                self.measures.failures.push(line.clone());
            }
        }
        crate::progress(&line);
    }
}

/// The order of one round: every other one is reversed, so that no peer always comes first.
fn turns<T>(all: &[T], round: usize) -> Vec<&T> {
    if round.is_multiple_of(2) { all.iter().collect() } else { all.iter().rev().collect() }
}

/// Processor time since a moment: the near end's and the far end's.
struct Meter {
    clock: Clock,
    near: Option<(Proc, Duration)>,
    far: Option<(Proc, Duration)>,
}

impl Meter {
    fn start(chain: &ProxyChain) -> Outcome<Self> {
        Self::of(chain.peer.clock(), chain.near(), chain.far())
    }

    fn of(clock: Clock, near: Option<Proc>, far: Option<Proc>) -> Outcome<Self> {
        let now = |process: Option<Proc>| {
            let counted = process.map(|p| p.cpu(clock).map(|cpu| (p, cpu)));
            counted.transpose()
        };
        Ok(Self { clock, near: now(near)?, far: now(far)? })
    }

    /// Seconds spent for each of `work`; none where there is no proxy, or where nothing was done.
    fn spent_for(&self, work: f64) -> Outcome<[Option<f64>; 2]> {
        let each = |since: Option<(Proc, Duration)>| {
            let Some((process, before)) = since else {
                return Ok(None);
            };
            let spent = process.cpu(self.clock)?.saturating_sub(before);
            Outcome::Ok(Some(spent.as_secs_f64() / work).filter(|each| each.is_finite()))
        };
        Ok([each(self.near)?, each(self.far)?])
    }
}

/// The peak of memory if the chains ran through all rounds.
fn keep_peaks(run: &mut Run<'_>, chains: &[ProxyChain]) {
    for chain in chains {
        let Some(near) = chain.near() else { continue };
        let measured = near.peak_mib().map(|peak| vec![(Metric::PeakMib, Some(peak))]);
        run.keep(run.rounds - 1, "all", chain.peer, measured);
    }
}

const GIB: f64 = (1_u64 << 30) as f64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_round_is_reversed() {
        assert_eq!(turns(&[1, 2, 3], 0), [&1, &2, &3]);
        assert_eq!(turns(&[1, 2, 3], 1), [&3, &2, &1]);
        assert_eq!(turns(&[1, 2, 3], 2), [&1, &2, &3]);
    }
}
