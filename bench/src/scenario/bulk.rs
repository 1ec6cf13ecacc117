//! One large body down and one up: how fast, and what it costs the near end.

use super::{GIB, Meter, Numbers, Run, keep_peaks, turns};
use crate::Outcome;
use crate::load::{Job, Load, Moved};
use crate::measures::Metric;
use crate::peer::ProxyChain;

pub(super) fn run(run: &mut Run<'_>) -> Outcome {
    let chains = run.chains()?;
    for round in 0..run.rounds {
        for (point, up) in [("down", false), ("up", true)] {
            for chain in turns(&chains, round) {
                let job = Job::Transfer { up, bytes: run.bytes };
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
    let moved: Moved = load.result()?;
    let [near, far] = meter.spent_for(moved.bytes as f64 / GIB)?;
    Ok(vec![
        (Metric::MegabytesPerSecond, Some(rate(&moved))),
        (Metric::CpuPerGib, near),
        (Metric::FarCpuPerGib, far),
    ])
}

/// In millions of bytes a second.
pub(super) fn rate(moved: &Moved) -> f64 {
    moved.bytes as f64 / 1e6 / moved.seconds
}
