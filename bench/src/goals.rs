//! Goals, and whether a run reached them.

use crate::measures::{Against, Measures, Metric, Row};
use crate::peer::Peer;
use crate::scenario::Scenario;

/// One goal: a number of one row and its limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    /// What it is about.
    pub(crate) text: &'static str,
    scenario: Scenario,
    point: &'static str,
    metric: Metric,
    of: Of,
    wanted: Wanted,
    /// A better value; for the reader only.
    pub(crate) stretch: &'static str,
}

/// How the number is computed.
#[derive(Clone, Copy, Debug)]
enum Of {
    /// Ours as it is.
    Ours,
    /// The ratio of ours to another's, within each round.
    Ratio(Against),
    /// The same after the floor has been subtracted from both.
    OverFloor(Peer),
    /// The largest of ours at these points, divided by ours at the goal's own: how much it grows.
    Growth(&'static [&'static str]),
}

/// The limit of the number.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

/// The result of a goal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    Met,
    /// By this share of the limit.
    Missed(f64),
    NotMeasured,
}

const NGHTTPX: Against = Against::Peer(Peer::Nghttpx);
const HAPROXY: Against = Against::Peer(Peer::Haproxy);
const STUNNEL: Against = Against::Peer(Peer::Stunnel);
const BEST: Against = Against::BestMux;

const fn goal(
    text: &'static str,
    (scenario, point, metric): (Scenario, &'static str, Metric),
    of: Of,
    wanted: Wanted,
    stretch: &'static str,
) -> Goal {
    Goal { text, scenario, point, metric, of, wanted, stretch }
}

use Metric::{
    CpuPerGib, CpuUsPerRequest, DiskMib, FilledPercent, FirstMs, KeptPercent, KibPerClient,
    KibPerStream, MegabytesPerSecond, P50Ms, P99Ms, PeakMib, RequestsPerSecond, ResidentMib,
    Seconds, StartMs, WakeUps, WholePercent,
};
use Of::{Growth, Ours, OverFloor, Ratio};
use Scenario::{Bulk, Fair, Idle, Small, Stall, Startup, Wan};
use Wanted::{AtLeast, AtMost};

/// Memory of an idle engine, in MiB.
const ENGINE_MIB: f64 = 10.0;
/// Memory of a connection for its readers, in MiB (docs/protocol/extensions.md). With windows, as
/// here, nothing goes to the disk.
const CONNECTION_MIB: f64 = 64.0;

const MORE_CLIENTS: [&str; 2] = ["1000 clients", "10000 clients"];
const MORE_STREAMS: [&str; 3] = ["64 streams", "256 streams", "1000 streams"];

/// All goals of this bench.
#[rustfmt::skip]
pub(crate) const GOALS: [Goal; 42] = [
    goal("req/s, c=64", (Small, "c=64", RequestsPerSecond), Ratio(BEST), AtLeast(1.3), "1.5"),
    goal("req/s, c=1", (Small, "c=1", RequestsPerSecond), Ratio(BEST), AtLeast(1.3), "1.6"),
    goal("req/s, c=16", (Small, "c=16", RequestsPerSecond), Ratio(BEST), AtLeast(1.3), "1.5"),
    goal("req/s, c=256", (Small, "c=256", RequestsPerSecond), Ratio(BEST), AtLeast(1.15), "1.27"),
    goal("CPU per request, c=64", (Small, "c=64", CpuUsPerRequest), Ratio(NGHTTPX), AtMost(0.65), "0.45"),
    goal("CPU per request, c=64", (Small, "c=64", CpuUsPerRequest), Ratio(HAPROXY), AtMost(0.85), ""),
    goal("added latency, c=1, p50 over direct", (Small, "c=1", P50Ms), OverFloor(Peer::Nghttpx), AtMost(0.65), "0.5"),
    goal("p99, c=64", (Small, "c=64", P99Ms), Ratio(HAPROXY), AtMost(0.85), "0.75"),
    goal("no keep-alive, c=16, req/s", (Small, "close c=16", RequestsPerSecond), Ratio(BEST), AtLeast(1.15), "1.5"),
    goal("bulk down", (Bulk, "down", MegabytesPerSecond), Ratio(STUNNEL), AtLeast(1.5), "95 % of a plain relay"),
    goal("bulk down", (Bulk, "down", MegabytesPerSecond), Ratio(BEST), AtLeast(2.5), ""),
    goal("bulk up", (Bulk, "up", MegabytesPerSecond), Ratio(STUNNEL), AtLeast(1.5), "95 % of a plain relay"),
    goal("bulk up", (Bulk, "up", MegabytesPerSecond), Ratio(BEST), AtLeast(2.5), ""),
    goal("CPU s/GiB down", (Bulk, "down", CpuPerGib), Ours, AtMost(0.85), "0.75"),
    goal("CPU s/GiB up", (Bulk, "up", CpuPerGib), Ours, AtMost(0.80), "0.65"),
    goal("small p99 beside 4 downloads", (Fair, "4 downloads", P99Ms), Ratio(NGHTTPX), AtMost(1.0), "0.5"),
    goal("while bulk is", (Fair, "4 downloads", MegabytesPerSecond), Ratio(NGHTTPX), AtLeast(1.5), ""),
    goal("rate kept beside 1 stalled reader, %", (Stall, "k=1", KeptPercent), Ours, AtLeast(90.0), ""),
    goal("rate kept beside 8, %", (Stall, "k=8", KeptPercent), Ours, AtLeast(90.0), ""),
    goal("rate kept beside 64, %", (Stall, "k=64", KeptPercent), Ours, AtLeast(90.0), ""),
    goal("1 stalled reader gets every byte, %", (Stall, "k=1", WholePercent), Ours, AtLeast(100.0), ""),
    goal("8 get every byte, %", (Stall, "k=8", WholePercent), Ours, AtLeast(100.0), ""),
    goal("64 get every byte, %", (Stall, "k=64", WholePercent), Ours, AtLeast(100.0), ""),
    goal("near end's peak beside 64, MiB", (Stall, "k=64", PeakMib), Ours, AtMost(ENGINE_MIB + CONNECTION_MIB), ""),
    goal("on disk beside 64, MiB", (Stall, "k=64", DiskMib), Ours, AtMost(0.0), ""),
    goal("idle engine, RSS MiB", (Idle, "silent", ResidentMib), Ours, AtMost(ENGINE_MIB), "6"),
    goal("idle client, KiB", (Idle, "1000 clients", KibPerClient), Ours, AtMost(2.1), "1.5"),
    goal("wake-ups between PINGs, in 10 s", (Idle, "silent", WakeUps), Ours, AtMost(0.0), ""),
    goal("exec to first 200", (Startup, "first 200", StartMs), Ratio(NGHTTPX), AtMost(0.5), ""),
    goal("CPU per request, 1 000 and 10 000 clients", (Scenario::Growth, "100 clients", CpuUsPerRequest), Growth(&MORE_CLIENTS), AtMost(1.2), ""),
    goal("memory for each of them", (Scenario::Growth, "100 clients", KibPerClient), Growth(&MORE_CLIENTS), AtMost(1.2), ""),
    goal("CPU per request, up to 1 000 streams", (Scenario::Growth, "16 streams", CpuUsPerRequest), Growth(&MORE_STREAMS), AtMost(1.2), ""),
    goal("memory for each of them", (Scenario::Growth, "16 streams", KibPerStream), Growth(&MORE_STREAMS), AtMost(1.2), ""),
    goal("line: warm request, ms (1.05 RTT)", (Wan, "no loss: warm", P50Ms), Ours, AtMost(52.5), ""),
    goal("line: burst of 100, s", (Wan, "no loss: burst", Seconds), Ours, AtMost(0.55), ""),
    goal("line: cold request, ms (3.2 RTT)", (Wan, "no loss: cold", FirstMs), Ours, AtMost(160.0), ""),
    goal("line: first request, dialled ahead, ms (1.05 RTT)", (Wan, "no loss: dialled", FirstMs), Ours, AtMost(52.5), ""),
    goal("line: small p50 beside 2 downloads, ms (2 RTT)", (Wan, "no loss: 2 downloads", P50Ms), Ours, AtMost(100.0), "75"),
    goal("line: filled by them, %", (Wan, "no loss: 2 downloads", FilledPercent), Ours, AtLeast(90.0), ""),
    goal("stretch: exec to first 200", (Startup, "first 200", StartMs), Ratio(STUNNEL), AtMost(1.0), ""),
    goal("stretch: CPU per request, c=64", (Small, "c=64", CpuUsPerRequest), Ratio(NGHTTPX), AtMost(0.45), ""),
    goal("stretch: small p99 beside 4 downloads", (Fair, "4 downloads", P99Ms), Ratio(NGHTTPX), AtMost(0.5), ""),
];

impl Goal {
    /// The number that is compared with the limit.
    pub(crate) fn value(&self, measures: &Measures) -> Option<f64> {
        let row = Row { scenario: self.scenario.name(), point: self.point, metric: self.metric };
        match self.of {
            Ours => measures.median(row, Peer::Seacat),
            Ratio(against) => measures.ratio(row, against),
            OverFloor(peer) => measures.over_floor(row, peer),
            Growth(later) => measures.growth(row, later),
        }
    }

    /// Whether it belongs to one of these.
    pub(crate) fn belongs_to(&self, scenarios: &[Scenario]) -> bool {
        scenarios.contains(&self.scenario)
    }

    /// The limit as text.
    pub(crate) fn wanted(&self) -> String {
        let (sign, number) = match self.wanted {
            AtLeast(number) => ("≥", number),
            AtMost(number) => ("≤", number),
        };
        match self.of {
            Ours => format!("{sign} {number}"),
            Growth(_) => format!("{sign} {number} × at {}", self.point),
            Ratio(Against::BestMux) => format!("{sign} {number} × the best mux"),
            Ratio(Against::Peer(peer)) | OverFloor(peer) => {
                format!("{sign} {number} × {}", peer.name())
            }
        }
    }

    /// Whether it was reached.
    pub(crate) fn verdict(&self, measures: &Measures) -> Verdict {
        self.value(measures).map_or(Verdict::NotMeasured, |value| self.wanted.judge(value))
    }
}

impl Wanted {
    fn judge(self, value: f64) -> Verdict {
        let (distance, wanted) = match self {
            AtLeast(wanted) => (wanted - value, wanted),
            AtMost(wanted) => (value - wanted, wanted),
        };
        if distance <= 0.0 {
            Verdict::Met
        } else {
            // With a limit of 0, each one too many counts as 100 %.
            Verdict::Missed(distance / if wanted == 0.0 { 1.0 } else { wanted })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judged_on_the_right_side_and_by_the_share_that_is_missing() {
        assert_eq!(AtLeast(1.5).judge(1.5), Verdict::Met);
        assert_eq!(AtLeast(1.5).judge(0.75), Verdict::Missed(0.5));
        assert_eq!(AtMost(0.5).judge(0.4), Verdict::Met);
        assert_eq!(AtMost(0.5).judge(0.75), Verdict::Missed(0.5));
        assert_eq!(AtMost(0.0).judge(0.0), Verdict::Met);
        assert_eq!(AtMost(0.0).judge(3.0), Verdict::Missed(3.0));
    }

    #[test]
    fn what_was_not_measured_is_not_met() {
        for goal in GOALS {
            assert_eq!(goal.verdict(&Measures::default()), Verdict::NotMeasured);
        }
    }
}
