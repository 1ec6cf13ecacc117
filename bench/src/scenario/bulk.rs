//! One large body down and one up: how fast, and what it costs the near end.

use super::{GIB, Meter, Numbers, Run, keep_peaks, turns};
use crate::Outcome;
use crate::load::{Job, Load, Moved};
use crate::measures::Metric;
use crate::peer::Road;

pub(super) fn run(run: &mut Run<'_>) -> Outcome {
    let roads = run.roads()?;
    for round in 0..run.rounds {
        for (point, up) in [("down", false), ("up", true)] {
            for road in turns(&roads, round) {
                let job = Job::Transfer { up, bytes: run.bytes };
                run.keep(round, point, road.peer, measure(road, &job));
            }
        }
    }
    keep_peaks(run, &roads);
    Ok(())
}

fn measure(road: &Road, job: &Job) -> Outcome<Numbers> {
    let mut load = Load::start(job, road.target())?;
    load.ready()?;
    let meter = Meter::start(road)?;
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
