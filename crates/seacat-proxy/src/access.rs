//! One line per request, for the window and for support: stored in a ring, sent to subscribers.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::Method;
use tokio::sync::{Notify, broadcast};

use crate::errors::Code;
use crate::minutes::{Minute, Minutes};
use crate::programs::{Program, Programs};
use crate::request_code::RequestCode;
use crate::server::activity::Busy;

/// Lines stored for later readers: some screens full, about 100 KiB.
const KEPT: usize = 500;
/// Lines a subscriber may lag behind before it loses some (it receives their number).
const LAG: usize = 1024;
/// A longer host or path is cut off in a line, so that the ring stays small.
const MAX_TEXT: usize = 300;

/// Where a request went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Nowhere: it was answered with an error or one of our own pages.
    Local,
    /// Through the channel.
    Gateway,
    /// Straight to the network.
    Direct,
}

/// Who gave an answer, or ended the request without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answerer {
    /// The client: it left.
    Client,
    /// This proxy.
    Proxy,
    /// The gateway.
    Gateway,
    /// The server behind the gateway, or one that was dialled directly.
    Server,
}

/// A finished request.
#[derive(Debug, Clone)]
pub struct AccessLine {
    /// When it arrived.
    pub time: SystemTime,
    /// Its method.
    pub method: Method,
    /// The host as typed, or empty when none was named.
    pub host: String,
    /// The path without the query: queries carry secrets.
    pub path: String,
    /// The status of the answer; 0 when the client went away before it.
    pub status: u16,
    /// How long it waited for the channel to be connected.
    pub waited: Duration,
    /// From its arrival to the head of the answer, if there was one.
    pub first_byte: Option<Duration>,
    /// From its arrival to the end of the answer or of the tunnel.
    pub total: Duration,
    /// Body bytes from the client.
    pub bytes_up: u64,
    /// Body bytes to the client.
    pub bytes_down: u64,
    /// What went wrong on our side of the answer, if anything did.
    pub error: Option<Code>,
    /// Where it went.
    pub route: Route,
    /// The client's end of its connection.
    pub client: SocketAddr,
    /// By which a request that failed is found again.
    pub request_code: Option<RequestCode>,
    /// The program that sent it, if it was looked up ([`Programs`]).
    pub program: Option<Arc<Program>>,
}

impl AccessLine {
    /// Whether the client did not get what it asked for.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.error.is_some() || self.status == 0 || self.status >= 400
    }

    /// Who answered the request.
    #[must_use]
    pub fn answerer(&self) -> Answerer {
        match (self.error, self.route) {
            (Some(code), _) => code.answerer(),
            (None, Route::Local) => Answerer::Proxy,
            (None, Route::Gateway | Route::Direct) => Answerer::Server,
        }
    }
}

/// The ring of lines and the way to follow it. Clones share the same ring.
#[derive(Debug, Clone)]
pub struct AccessLog(Arc<Ring>);

#[derive(Debug)]
struct Ring {
    kept: Mutex<VecDeque<Arc<AccessLine>>>,
    live: broadcast::Sender<Arc<AccessLine>>,
    notable: broadcast::Sender<Arc<AccessLine>>,
    programs: Programs,
    minutes: Mutex<Minutes>,
    minute_begun: Notify,
}

impl AccessLog {
    pub(crate) fn new() -> Self {
        AccessLog(Arc::new(Ring {
            kept: Mutex::default(),
            live: broadcast::Sender::new(LAG),
            notable: broadcast::Sender::new(LAG),
            programs: Programs::default(),
            minutes: Mutex::default(),
            minute_begun: Notify::new(),
        }))
    }

    /// The latest lines, oldest first, and every line from now on.
    pub fn follow(&self) -> (Vec<Arc<AccessLine>>, broadcast::Receiver<Arc<AccessLine>>) {
        let kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.iter().cloned().collect(), self.0.live.subscribe())
    }

    /// From now on, every request that failed or whose program is known.
    #[must_use]
    pub fn notable(&self) -> broadcast::Receiver<Arc<AccessLine>> {
        self.0.notable.subscribe()
    }

    /// Which programs send the requests.
    #[must_use]
    pub fn programs(&self) -> &Programs {
        &self.0.programs
    }

    /// The traffic of the last 24 hours with traffic, oldest first.
    #[must_use]
    pub fn minutes(&self) -> Vec<Minute> {
        self.lock_minutes().all()
    }

    /// Takes over the traffic that an earlier run has counted.
    pub fn restore_minutes(&self, earlier: Vec<Minute>) {
        self.lock_minutes().restore(earlier);
    }

    /// Resolves when a request ends in another minute than the one before it. For one waiter.
    pub async fn minute_begun(&self) {
        self.0.minute_begun.notified().await;
    }

    fn lock_minutes(&self) -> MutexGuard<'_, Minutes> {
        // Counting does not panic half-way.
        self.0.minutes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: Arc<AccessLine>) {
        tracing::debug!(
            method = %line.method, host = line.host, path = line.path, status = line.status,
            total_ms = line.total.as_millis(), up = line.bytes_up, down = line.bytes_down,
            error = line.error.map(|code| code.row().code), route = ?line.route,
            "request"
        );
        let bytes = line.bytes_up + line.bytes_down;
        if self.lock_minutes().count(line.time + line.total, line.is_failure(), bytes) {
            self.0.minute_begun.notify_one();
        }
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(line.clone());
        // Nobody listening is the usual case. Sent under the lock: `follow` misses no line and
        // sees none twice.
        if self.0.live.receiver_count() > 0 {
            let _ = self.0.live.send(line.clone());
        }
        if line.is_failure() || line.program.is_some() {
            let _ = self.0.notable.send(line);
        }
    }
}

/// A request under way. Dropping it writes its line.
#[derive(Debug)]
pub(crate) struct Record {
    /// Ours alone until it is written.
    line: Option<Arc<AccessLine>>,
    started: Instant,
    /// Made for a request that has a body.
    up: Option<Arc<AtomicU64>>,
    log: AccessLog,
    _busy: Busy,
}

impl Record {
    pub(crate) fn begin(
        log: &AccessLog,
        busy: Busy,
        client: SocketAddr,
        method: &Method,
        host: &str,
        path: &str,
    ) -> Self {
        let line = AccessLine {
            time: SystemTime::now(),
            method: method.clone(),
            host: cut(host),
            path: cut(path),
            status: 0,
            waited: Duration::ZERO,
            first_byte: None,
            total: Duration::ZERO,
            bytes_up: 0,
            bytes_down: 0,
            // Until it is known better: dropped before the answer.
            error: Some(Code::ClientGone),
            route: Route::Local,
            client,
            request_code: None,
            program: None,
        };
        Record {
            line: Some(Arc::new(line)),
            started: Instant::now(),
            up: None,
            log: log.clone(),
            _busy: busy,
        }
    }

    fn edit(&mut self, change: impl FnOnce(&mut AccessLine)) {
        if let Some(line) = self.line.as_mut().and_then(Arc::get_mut) {
            change(line);
        }
    }

    pub(crate) fn host(&mut self, host: &str) {
        self.edit(|line| {
            if line.host != host {
                line.host = cut(host);
            }
        });
    }

    pub(crate) fn route(&mut self, route: Route) {
        self.edit(|line| line.route = route);
    }

    /// The code that the error page bears.
    pub(crate) fn identify(&mut self, code: RequestCode) {
        self.edit(|line| line.request_code = Some(code));
    }

    pub(crate) fn program(&mut self, program: Option<Arc<Program>>) {
        self.edit(|line| line.program = program);
    }

    pub(crate) fn waited(&mut self, waited: Duration) {
        self.edit(|line| line.waited = waited);
    }

    /// The head of the answer is there. `error` stays in the line unless it is changed later.
    pub(crate) fn answered(&mut self, status: u16, error: Option<Code>) {
        let elapsed = self.started.elapsed();
        self.edit(|line| {
            line.status = status;
            line.first_byte = Some(elapsed);
            line.error = error;
        });
    }

    /// The end is not as it should be.
    pub(crate) fn failed(&mut self, error: Code) {
        self.edit(|line| line.error = Some(error));
    }

    /// The client did not take the whole answer, unless something else is to blame already.
    pub(crate) fn cut_short(&mut self) {
        self.edit(|line| {
            line.error.get_or_insert(Code::ClientGone);
        });
    }

    pub(crate) fn down(&mut self, bytes: u64) {
        self.edit(|line| line.bytes_down += bytes);
    }

    /// The counter of body bytes from the client, to be shared with the body.
    pub(crate) fn up(&mut self) -> Arc<AtomicU64> {
        self.up.get_or_insert_default().clone()
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let total = self.started.elapsed();
        let bytes_up = self.up.as_ref().map_or(0, |up| up.load(Ordering::Relaxed));
        self.edit(|line| {
            (line.total, line.bytes_up) = (total, bytes_up);
            if line.is_failure() {
                line.request_code.get_or_insert_with(RequestCode::random);
            }
        });
        if let Some(line) = self.line.take() {
            self.log.push(line);
        }
    }
}

fn cut(text: &str) -> String {
    let end = (0..=MAX_TEXT.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    text[..end.unwrap_or(0)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::activity::Activity;

    fn begin(log: &AccessLog, method: &Method, host: &str, path: &str) -> Record {
        let client = ([127, 0, 0, 1], 9).into();
        Record::begin(log, Arc::new(Activity::default()).begin(), client, method, host, path)
    }

    #[test]
    fn a_dropped_record_becomes_a_line() {
        let log = AccessLog::new();
        let (kept, mut live) = log.follow();
        assert!(kept.is_empty());
        let mut record = begin(&log, &Method::POST, "erp", &"/é".repeat(MAX_TEXT));
        record.up().fetch_add(7, Ordering::Relaxed);
        record.down(3);
        record.answered(200, None);
        record.failed(Code::Lost);
        drop(record);
        drop(begin(&log, &Method::GET, "", "/"));
        let line = live.try_recv().unwrap();
        assert_eq!((line.status, line.bytes_up, line.bytes_down), (200, 7, 3));
        assert_eq!((line.error, line.host.as_str()), (Some(Code::Lost), "erp"));
        assert!(line.path.len() <= MAX_TEXT && line.path.len() > MAX_TEXT - 2);
        assert_eq!(live.try_recv().unwrap().error, Some(Code::ClientGone));
        assert_eq!(log.follow().0.len(), 2);
    }

    #[test]
    fn failures_and_known_programs_are_notable() {
        let log = AccessLog::new();
        let mut notable = log.notable();
        let finish = |status: u16, known: bool| {
            let mut record = begin(&log, &Method::GET, &status.to_string(), "/");
            let program = Program { name: "curl".to_owned(), runs: None };
            record.program(known.then(|| Arc::new(program)));
            record.answered(status, None);
        };
        finish(200, false);
        finish(304, true);
        finish(404, false);
        let [known, failed] = [notable.try_recv().unwrap(), notable.try_recv().unwrap()];
        assert!(notable.try_recv().is_err());
        assert_eq!((known.status, known.request_code), (304, None));
        assert_eq!(failed.status, 404);
        assert!(failed.request_code.is_some(), "a request that failed can be found again");
    }

    #[test]
    fn the_ring_keeps_the_latest() {
        let log = AccessLog::new();
        for n in 0..KEPT + 3 {
            drop(begin(&log, &Method::GET, &n.to_string(), "/"));
        }
        let (kept, _) = log.follow();
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept[0].host, "3");
    }
}
