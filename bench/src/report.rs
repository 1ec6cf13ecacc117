//! The report of a run: tables in Markdown, and every number as JSON.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::Outcome;
use crate::goals::{GOALS, Goal, Verdict};
use crate::measures::{Against, Measures, Metric, Row};
use crate::peer::Peer;
use crate::plot;
use crate::scenario::{Bench, Scenario};

/// The tables of a run, in Markdown.
pub(crate) fn markdown(bench: &Bench, scenarios: &[Scenario]) -> String {
    let mut text = format!("\n- `{}`\n", command());
    for line in Surroundings::look().lines() {
        text += &format!("- {line}\n");
    }
    for scenario in scenarios {
        text += &table(bench, *scenario);
        if *scenario == Scenario::Growth {
            text += "\n![CPU per request and memory, by clients and by streams](growth.svg)\n";
        }
    }
    text += &goals(&bench.measures, scenarios);
    for failure in &bench.measures.failures {
        text += &format!("\n    {failure}\n");
    }
    text
}

/// The arguments as typed. The folder for the numbers is added by xtask.
fn command() -> String {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "--out") {
        words.drain(..words.len().min(2));
    }
    words.insert(0, "cargo xtask bench".to_owned());
    words.join(" ")
}

/// One scenario: a row for each number, a column for each peer, and our ratios to them.
fn table(bench: &Bench, scenario: Scenario) -> String {
    let rounds = bench.rounds.unwrap_or(scenario.rounds());
    let mut text = format!(
        "\n### {}\n\n{}. Medians of {rounds}; ÷: ours divided by theirs, the median of the rounds' ratios.\n\n",
        scenario.name(),
        scenario.title()
    );
    let peers = &scenario.peers(&bench.peers);
    let rivals: Vec<Peer> =
        peers.iter().copied().filter(|peer| !matches!(peer, Peer::Direct | Peer::Seacat)).collect();
    text += "| | |";
    for peer in peers {
        text += &format!(" {} |", peer.name());
    }
    for rival in &rivals {
        text += &format!(" ÷ {} |", rival.name());
    }
    text += " ÷ best mux |\n| --- | --- |";
    text += &" ---: |".repeat(peers.len() + rivals.len() + 1);
    text += "\n";
    for row in bench.measures.rows(scenario.name()) {
        text += &format!("| {} | {} |", row.point, row.metric.name());
        for peer in peers {
            text += &cell(bench.measures.median(row, *peer));
        }
        let against = rivals.iter().copied().map(Against::Peer);
        for against in against.chain([Against::BestMux]) {
            text += &cell(ratio(&bench.measures, row, against));
        }
        text += "\n";
    }
    text
}

/// A ratio, if it is meaningful.
fn ratio(measures: &Measures, row: Row<'_>, against: Against) -> Option<f64> {
    let shares = [Metric::Errors, Metric::KeptPercent, Metric::WholePercent];
    if shares.contains(&row.metric) { None } else { measures.ratio(row, against) }
}

fn cell(value: Option<f64>) -> String {
    value.map_or(" – |".to_owned(), |value| format!(" {} |", short(value)))
}

/// About three significant figures.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Each goal of the scenarios that ran, and whether it was met.
fn goals(measures: &Measures, scenarios: &[Scenario]) -> String {
    let mut text = String::from(
        "\n### Goals\n\n| | wanted | stretch | measured | met |\n| --- | --- | --- | ---: | --- |\n",
    );
    for goal in GOALS.iter().filter(|goal| goal.belongs_to(scenarios)) {
        let value = goal.value(measures);
        text += &format!(
            "| {} | {} | {} |{} {} |\n",
            goal.text,
            goal.wanted(),
            goal.stretch,
            cell(value),
            words(goal.verdict(measures))
        );
    }
    text
}

fn words(verdict: Verdict) -> String {
    match verdict {
        Verdict::Met => "met".to_owned(),
        Verdict::Missed(share) => format!("missed by {} %", short(share * 100.0)),
        Verdict::NotMeasured => "not measured".to_owned(),
    }
}

/// The circumstances of the run.
#[derive(Serialize)]
struct Saved<'a> {
    surroundings: Surroundings,
    arguments: Vec<String>,
    goals: Vec<SavedGoal>,
    measures: &'a Measures,
}

#[derive(Serialize)]
struct SavedGoal {
    text: &'static str,
    wanted: String,
    measured: Option<f64>,
    verdict: String,
}

impl SavedGoal {
    fn new(goal: &Goal, measures: &Measures) -> Self {
        Self {
            text: goal.text,
            wanted: goal.wanted(),
            measured: goal.value(measures),
            verdict: words(goal.verdict(measures)),
        }
    }
}

/// Writes the numbers of every round into a file of its own, and returns its path.
pub(crate) fn save(bench: &Bench, scenarios: &[Scenario], dir: &Path) -> Outcome<PathBuf> {
    let surroundings = Surroundings::look();
    let names: Vec<&str> = scenarios.iter().map(|s| s.name()).collect();
    let path = dir.join(format!("{}-{}.json", surroundings.time, names.join("-")));
    let ours = GOALS.iter().filter(|goal| goal.belongs_to(scenarios));
    let saved = Saved {
        surroundings,
        arguments: std::env::args().skip(1).collect(),
        goals: ours.map(|goal| SavedGoal::new(goal, &bench.measures)).collect(),
        measures: &bench.measures,
    };
    let text = serde_json::to_string_pretty(&saved).map_err(|error| error.to_string())?;
    fs::create_dir_all(dir)
        .and_then(|()| fs::write(&path, text))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

/// Writes the picture of the growth into a folder, and returns its path.
pub(crate) fn draw(bench: &Bench, dir: &Path) -> Outcome<PathBuf> {
    let path = dir.join("growth.svg");
    fs::write(&path, plot::growth(&bench.measures))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

/// The part of a page before the tables of the last run.
const MARK: &str = "<!-- measured from here on -->\n";

/// Replaces everything after the mark in a page by tables.
pub(crate) fn put_into(page: &Path, tables: &str) -> Outcome {
    let wrong = |error: std::io::Error| format!("{}: {error}", page.display());
    let text = fs::read_to_string(page).map_err(wrong)?;
    let (kept, _) = text
        .split_once(MARK)
        .ok_or_else(|| format!("{} has no line {}", page.display(), MARK.trim_end()))?;
    fs::write(page, format!("{kept}{MARK}{tables}")).map_err(wrong)
}

/// The machine and the peers.
#[derive(Debug, Serialize)]
struct Surroundings {
    /// In seconds since 1970.
    time: u64,
    processor: String,
    processors: usize,
    kernel: String,
    /// The load average at the end of the run, including other programs.
    load: String,
    versions: Vec<String>,
}

impl Surroundings {
    fn look() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let model = info.lines().find_map(|line| line.strip_prefix("model name"));
        let model = model.unwrap_or_default().trim_matches([' ', '\t', ':']);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            time: now.map_or(0, |now| now.as_secs()),
            processor: model.to_owned(),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" "),
            versions: Peer::ALL.iter().filter_map(|peer| version(*peer)).collect(),
        }
    }

    fn lines(&self) -> Vec<String> {
        vec![
            format!(
                "{} × {}, Linux {}, load {}",
                self.processors, self.processor, self.kernel, self.load
            ),
            self.versions.join(" · "),
        ]
    }
}

/// The first line of a peer's version output; some print it to standard error.
fn version(peer: Peer) -> Option<String> {
    let said = peer.version()?.output().ok()?;
    let words = [said.stdout, said.stderr].concat();
    let words = String::from_utf8_lossy(&words).into_owned();
    let line = words.lines().find(|line| line.contains(|c: char| c.is_ascii_digit()))?;
    Some(line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_keeps_what_stands_before_the_mark() {
        let dir = seacat_tests::scratch();
        let page = dir.path().join("page.md");
        fs::write(&page, format!("words\n{MARK}old")).unwrap();
        put_into(&page, "new").unwrap();
        let text = fs::read_to_string(&page).unwrap();
        assert_eq!(text, format!("words\n{MARK}new"));
        fs::write(&page, "words").unwrap();
        assert!(put_into(&page, "new").is_err());
        assert_eq!(fs::read_to_string(&page).unwrap(), "words");
    }

    #[test]
    fn numbers_are_as_long_as_they_are_worth() {
        for (value, text) in [
            (28_207.4, "28207"),
            (-12.34, "-12.3"),
            (0.123, "0.12"),
            (0.0123, "0.012"),
            (0.0, "0"),
            (100.0, "100"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
