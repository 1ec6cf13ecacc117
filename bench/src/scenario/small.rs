//! Small requests: rate, times and the near end's processor time for each.

use super::{Meter, Numbers, Run, keep_peaks, turns};
use crate::Outcome;
use crate::load::{Job, Load, Served, WARM_MS};
use crate::measures::Metric;
use crate::peer::ProxyChain;

/// Name, clients, keep-alive.
const POINTS: [(&str, usize, bool); 5] = [
    ("c=1", 1, true),
    ("c=16", 16, true),
    ("c=64", 64, true),
    ("c=256", 256, true),
    ("close c=16", 16, false),
];

pub(super) fn run(run: &mut Run<'_>) -> Outcome {
    let chains = run.chains()?;
    for round in 0..run.rounds {
        for (point, clients, keep_alive) in POINTS {
            for chain in turns(&chains, round) {
                let job = Job::Small {
                    clients,
                    keep_alive,
                    think_ms: 0,
                    warm_ms: WARM_MS,
                    seconds: run.seconds,
                };
                run.keep(round, point, chain.peer, measure(chain, &job));
            }
        }
    }
    keep_peaks(run, &chains);
    Ok(())
}

fn measure(chain: &ProxyChain, job: &Job) -> Outcome<Numbers> {
    let mut load = Load::start(job, chain.target())?;
    load.ready()?;
    let meter = Meter::start(chain)?;
    let served: Served = load.result()?;
    let [near, far] = meter.spent_for(served.requests as f64)?;
    let mut numbers = numbers(&served);
    numbers.extend([
        (Metric::CpuUsPerRequest, near.map(|s| s * 1e6)),
        (Metric::FarCpuUsPerRequest, far.map(|s| s * 1e6)),
    ]);
    Ok(numbers)
}

/// Rate and times; errors only if there were any.
pub(super) fn numbers(served: &Served) -> Numbers {
    if let Some(error) = &served.last_error {
        crate::progress(&format!("  {} requests failed: {error}", served.errors));
    }
    let errors = (served.errors > 0).then_some(served.errors as f64);
    let rate = served.requests as f64 / served.seconds;
    vec![
        (Metric::RequestsPerSecond, Some(rate)),
        (Metric::P50Ms, served.p50_ms),
        (Metric::P99Ms, served.p99_ms),
        (Metric::WorstMs, served.worst_ms),
        (Metric::Errors, errors),
    ]
}
