//! Fairness: a small client beside four downloads through the same near end.
//!
//! The two loads are processes of their own, so that a small client's time is not spent waiting
//! for the load generator's own downloads.

use super::{Numbers, Run, bulk, small, turns};
use crate::Outcome;
use crate::load::{Job, Load, Moved, Served, WARM_MS};
use crate::measures::Metric;
use crate::peer::ProxyChain;

const DOWNLOADS: usize = 4;
const THINK_MS: u64 = 2;

pub(super) fn run(run: &mut Run<'_>) -> Outcome {
    let chains = run.chains()?;
    for round in 0..run.rounds {
        for chain in turns(&chains, round) {
            let measured = beside(chain, DOWNLOADS, THINK_MS, WARM_MS, run.seconds);
            let numbers = measured.map(|(mut numbers, moved)| {
                numbers.push((Metric::MegabytesPerSecond, Some(bulk::rate(&moved))));
                numbers
            });
            run.keep(round, "4 downloads", chain.peer, numbers);
        }
    }
    Ok(())
}

/// A small client's numbers, and the bytes of the downloads beside it.
pub(super) fn beside(
    chain: &ProxyChain,
    downloads: usize,
    think_ms: u64,
    warm_ms: u64,
    seconds: f64,
) -> Outcome<(Numbers, Moved)> {
    let downloads = Job::Flood { clients: downloads, warm_ms, seconds };
    let client = Job::Small { clients: 1, keep_alive: true, think_ms, warm_ms, seconds };
    // Both warm up for the same time, so they measure the same interval.
    let mut downloads = Load::start(&downloads, chain.target())?;
    let mut client = Load::start(&client, chain.target())?;
    downloads.ready()?;
    client.ready()?;
    let served: Served = client.result()?;
    let moved: Moved = downloads.result()?;
    Ok((small::numbers(&served), moved))
}
