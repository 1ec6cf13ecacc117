//! A finished request, as the window and `seacat-proxy requests` see it.

use std::fmt;
use std::time::{Duration, SystemTime};

use seacat_proxy::{AccessLine, Answerer, Program, Route};
use serde::{Deserialize, Serialize};

/// One request: no query, no headers, no bodies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct AccessView {
    /// By which a request that failed is found again: six letters and digits.
    pub request_code: Option<String>,
    /// The program that sent it, if that was looked up.
    pub program: Option<ProgramView>,
    /// When it arrived, in milliseconds since 1970.
    pub time_ms: u64,
    /// The request method.
    pub method: String,
    /// The host asked for.
    pub host: String,
    /// The path without its query.
    pub path: String,
    /// The status of the answer; absent when the client left before there was one.
    pub status: Option<u16>,
    /// The code of the error, `SC-…`, when this proxy or the gateway made one.
    pub code: Option<String>,
    /// Who answered, or ended the request without an answer.
    pub answered_by: AnswererView,
    /// Where it went.
    pub route: RouteView,
    /// How long it waited for the channel, in milliseconds.
    pub waited_ms: f64,
    /// From its arrival to the head of the answer, in milliseconds.
    pub first_byte_ms: Option<f64>,
    /// From its arrival to the end of the answer, in milliseconds.
    pub total_ms: f64,
    /// Body bytes from the client.
    pub bytes_up: u64,
    /// Body bytes to the client.
    pub bytes_down: u64,
}

/// A program on this computer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ProgramView {
    /// What people call it.
    pub name: String,
    /// What it runs, where it is an interpreter.
    pub runs: Option<String>,
}

impl From<&Program> for ProgramView {
    fn from(program: &Program) -> Self {
        Self { name: program.name.clone(), runs: program.runs.clone() }
    }
}

impl fmt::Display for ProgramView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.runs {
            Some(runs) => write!(f, "{} ({runs})", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Who gave an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum AnswererView {
    /// The program that had sent the request left before there was an answer.
    Program,
    /// This proxy.
    Proxy,
    /// The gateway.
    Gateway,
    /// The server.
    Server,
}

impl fmt::Display for AnswererView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Program => "no one: the program left",
            Self::Proxy => "this proxy",
            Self::Gateway => "the gateway",
            Self::Server => "the server",
        })
    }
}

impl From<Answerer> for AnswererView {
    fn from(answerer: Answerer) -> Self {
        match answerer {
            Answerer::Client => Self::Program,
            Answerer::Proxy => Self::Proxy,
            Answerer::Gateway => Self::Gateway,
            Answerer::Server => Self::Server,
        }
    }
}

/// Where a request went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum RouteView {
    /// Nowhere: it was answered with an error or one of our own pages.
    Local,
    /// Through the channel.
    Gateway,
    /// Straight to the network.
    Direct,
}

impl AccessView {
    /// Whether the program did not get what it asked for.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.code.is_some() || self.status.is_none_or(|status| status >= 400)
    }
}

impl From<&AccessLine> for AccessView {
    fn from(line: &AccessLine) -> Self {
        Self {
            request_code: line.request_code.map(|code| code.to_string()),
            program: line.program.as_deref().map(Into::into),
            time_ms: ms_since_1970(line.time),
            method: line.method.to_string(),
            host: line.host.clone(),
            path: line.path.clone(),
            status: (line.status != 0).then_some(line.status),
            code: line.error.map(|code| code.to_string()),
            answered_by: line.answerer().into(),
            route: match line.route {
                Route::Local => RouteView::Local,
                Route::Gateway => RouteView::Gateway,
                Route::Direct => RouteView::Direct,
            },
            waited_ms: millis(line.waited),
            first_byte_ms: line.first_byte.map(millis),
            total_ms: millis(line.total),
            bytes_up: line.bytes_up,
            bytes_down: line.bytes_down,
        }
    }
}

pub(crate) fn ms_since_1970(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds with one decimal.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

/// One line for a terminal.
#[must_use]
pub fn text(line: &AccessView) -> String {
    let status = line.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    let code = line.code.as_deref().map_or(String::new(), |code| format!(" {code}"));
    let request = line.request_code.as_deref();
    let request = request.map_or(String::new(), |code| format!(" [{code}]"));
    format!(
        "{status:>3} {:<7} {}{} {} ms, {} B up, {} B down{code}{request}",
        line.method, line.host, line.path, line.total_ms, line.bytes_up, line.bytes_down
    )
}
