//! The picture of the growth of the cost: four charts in one SVG, for light and dark backgrounds.

use crate::measures::{Measures, Metric, Row};
use crate::peer::Peer;
use crate::scenario::Scenario;
use crate::scenario::growth::{CLIENTS, STREAMS};

/// The peers in the charts, with their style classes; ours last, and so on top.
const WHO: [(Peer, &str); 2] = [(Peer::Nghttpx, "other"), (Peer::Seacat, "ours")];

/// One chart: its metric and the points on its axis.
struct Chart {
    title: &'static str,
    unit: &'static str,
    metric: Metric,
    points: &'static [(usize, &'static str)],
}

const CHARTS: [Chart; 4] = [
    Chart {
        title: "Processor time for each request, by client connections",
        unit: "µs",
        metric: Metric::CpuUsPerRequest,
        points: &CLIENTS,
    },
    Chart {
        title: "Memory for each client connection",
        unit: "KiB",
        metric: Metric::KibPerClient,
        points: &CLIENTS,
    },
    Chart {
        title: "Processor time for each request, by streams at one time",
        unit: "µs",
        metric: Metric::CpuUsPerRequest,
        points: &STREAMS,
    },
    Chart {
        title: "Memory for each stream",
        unit: "KiB",
        metric: Metric::KibPerStream,
        points: &STREAMS,
    },
];

/// A chart and its margins, in pixels.
const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 36.0;
/// Of the legend below all charts.
const LEGEND: f64 = 32.0;
/// What is seldom more than a few lines across a chart.
const TICKS: f64 = 4.0;

const STYLE: &str = "\
    .paper { fill: #f7f9f9; }
    text { font: 12px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #52666d; font-variant-numeric: tabular-nums; }
    .title { font-size: 13px; fill: #1b2a2f; }
    .rule { stroke: #d5dee1; }
    .line { fill: none; stroke-width: 2; }
    .ours.line { stroke: #0b7a75; } .ours.dot { fill: #0b7a75; }
    .other.line { stroke: #8a5a00; stroke-dasharray: 5 4; } .other.dot { fill: #8a5a00; }
    @media (prefers-color-scheme: dark) {
      .paper { fill: #12191b; }
      text { fill: #a3b4ba; }
      .title { fill: #e8eef0; }
      .rule { stroke: #2b383c; }
      .ours.line { stroke: #3cc2b6; } .ours.dot { fill: #3cc2b6; }
      .other.line { stroke: #e0a84a; } .other.dot { fill: #e0a84a; }
    }";

/// The whole picture. What was not measured leaves a gap.
pub(crate) fn growth(measures: &Measures) -> String {
    let (width, height) = (2.0 * WIDTH, 2.0 * HEIGHT + LEGEND);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-label=\"Processor time and memory by client connections \
         and by streams; the numbers stand in the table of the scenario growth\">\n  \
         <style>\n{STYLE}\n  </style>\n  \
         <rect class=\"paper\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>\n"
    );
    for (nth, chart) in CHARTS.iter().enumerate() {
        let (x, y) = ((nth % 2) as f64 * WIDTH, (nth / 2) as f64 * HEIGHT);
        svg += &format!("  <g transform=\"translate({x} {y})\">\n{}  </g>\n", chart.draw(measures));
    }
    for (nth, (peer, class)) in WHO.iter().rev().enumerate() {
        let (x, y) = (LEFT + nth as f64 * 110.0, 2.0 * HEIGHT + 12.0);
        svg += &format!(
            "  <path class=\"{class} line\" d=\"M{x} {y}h24\"/><text x=\"{}\" y=\"{}\">{}</text>\n",
            x + 30.0,
            y + 4.0,
            peer.name()
        );
    }
    svg + "</svg>\n"
}

impl Chart {
    fn draw(&self, measures: &Measures) -> String {
        let of = |peer, point| {
            let row = Row { scenario: Scenario::Growth.name(), point, metric: self.metric };
            // A negative value is noise: the process has released memory meanwhile.
            measures.median(row, peer).map(|value| value.max(0.0))
        };
        let lines = WHO.map(|(peer, class)| {
            let there = self.points.iter().filter_map(|(x, point)| Some((*x, of(peer, point)?)));
            (class, there.collect::<Vec<_>>())
        });
        let most = lines.iter().flat_map(|(_, line)| line).map(|(_, y)| *y).fold(0.0, f64::max);
        let tick = tick(most);
        let top = (most / tick).ceil().max(1.0) * tick;
        let last = self.points.iter().map(|(x, _)| *x).max().unwrap_or(1) as f64;
        let across = |x: usize| LEFT + (x as f64).log10() / last.log10() * (WIDTH - LEFT - RIGHT);
        let up = |y: f64| HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM);

        let mut svg = format!(
            "    <text class=\"title\" x=\"{LEFT}\" y=\"24\">{}, {}</text>\n",
            self.title, self.unit
        );
        for nth in 0..=(top / tick).round() as usize {
            let value = nth as f64 * tick;
            svg += &format!(
                "    <path class=\"rule\" d=\"M{LEFT} {y:.1}H{}\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>\n",
                WIDTH - RIGHT,
                LEFT - 8.0,
                up(value) + 4.0,
                y = up(value),
            );
        }
        for (x, _) in self.points {
            svg += &format!(
                "    <text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{x}</text>\n",
                across(*x),
                HEIGHT - BOTTOM + 18.0
            );
        }
        for (class, line) in lines {
            let places: Vec<String> =
                line.iter().map(|(x, y)| format!("{:.1} {:.1}", across(*x), up(*y))).collect();
            if !places.is_empty() {
                svg += &format!("    <path class=\"{class} line\" d=\"M{}\"/>\n", places.join("L"));
            }
            for (x, y) in line {
                svg += &format!(
                    "    <circle class=\"{class} dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/>\n",
                    across(x),
                    up(y)
                );
            }
        }
        svg
    }
}

/// A round distance between the lines across a chart that reaches `most`.
fn tick(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let exact = most / TICKS;
    let power = 10_f64.powf(exact.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    steps.into_iter().find(|step| *step >= exact).unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measures::Measure;

    #[test]
    fn ticks_are_round() {
        for (most, wanted) in [(3.9, 1.0), (17.0, 5.0), (230.0, 100.0), (0.07, 0.02), (0.0, 1.0)] {
            assert!((tick(most) - wanted).abs() < 1e-9, "{most}");
        }
    }

    #[test]
    fn each_number_has_its_dot_and_a_gap_is_no_error() {
        let mut measures = Measures::default();
        for (nth, (_, point)) in CLIENTS.iter().enumerate().filter(|(nth, _)| *nth != 2) {
            measures.add(Measure {
                scenario: "growth",
                point: (*point).to_owned(),
                peer: Peer::Seacat,
                metric: Metric::CpuUsPerRequest,
                round: 0,
                value: nth as f64,
            });
        }
        let svg = growth(&measures);
        assert_eq!(svg.matches("<circle class=\"ours dot\"").count(), 4);
        assert_eq!(svg.matches("<circle class=\"other dot\"").count(), 0);
        assert_eq!(svg.matches("<g ").count(), svg.matches("</g>").count());
        // One client is at the left edge, ten thousand at the right one.
        assert!(svg.contains(&format!("cx=\"{LEFT:.1}\"")));
        assert!(svg.contains(&format!("cx=\"{:.1}\"", WIDTH - RIGHT)));
    }
}
