//! The cost of an idle proxy: memory, threads, wake-ups; and memory for each silent client.

use std::thread::sleep;
use std::time::Duration;

use super::{Numbers, Run, turns};
use crate::Outcome;
use crate::load::{Job, Load};
use crate::measures::Metric;
use crate::peer::ProxyChain;

const CLIENTS: usize = 1000;
/// The pause after the last request before the measurement.
const SETTLE: Duration = Duration::from_secs(1);
/// The interval for wake-ups, in seconds.
const PER: f64 = 10.0;

pub(super) fn run(run: &mut Run<'_>) -> Outcome {
    for round in 0..run.rounds {
        // New processes: memory from earlier load must not count.
        let mut chains = Vec::new();
        for peer in run.proxies(round) {
            let chain = ProxyChain::start(peer, run.place)?;
            drop(hold(&chain, 1)?);
            chains.push(chain);
        }
        silence(run, round, &chains);
        for chain in turns(&chains, round) {
            let measured = with_clients(chain);
            run.keep(round, "1000 clients", chain.peer, measured);
        }
    }
    Ok(())
}

/// All at once: they are silent and do not disturb each other.
fn silence(run: &mut Run<'_>, round: usize, chains: &[ProxyChain]) {
    sleep(SETTLE);
    let before: Vec<Outcome<u64>> = chains.iter().map(sleeps).collect();
    sleep(Duration::from_secs_f64(run.seconds));
    let after: Vec<Outcome<u64>> = chains.iter().map(sleeps).collect();
    for (chain, counts) in chains.iter().zip(before.into_iter().zip(after)) {
        let measured = (|| {
            let times = (counts.1? - counts.0?) as f64 * PER / run.seconds;
            let near = chain.near().ok_or("no process")?;
            Ok(vec![
                (Metric::ResidentMib, Some(near.resident_mib()?)),
                (Metric::ProportionalMib, Some(near.proportional_kib()? / 1024.0)),
                (Metric::Threads, Some(near.threads()? as f64)),
                (Metric::WakeUps, Some(times)),
            ])
        })();
        run.keep(round, "silent", chain.peer, measured);
    }
}

fn sleeps(chain: &ProxyChain) -> Outcome<u64> {
    chain.near().ok_or("no process")?.sleeps()
}

fn with_clients(chain: &ProxyChain) -> Outcome<Numbers> {
    let near = chain.near().ok_or("no process")?;
    let before = near.proportional_kib()?;
    let clients = hold(chain, CLIENTS)?;
    let each = (near.proportional_kib()? - before) / CLIENTS as f64;
    let threads = near.threads()? as f64;
    drop(clients);
    Ok(vec![(Metric::KibPerClient, Some(each)), (Metric::Threads, Some(threads))])
}

/// Clients that have sent one request and stay connected until the value is dropped.
fn hold(chain: &ProxyChain, clients: usize) -> Outcome<Load> {
    let mut load = Load::start(&Job::Idle { clients }, chain.target())?;
    load.ready()?;
    Ok(load)
}
