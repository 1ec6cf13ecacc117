//! One large body down and one up: how fast, and what it costs the near end.

use super::{GIB, Meter, Run, turns};
use crate::Outcome;
use crate::load::{Job, Load, Moved};
use crate::measures::Metric;
use crate::peer::Road;

pub(super) fn run(run: &mut Run<'_>) -> Outcome {
    let roads = run.roads()?;
    for round in 0..run.rounds {
        for (point, up) in [("down", false), ("up", true)] {
            for road in turns(&roads, round) {
                let job = Job::Transfer {
                    up,
                    bytes: run.bytes,
                };
                run.keep(round, point, road.peer, measure(road, &job));
            }
        }
    }
    for road in &roads {
        let peak = road.near().map(|near| near.peak_mib()).transpose();
        run.keep(
            0,
            "all",
            road.peer,
            peak.map(|p| vec![(Metric::PeakMib, p)]),
        );
    }
    Ok(())
}

fn measure(road: &Road, job: &Job) -> Outcome<Vec<(Metric, Option<f64>)>> {
    let mut load = Load::start(job, &road.target())?;
    load.ready()?;
    let meter = Meter::start(road)?;
    let moved: Moved = load.result()?;
    let cpu = meter.spent()?;
    let gib = moved.bytes as f64 / GIB;
    Ok(vec![
        (Metric::MegabytesPerSecond, Some(rate(&moved))),
        (Metric::CpuPerGib, cpu.map(|cpu| cpu.as_secs_f64() / gib)),
    ])
}

/// In millions of bytes a second.
pub(super) fn rate(moved: &Moved) -> f64 {
    moved.bytes as f64 / 1e6 / moved.seconds
}
