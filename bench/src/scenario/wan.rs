//! A simulated long-distance line between the ends: latency, and small requests beside downloads.

use std::thread::sleep;
use std::time::Duration;

use super::{Numbers, Run, fair, small};
use crate::Outcome;
use crate::line::Line;
use crate::load::{Job, Load, Served, WARM_MS};
use crate::measures::Metric;
use crate::peer::{Peer, ProxyChain};
use crate::place::Place;

/// 50 ms there and back, 100 Mbit/s, a buffer that takes 84 ms to drain.
const LINE: Line = Line {
    delay: Duration::from_millis(25),
    bits_per_second: 100e6,
    buffer: 1_048_576.0,
    loss: 0.0,
};
/// The packet loss in per cent, and its name in the tables.
const LOSSES: [(f64, &str); 3] = [(0.0, "no loss"), (0.1, "0.1 %"), (1.0, "1 %")];

/// By then a near end that dials ahead has connected: ten round trips.
const LEFT_ALONE: Duration = Duration::from_millis(500);
const BURST: usize = 100;
const AT_ONCE: usize = 10;
const DOWNLOADS: usize = 2;
const THINK_MS: u64 = 10;
/// TCP converges to the line's rate in this time.
const BULK_WARM_MS: u64 = 2000;
/// The warm requests take this share of the time that the downloads are measured for.
const WARM_SHARE: f64 = 0.3;

pub(super) fn run(run: &mut Run<'_>) -> Outcome {
    let wanted = |(loss, _): &(f64, &str)| run.losses.is_empty() || run.losses.contains(loss);
    for (loss, name) in LOSSES.into_iter().filter(wanted).collect::<Vec<_>>() {
        let place = Place::across(&Line { loss: loss / 100.0, ..LINE })?;
        for round in 0..run.rounds {
            for peer in run.turn(round) {
                if let Err(why) = measure(run, round, name, peer, &place) {
                    run.keep(round, name, peer, Err(why));
                }
            }
        }
    }
    Ok(())
}

/// All measurements of one peer, on new processes.
fn measure(run: &mut Run<'_>, round: usize, loss: &str, peer: Peer, place: &Place) -> Outcome {
    let mut chain = ProxyChain::start(peer, place)?;
    let point = |what: &str| format!("{loss}: {what}");
    if peer != Peer::Direct {
        run.keep(round, &point("cold"), peer, first(&chain));
        chain.stop_near();
        chain.start_near(place);
        chain.wait_for_near();
        sleep(LEFT_ALONE);
        run.keep(round, &point("dialled"), peer, first(&chain));
    }
    run.keep(round, &point("warm"), peer, warm(&chain, run.seconds * WARM_SHARE));
    run.keep(round, &point("burst"), peer, burst(&chain));
    run.keep(round, &point("2 downloads"), peer, beside_downloads(&chain, run.seconds));
    Ok(())
}

/// One request, the first that the near end gets.
fn first(chain: &ProxyChain) -> Outcome<Numbers> {
    let served = requests(chain, 1, 1)?;
    Ok(vec![(Metric::FirstMs, Some(served.seconds * 1e3))])
}

/// Sequential requests, each on a new connection to a warm near end.
fn warm(chain: &ProxyChain, seconds: f64) -> Outcome<Numbers> {
    let job = Job::Small { clients: 1, keep_alive: false, think_ms: 0, warm_ms: WARM_MS, seconds };
    let mut load = Load::start(&job, chain.target())?;
    load.ready()?;
    let numbers = small::numbers(&load.result()?);
    Ok(numbers.into_iter().filter(|(metric, _)| *metric == Metric::P50Ms).collect())
}

fn burst(chain: &ProxyChain) -> Outcome<Numbers> {
    let served = requests(chain, BURST, AT_ONCE)?;
    Ok(vec![(Metric::Seconds, Some(served.seconds)), (Metric::P99Ms, served.p99_ms)])
}

fn beside_downloads(chain: &ProxyChain, seconds: f64) -> Outcome<Numbers> {
    let (numbers, moved) = fair::beside(chain, DOWNLOADS, THINK_MS, BULK_WARM_MS, seconds)?;
    let times = [Metric::P50Ms, Metric::P99Ms, Metric::Errors];
    let mut numbers: Numbers =
        numbers.into_iter().filter(|(metric, _)| times.contains(metric)).collect();
    let filled = moved.bytes as f64 * 8.0 / moved.seconds / LINE.bits_per_second;
    numbers.push((Metric::FilledPercent, Some(filled * 100.0)));
    Ok(numbers)
}

/// Requests on connections of their own. All must be answered.
fn requests(chain: &ProxyChain, requests: usize, at_once: usize) -> Outcome<Served> {
    let mut load = Load::start(&Job::Burst { requests, at_once }, chain.target())?;
    load.ready()?;
    let served: Served = load.result()?;
    match &served.last_error {
        None => Ok(served),
        Some(error) => Err(format!("{} of {requests} requests failed: {error}", served.errors)),
    }
}
