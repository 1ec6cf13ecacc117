//! All measurements, stored by round so that they can be compared within one.

use serde::Serialize;

use crate::peer::Peer;

/// The meaning of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    RequestsPerSecond,
    P50Ms,
    P99Ms,
    WorstMs,
    /// Of the near end, for each request, in microseconds.
    CpuUsPerRequest,
    /// The same of the far end.
    FarCpuUsPerRequest,
    /// Requests that failed.
    Errors,
    MegabytesPerSecond,
    /// Of the near end, in seconds.
    CpuPerGib,
    /// The same of the far end.
    FarCpuPerGib,
    PeakMib,
    FarPeakMib,
    DiskMib,
    /// In per cent of the rate before.
    KeptPercent,
    /// Readers that got every byte, in per cent.
    WholePercent,
    ResidentMib,
    ProportionalMib,
    KibPerClient,
    KibPerStream,
    /// In ten seconds.
    WakeUps,
    Threads,
    StartMs,
    FirstMs,
    Seconds,
    /// In per cent of the line's bandwidth: bytes of bodies only.
    FilledPercent,
}

impl Metric {
    /// The name in tables, with the unit.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RequestsPerSecond => "req/s",
            Self::P50Ms => "p50 ms",
            Self::P99Ms => "p99 ms",
            Self::WorstMs => "worst ms",
            Self::CpuUsPerRequest => "CPU µs/req",
            Self::FarCpuUsPerRequest => "far end's CPU µs/req",
            Self::Errors => "errors",
            Self::MegabytesPerSecond => "MB/s",
            Self::CpuPerGib => "CPU s/GiB",
            Self::FarCpuPerGib => "far end's CPU s/GiB",
            Self::PeakMib => "peak MiB",
            Self::FarPeakMib => "far end's peak MiB",
            Self::DiskMib => "disk MiB",
            Self::KeptPercent => "rate kept %",
            Self::WholePercent => "whole %",
            Self::ResidentMib => "RSS MiB",
            Self::ProportionalMib => "PSS MiB",
            Self::KibPerClient => "KiB/client",
            Self::KibPerStream => "KiB/stream",
            Self::WakeUps => "wake-ups in 10 s",
            Self::Threads => "threads",
            Self::StartMs | Self::FirstMs => "ms",
            Self::Seconds => "s",
            Self::FilledPercent => "line filled %",
        }
    }

    /// Whether a larger value is better.
    pub(crate) fn more_is_better(self) -> bool {
        matches!(
            self,
            Self::RequestsPerSecond
                | Self::MegabytesPerSecond
                | Self::KeptPercent
                | Self::WholePercent
                | Self::FilledPercent
        )
    }
}

/// One number.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measure {
    pub(crate) scenario: &'static str,
    /// What was varied: `c=64`, `down`, `k=8`.
    pub(crate) point: String,
    pub(crate) peer: Peer,
    pub(crate) metric: Metric,
    pub(crate) round: usize,
    pub(crate) value: f64,
}

/// The program we are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Against {
    Peer(Peer),
    /// The better of the multiplexers in each round.
    BestMux,
}

/// One row of a table: numbers of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    pub(crate) scenario: &'a str,
    pub(crate) point: &'a str,
    pub(crate) metric: Metric,
}

/// All numbers of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Measures {
    list: Vec<Measure>,
    /// What could not be measured, and why.
    pub(crate) failures: Vec<String>,
}

impl Measures {
    pub(crate) fn add(&mut self, measure: Measure) {
        self.list.push(measure);
    }

    /// The rows there are, in the order in which they were first measured.
    pub(crate) fn rows(&self, scenario: &str) -> Vec<Row<'_>> {
        let mut rows = Vec::new();
        for one in self.list.iter().filter(|m| m.scenario == scenario) {
            let row = Row { scenario: one.scenario, point: &one.point, metric: one.metric };
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
        rows
    }

    /// The median of a peer's values in all rounds.
    pub(crate) fn median(&self, row: Row<'_>, peer: Peer) -> Option<f64> {
        median(self.of(row, peer).map(|m| m.value).collect())
    }

    /// The median of the ratios of each round: ours divided by theirs.
    pub(crate) fn ratio(&self, row: Row<'_>, against: Against) -> Option<f64> {
        let ratios = self.of(row, Peer::Seacat).filter_map(|ours| {
            let theirs = self.theirs(row, against, ours.round)?;
            (theirs != 0.0).then(|| ours.value / theirs)
        });
        median(ratios.collect())
    }

    /// The median of a ratio computed in each round from our value, the peer's and the floor.
    pub(crate) fn over_floor(&self, row: Row<'_>, peer: Peer) -> Option<f64> {
        let ratios = self.of(row, Peer::Seacat).filter_map(|ours| {
            let floor = self.in_round(row, Peer::Direct, ours.round)?;
            let theirs = self.in_round(row, peer, ours.round)? - floor;
            // On a busy machine a proxy is sometimes faster than no proxy; such rounds are ignored.
            (theirs > 0.0).then(|| (ours.value - floor) / theirs)
        });
        median(ratios.collect())
    }

    /// The largest factor by which our value has grown at any of the later points; the median of
    /// all rounds.
    pub(crate) fn growth(&self, row: Row<'_>, later: &[&str]) -> Option<f64> {
        let factors =
            self.of(row, Peer::Seacat).filter(|first| first.value > 0.0).filter_map(|first| {
                let at =
                    |point: &&str| self.in_round(Row { point, ..row }, Peer::Seacat, first.round);
                Some(
                    later.iter().map(at).try_fold(0.0, |most: f64, it| Some(most.max(it?)))?
                        / first.value,
                )
            });
        median(factors.collect())
    }

    fn theirs(&self, row: Row<'_>, against: Against, round: usize) -> Option<f64> {
        match against {
            Against::Peer(peer) => self.in_round(row, peer, round),
            Against::BestMux => {
                let all = Peer::MUXES.iter().filter_map(|p| self.in_round(row, *p, round));
                if row.metric.more_is_better() {
                    all.reduce(f64::max)
                } else {
                    all.reduce(f64::min)
                }
            }
        }
    }

    fn in_round(&self, row: Row<'_>, peer: Peer, round: usize) -> Option<f64> {
        Some(self.of(row, peer).find(|m| m.round == round)?.value)
    }

    fn of(&self, row: Row<'_>, peer: Peer) -> impl Iterator<Item = &Measure> {
        self.list.iter().filter(move |m| {
            m.scenario == row.scenario
                && m.point == row.point
                && m.metric == row.metric
                && m.peer == peer
        })
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 { Some(upper) } else { Some((values[middle - 1] + upper) / 2.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: Row<'_> = Row { scenario: "small", point: "c=1", metric: Metric::RequestsPerSecond };

    fn measures(of: &[(Peer, &[f64])]) -> Measures {
        let mut all = Measures::default();
        for (peer, values) in of {
            for (round, value) in values.iter().enumerate() {
                all.add(Measure {
                    scenario: ROW.scenario,
                    point: ROW.point.to_owned(),
                    peer: *peer,
                    metric: ROW.metric,
                    round,
                    value: *value,
                });
            }
        }
        all
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // A machine that gets slower all the time: medians apart would say 1, each round says 2.
        let all = measures(&[
            (Peer::Seacat, &[400.0, 200.0, 100.0]),
            (Peer::Nghttpx, &[200.0, 100.0, 50.0]),
        ]);
        assert_eq!(all.ratio(ROW, Against::Peer(Peer::Nghttpx)), Some(2.0));
        assert_eq!(all.median(ROW, Peer::Seacat), Some(200.0));
        assert_eq!(all.ratio(ROW, Against::Peer(Peer::Haproxy)), None);
    }

    #[test]
    fn the_best_may_be_another_one_in_each_round() {
        let all = measures(&[
            (Peer::Seacat, &[10.0, 10.0]),
            (Peer::Nghttpx, &[5.0, 1.0]),
            (Peer::Haproxy, &[1.0, 5.0]),
            (Peer::Stunnel, &[100.0, 100.0]),
        ]);
        assert_eq!(all.ratio(ROW, Against::BestMux), Some(2.0));
    }

    #[test]
    fn rounds_that_say_nothing_about_the_floor_do_not_count() {
        let all = measures(&[
            (Peer::Seacat, &[3.0, 9.0, 3.0]),
            (Peer::Direct, &[1.0, 5.0, 1.0]),
            (Peer::Nghttpx, &[5.0, 4.0, 9.0]),
        ]);
        assert_eq!(all.over_floor(ROW, Peer::Nghttpx), Some(0.375));
    }

    #[test]
    fn growth_is_that_of_the_worst_point_and_needs_all_of_them() {
        let mut all = measures(&[(Peer::Seacat, &[10.0, 10.0, 10.0])]);
        let later = ["c=2", "c=3"];
        for (point, values) in [("c=2", [11.0, 15.0, 12.0]), ("c=3", [9.0, 9.0, 13.0])] {
            for (round, value) in values.into_iter().enumerate() {
                let peer = Peer::Seacat;
                let point = point.to_owned();
                all.add(Measure {
                    scenario: ROW.scenario,
                    point,
                    peer,
                    metric: ROW.metric,
                    round,
                    value,
                });
            }
            let known = (point == "c=3").then_some(1.3);
            assert_eq!(all.growth(ROW, &later), known);
        }
    }

    #[test]
    fn median_of_even_odd_and_none() {
        assert_eq!(median(vec![3.0, 1.0]), Some(2.0));
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![]), None);
    }
}
