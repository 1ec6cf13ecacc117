//! The load generator from the bench's side: a process that performs one job and answers in lines.
//!
//! It prints `ready` when the measurement begins (clients are connected and warm), so that the
//! bench can read the proxy's processor time at that moment. Its last line is the result as JSON.
//! Jobs that hold a state wait in between for a line from the bench.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::http::Target;
use crate::networks::Network;

/// The warm-up time on loopback, in milliseconds.
pub(crate) const WARM_MS: u64 = 300;
/// The line that marks the start of the measurement.
pub(crate) const READY: &str = "ready";

/// The job of a load generator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Job {
    /// A closed loop of `GET /k`; results in [`Served`].
    Small {
        clients: usize,
        /// Otherwise each request has a connection of its own, and its time counts.
        keep_alive: bool,
        /// Between an answer and the next request of the same client.
        think_ms: u64,
        warm_ms: u64,
        seconds: f64,
    },
    /// So many requests, each on a connection of its own, `at_once` at a time; results in [`Served`].
    Burst { requests: usize, at_once: usize },
    /// Repeated downloads; results in [`Moved`].
    Flood { clients: usize, warm_ms: u64, seconds: f64 },
    /// One body in one direction; results in [`Moved`].
    Transfer { up: bool, bytes: u64 },
    /// Downloads that stop after their beginning, until a line comes; then they go on to the end
    /// and each byte is compared. Results in [`Resumed`].
    Stall { clients: usize, bytes: u64 },
    /// As many keep-alive clients that each asked once and wait for a line; then requests go round among
    /// them, `at_once` at a time, each client's turn coming when all others have had theirs. Results in
    /// [`Served`].
    Round { clients: usize, at_once: usize, seconds: f64 },
    /// Keep-alive clients that each asked once and stay silent until a line comes; no result.
    Idle { clients: usize },
}

/// The results of small requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Served {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) last_error: Option<String>,
    pub(crate) seconds: f64,
    /// Of the requests that were answered; none when none was.
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    /// The longest of all.
    pub(crate) worst_ms: Option<f64>,
}

/// The result of a flood or a transfer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Moved {
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
}

/// The result of readers that stalled and continued.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Resumed {
    /// Readers that got every byte, each in its place.
    pub(crate) whole: usize,
    /// Why one of the others did not.
    pub(crate) last_error: Option<String>,
    pub(crate) seconds: f64,
}

/// A running load generator; dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Load {
    child: Child,
    commands: ChildStdin,
    lines: BufReader<ChildStdout>,
}

impl Load {
    /// Starts the job. The kernel ends it should the bench be killed.
    pub(crate) fn start(job: &Job, target: &Target) -> Outcome<Self> {
        let program = crate::own_program()?;
        let words = [serde_json::to_string(job), serde_json::to_string(target)];
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        command.args(target.network.into_iter().flat_map(Network::enter));
        command.arg(program).arg("load");
        for word in words {
            command.arg(word.map_err(|error| format!("a job as JSON: {error}"))?);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            command.spawn().map_err(|error| format!("cannot start a load generator: {error}"))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(commands), Some(out)) => Ok(Self { child, commands, lines: BufReader::new(out) }),
            _ => Err("a load generator without pipes".to_owned()),
        }
    }

    /// Waits until the measurement begins.
    pub(crate) fn ready(&mut self) -> Outcome {
        match self.line()?.as_str() {
            READY => Ok(()),
            other => Err(format!("the load generator printed {other:?}")),
        }
    }

    /// Continues a job that holds a state.
    pub(crate) fn go_on(&mut self) -> Outcome {
        let sent = writeln!(self.commands, "go on").and_then(|()| self.commands.flush());
        sent.map_err(|error| format!("cannot write to the load generator: {error}"))
    }

    /// Waits for the result.
    pub(crate) fn result<T: DeserializeOwned>(&mut self) -> Outcome<T> {
        let line = self.line()?;
        serde_json::from_str(&line).map_err(|error| format!("{line:?}: {error}"))
    }

    fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            Ok(n) if n > 0 => Ok(line.trim_end().to_owned()),
            // It has printed the reason to standard error.
            Ok(_) => Err("the load generator failed".to_owned()),
            Err(error) => Err(format!("the load generator cannot be read: {error}")),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
