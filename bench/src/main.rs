//! Our proxy beside its peers on one machine: `cargo xtask bench`.
//!
//! ```text
//! load generator ─► near end ─TLS─► far end ─► origin      for seacat, nghttpx, haproxy, stunnel
//! load generator ────────────────────────────► origin      the floor
//! ```
//!
//! Every box is a process; the load generator and the origin are further processes of this program.
//! Everything runs on loopback and ends with the bench, even if that is killed.
//! docs/performance-diary.md describes what is measured and why.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench says what it measured")]

mod goals;
mod http;
mod jobs;
mod line;
mod load;
mod measures;
mod networks;
mod origin;
mod pattern;
mod peer;
mod place;
mod plot;
mod procfs;
mod report;
mod scenario;

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};

use crate::measures::Measures;
use crate::peer::Peer;
use crate::place::Place;
use crate::scenario::{Bench, Scenario};

/// A result, or an error message for the user.
type Outcome<T = ()> = Result<T, String>;

/// Our proxy beside its peers on one machine.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask bench")]
struct Arguments {
    /// What to measure; everything when nothing is named
    scenarios: Vec<Scenario>,
    /// How often everything is measured (default: 5; startup: 7, idle: 3, stall and wan: 2)
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// How long one measurement lasts (default: 1 to 2; wan: 4, stall: 5, idle: 10)
    #[arg(long, value_name = "S", value_parser = positive)]
    seconds: Option<f64>,
    /// Size of the large bodies, in MiB (default: 1024; stall: 64)
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    mib: Option<u64>,
    /// Of the lines in `wan`, only those that lose so many packets in a hundred
    #[arg(long, value_delimiter = ',', value_name = "PERCENT,…")]
    loss: Vec<f64>,
    /// Only these
    #[arg(long, value_delimiter = ',', value_name = "PEER,…")]
    peers: Vec<Peer>,
    /// Folder for the numbers of this run, as JSON
    #[arg(long, value_name = "DIR", default_value = "target/bench", overrides_with = "out")]
    out: PathBuf,
    /// Put the tables into FILE too, in place of those it has
    #[arg(long, value_name = "FILE")]
    into: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

/// The processes that the bench starts.
#[derive(Debug, Subcommand)]
enum Part {
    #[command(hide = true)]
    Origin { address: SocketAddr },
    #[command(hide = true)]
    Line { line: String },
    #[command(hide = true)]
    Load { job: String, target: String },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.part {
        Some(Part::Origin { address }) => origin::run(*address),
        Some(Part::Line { line }) => lay_line(line),
        Some(Part::Load { job, target }) => do_job(job, target),
        None => measure(arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn lay_line(line: &str) -> Outcome {
    line::run(serde_json::from_str(line).map_err(|error| format!("not a line: {error}"))?)
}

fn do_job(job: &str, target: &str) -> Outcome {
    let wrong = |error: serde_json::Error| format!("not a job: {error}");
    let job = serde_json::from_str(job).map_err(wrong)?;
    let target = serde_json::from_str(target).map_err(wrong)?;
    jobs::run(&job, &target)
}

fn measure(arguments: Arguments) -> Outcome {
    raise_file_limit(FILES)?;
    let scenarios = or_all(arguments.scenarios, &Scenario::ALL);
    let mut bench = Bench {
        rounds: arguments.rounds.map(usize::from),
        seconds: arguments.seconds,
        mib: arguments.mib,
        losses: arguments.loss,
        peers: or_all(arguments.peers, &Peer::ALL),
        place: Place::new()?,
        measures: Measures::default(),
    };
    for scenario in &scenarios {
        // A failed scenario must not lose the numbers of the others. A process that does not start
        // panics, as in a test, and its output is printed.
        let ran = catch_unwind(AssertUnwindSafe(|| scenario.run(&mut bench)));
        if let Err(why) = ran.unwrap_or_else(|_| Err("a process failed, see above".to_owned())) {
            bench.measures.failures.push(format!("{}: {why}", scenario.name()));
        }
    }
    let tables = report::markdown(&bench, &scenarios);
    println!("{tables}");
    let path = report::save(&bench, &scenarios, &arguments.out)?;
    println!("the numbers of every round: {}", path.display());
    if scenarios.contains(&Scenario::Growth) {
        let near_page = arguments.into.as_deref().and_then(Path::parent);
        let drawn = report::draw(&bench, near_page.unwrap_or(&arguments.out))?;
        println!("growth: {}", drawn.display());
    }
    if let Some(page) = &arguments.into {
        report::put_into(page, &tables)?;
    }
    match bench.measures.failures.as_slice() {
        [] => Ok(()),
        some => Err(format!("could not be measured:\n{}", some.join("\n"))),
    }
}

/// A thousand clients need a thousand sockets on both sides of each process.
const FILES: u32 = 8192;

/// Raises the limit of open files of this process and of those it starts.
fn raise_file_limit(files: u32) -> Outcome {
    let wanted = format!("--nofile={files}:");
    let raised =
        Command::new("prlimit").args(["--pid", &std::process::id().to_string(), &wanted]).status();
    match raised {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!("{files} open files are needed; see `ulimit -Hn`")),
        Err(error) => Err(format!("prlimit: {error}")),
    }
}

fn or_all<T: Copy + PartialEq>(mut named: Vec<T>, all: &[T]) -> Vec<T> {
    if named.is_empty() {
        return all.to_vec();
    }
    // In the order of the tables, and each once.
    named = all.iter().copied().filter(|one| named.contains(one)).collect();
    named
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if number > 0.0 && number <= 3600.0 => Ok(number),
        _ => Err("a number of seconds up to 3600".to_owned()),
    }
}

/// The path of this program.
fn own_program() -> Outcome<PathBuf> {
    std::env::current_exe().map_err(|error| format!("this program has no path: {error}"))
}

/// Prints progress.
fn progress(line: &str) {
    eprintln!("{line}");
}
