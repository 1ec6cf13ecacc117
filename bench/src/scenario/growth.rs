//! How the cost grows: processor time for each request and memory, with more and more client connections,
//! and with more and more streams at one time.

use std::thread::sleep;
use std::time::Duration;

use super::{Meter, Run, turns};
use crate::Outcome;
use crate::load::{Job, Load, Served, WARM_MS};
use crate::measures::Metric;
use crate::peer::{Peer, Road};

/// What stunnel does for ten thousand clients, and haproxy with the open files it then allows itself, says
/// nothing about anybody's growth.
const WHO: [Peer; 2] = [Peer::Seacat, Peer::Nghttpx];

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

/// Ten thousand clients, and what a process opens besides.
const FILES: u32 = 16_384;

type Numbers = Vec<(Metric, Option<f64>)>;

pub(super) fn run(run: &mut Run<'_>) -> Outcome {
    if let Err(why) = crate::raise_file_limit(FILES) {
        run.give_up(&why);
        return Ok(());
    }
    run.peers.retain(|peer| WHO.contains(peer));
    for round in 0..run.rounds {
        for (clients, name) in CLIENTS {
            for peer in run.turn(round) {
                let measured = with_clients(run, peer, clients);
                run.keep(round, name, peer, measured);
            }
        }
        // One pair for all of these: what counts is what is held while they are under way.
        let roads = run.roads()?;
        for (streams, name) in STREAMS {
            for road in turns(&roads, round) {
                run.keep(round, name, road.peer, with_streams(road, streams, run.seconds));
            }
        }
    }
    Ok(())
}

/// A new pair each time: a process keeps the memory that more clients once needed.
fn with_clients(run: &Run<'_>, peer: Peer, clients: usize) -> Outcome<Numbers> {
    let road = Road::start(peer, run.place)?;
    let near = road.near().ok_or("no process")?;
    // The first request of all makes what there is once: buffers, tables, connections.
    let mut first = Load::start(&Job::Burst { requests: 1, at_once: 1 }, road.target())?;
    first.ready()?;
    let _: Served = first.result()?;
    let before = near.proportional_kib()?;
    let job = Job::Round { clients, at_once: AT_ONCE, seconds: run.seconds };
    let mut load = Load::start(&job, road.target())?;
    load.ready()?;
    let each = (near.proportional_kib()? - before) / clients as f64;
    load.go_on()?;
    load.ready()?;
    let cpu = cpu(&road, &mut load)?;
    Ok(vec![(Metric::CpuUsPerRequest, cpu), (Metric::KibPerClient, Some(each))])
}

fn with_streams(road: &Road, streams: usize, seconds: f64) -> Outcome<Numbers> {
    let near = road.near().ok_or("no process")?;
    let before = near.proportional_kib()?;
    let job =
        Job::Small { clients: streams, keep_alive: true, think_ms: 0, warm_ms: WARM_MS, seconds };
    let mut load = Load::start(&job, road.target())?;
    load.ready()?;
    let meter = Meter::start(road)?;
    sleep(Duration::from_secs_f64(seconds / 2.0));
    let each = (near.proportional_kib()? - before) / streams as f64;
    let served: Served = load.result()?;
    let [cpu, _] = meter.spent_for(served.requests as f64)?;
    let cpu = cpu.map(|seconds| seconds * 1e6);
    Ok(vec![(Metric::CpuUsPerRequest, cpu), (Metric::KibPerStream, Some(each))])
}

/// Of the near end for each request from now to the load's result, in microseconds.
fn cpu(road: &Road, load: &mut Load) -> Outcome<Option<f64>> {
    let meter = Meter::start(road)?;
    let served: Served = load.result()?;
    if let Some(error) = &served.last_error {
        return Err(format!("{} requests failed: {error}", served.errors));
    }
    let [near, _] = meter.spent_for(served.requests as f64)?;
    Ok(near.map(|seconds| seconds * 1e6))
}
