//! A finished request, as the window and `seacat-proxy requests` see it.

use std::time::{Duration, SystemTime};

use seacat_proxy::{AccessLine, Answerer, Route};
use serde::{Deserialize, Serialize};

/// One request: no query, no headers, no bodies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct AccessView {
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

impl From<&AccessLine> for AccessView {
    fn from(line: &AccessLine) -> Self {
        let since_1970 = line.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            time_ms: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX),
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

/// Milliseconds with one decimal.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

/// One line for a terminal.
#[must_use]
pub fn text(line: &AccessView) -> String {
    let status = line.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    let code = line.code.as_deref().map_or(String::new(), |code| format!(" {code}"));
    format!(
        "{status:>3} {:<7} {}{} {} ms, {} B up, {} B down{code}",
        line.method, line.host, line.path, line.total_ms, line.bytes_up, line.bytes_down
    )
}
