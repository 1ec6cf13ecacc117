//! How the cost grows: processor time for each request and memory, with more and more client connections,
//! and with more and more streams at one time.

use std::thread::sleep;
use std::time::Duration;

use super::{Meter, Numbers, Run};
use crate::Outcome;
use crate::load::{Job, Load, Served, WARM_MS};
use crate::measures::Metric;
use crate::peer::{Peer, ProxyChain};
use crate::place::Place;
use crate::procfs::Proc;

/// stunnel and haproxy are excluded: with ten thousand clients, threads and file limits dominate
/// their cost. Direct is the origin, for the growth of a server's own cost.
pub(crate) const WHO: [Peer; 3] = [Peer::Direct, Peer::Seacat, Peer::Nghttpx];

/// Client connections; requests go round among them, [`AT_ONCE`] at a time.
pub(crate) const CLIENTS: [(usize, &str); 5] = [
    (1, "1 client"),
    (10, "10 clients"),
    (100, "100 clients"),
    (1000, "1000 clients"),
    (10_000, "10000 clients"),
];
const AT_ONCE: usize = 16;

/// Streams at one time: as many clients, each with one request under way.
pub(crate) const STREAMS: [(usize, &str); 6] = [
    (1, "1 stream"),
    (4, "4 streams"),
    (16, "16 streams"),
    (64, "64 streams"),
    (256, "256 streams"),
    (1000, "1000 streams"),
];

/// Ten thousand clients, and the other files of a process.
const FILES: u32 = 16_384;

pub(super) fn run(run: &mut Run<'_>) -> Outcome {
    crate::raise_file_limit(FILES)?;
    // With an origin that may open as many files.
    let place = &Place::new()?;
    for round in 0..run.rounds {
        // One peer's numbers in direct sequence: they are compared with each other, and the load of
        // the machine changes within a minute.
        for peer in run.turn(round) {
            for (clients, name) in CLIENTS {
                let measured = with_clients(run, place, peer, clients);
                run.keep(round, name, peer, measured);
            }
            for (streams, name) in STREAMS {
                let measured = with_streams(run, place, peer, streams);
                run.keep(round, name, peer, measured);
            }
        }
    }
    Ok(())
}

fn with_clients(run: &Run<'_>, place: &Place, peer: Peer, clients: usize) -> Outcome<Numbers> {
    let (chain, near, before) = fresh(place, peer)?;
    let job = Job::Round { clients, at_once: AT_ONCE, seconds: run.seconds };
    let mut load = Load::start(&job, chain.target())?;
    load.ready()?;
    let each = (near.proportional_kib()? - before) / clients as f64;
    load.go_on()?;
    load.ready()?;
    let meter = Meter::of(peer.clock(), Some(near), None)?;
    let cpu = for_each_request(&meter, &load.result()?)?;
    Ok(numbers(peer, cpu, Metric::KibPerClient, each))
}

fn with_streams(run: &Run<'_>, place: &Place, peer: Peer, streams: usize) -> Outcome<Numbers> {
    let (chain, near, before) = fresh(place, peer)?;
    let (seconds, warm_ms) = (run.seconds, WARM_MS);
    let job = Job::Small { clients: streams, keep_alive: true, think_ms: 0, warm_ms, seconds };
    let mut load = Load::start(&job, chain.target())?;
    load.ready()?;
    let meter = Meter::of(peer.clock(), Some(near), None)?;
    // In the middle, all streams are active.
    sleep(Duration::from_secs_f64(seconds / 2.0));
    let each = (near.proportional_kib()? - before) / streams as f64;
    let cpu = for_each_request(&meter, &load.result()?)?;
    Ok(numbers(peer, cpu, Metric::KibPerStream, each))
}

/// The origin is the same process all the time, so its memory is not meaningful.
fn numbers(peer: Peer, cpu: Option<f64>, metric: Metric, kib: f64) -> Numbers {
    vec![(Metric::CpuUsPerRequest, cpu), (metric, Some(kib).filter(|_| peer != Peer::Direct))]
}

/// A new pair, and the memory of its near end in KiB. New, because a process does not release
/// memory that more clients needed before; after one request, because the first allocates what
/// exists once: buffers, tables, connections.
fn fresh(place: &Place, peer: Peer) -> Outcome<(ProxyChain, Proc, f64)> {
    let chain = ProxyChain::start(peer, place)?;
    let near = chain.near().unwrap_or_else(|| place.origin_process());
    let mut load = Load::start(&Job::Burst { requests: 1, at_once: 1 }, chain.target())?;
    load.ready()?;
    all_answered(&load.result()?)?;
    let memory = near.proportional_kib()?;
    Ok((chain, near, memory))
}

/// The near end's processor time per request, in microseconds.
fn for_each_request(meter: &Meter, served: &Served) -> Outcome<Option<f64>> {
    all_answered(served)?;
    let [near, _] = meter.spent_for(served.requests as f64)?;
    Ok(near.map(|seconds| seconds * 1e6))
}

fn all_answered(served: &Served) -> Outcome {
    match &served.last_error {
        None => Ok(()),
        Some(error) => Err(format!("{} requests failed: {error}", served.errors)),
    }
}
