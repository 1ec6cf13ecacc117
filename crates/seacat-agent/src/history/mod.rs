//! What has happened: the applications that use the proxy, the requests that failed, and the day.
//!
//! The proxy reports only requests that failed or whose program is known
//! ([`seacat_proxy::AccessLog::notable`]), so traffic that goes well costs nothing here.

mod applications;
mod day;
mod failures;
mod file;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use seacat_proxy::{AccessLine, AccessLog, Minute, RequestCode};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use self::applications::Applications;
pub use self::applications::{ApplicationView, HourView};
pub use self::day::{ChangeView, DayView, MinuteView};
use self::day::{Changes, DayFile};
pub use self::failures::ExplanationView;
use self::failures::Failures;
use self::file::FailureFile;
use crate::access::{AccessView, ms_since_1970};
use crate::diagnose::request::OwnRequests;

/// Failed requests are written together, so that a burst of them costs one write.
const WRITE_DELAY: Duration = Duration::from_secs(1);

/// The day is written so long after it changed: a start after a crash has lost no more.
const DAY_DELAY: Duration = Duration::from_secs(300);

/// The history. Clones share it.
#[derive(Debug, Clone)]
pub struct History(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Changes with each request that is noted.
    changed: watch::Sender<()>,
    /// Changes with the connection.
    connection: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    applications: Applications,
    failures: Failures,
    /// Whether failed requests are kept.
    keeps_failures: bool,
    /// Not written yet.
    unwritten: Vec<AccessView>,
    file: FailureFile,
    connection: Changes,
    day_file: DayFile,
    /// What an earlier run has counted, until the access log has it.
    earlier: Vec<Minute>,
}

/// The task that notes requests. It ends with [`Recorder::finish`].
#[derive(Debug)]
pub struct Recorder {
    task: JoinHandle<()>,
    history: History,
    access: AccessLog,
}

impl History {
    /// What an earlier run has kept in the state folder; nothing, and no file, when failed requests
    /// are not to be kept.
    #[must_use]
    pub fn open(state_dir: &Path, keeps_failures: bool) -> Self {
        let day_file = DayFile::new(state_dir);
        let (earlier, connection) = day_file.read();
        let mut state = State {
            applications: Applications::default(),
            failures: Failures::default(),
            keeps_failures: true,
            unwritten: Vec::new(),
            file: FailureFile::new(state_dir),
            connection,
            day_file,
            earlier,
        };
        if keeps_failures {
            state.file.read().into_iter().for_each(|line| state.failures.note(line));
            state.failures.forget_old(now_ms());
        } else {
            state.keep_failures(false);
        }
        let (changed, connection) = (watch::Sender::new(()), watch::Sender::new(()));
        History(Arc::new(Shared { state: Mutex::new(state), changed, connection }))
    }

    /// Notes requests from now on, but not our `own`.
    #[must_use]
    pub fn record(&self, access: &AccessLog, own: OwnRequests) -> Recorder {
        access.restore_minutes(std::mem::take(&mut self.lock().earlier));
        let task = tokio::spawn(self.clone().follow(access.clone(), access.notable(), own));
        Recorder { task, history: self.clone(), access: access.clone() }
    }

    /// A timer runs only after something has happened.
    async fn follow(
        self,
        access: AccessLog,
        mut lines: Receiver<Arc<AccessLine>>,
        own: OwnRequests,
    ) {
        let (mut write_at, mut write_day_at) = (None, None);
        let mut connection = self.0.connection.subscribe();
        loop {
            tokio::select! {
                line = lines.recv() => match line {
                    Ok(line) if own.contains(line.client, line.time) => {}
                    Ok(line) => {
                        if self.note(AccessView::from(&*line)) {
                            write_at.get_or_insert_with(|| Instant::now() + WRITE_DELAY);
                        }
                    }
                    Err(RecvError::Lagged(missed)) => {
                        tracing::debug!(missed, "failed requests were not recorded");
                    }
                    Err(RecvError::Closed) => return,
                },
                () = access.minute_begun() => {
                    write_day_at.get_or_insert_with(|| Instant::now() + DAY_DELAY);
                }
                Ok(()) = connection.changed() => {
                    write_day_at.get_or_insert_with(|| Instant::now() + DAY_DELAY);
                }
                () = at(write_day_at) => {
                    write_day_at = None;
                    let (history, access) = (self.clone(), access.clone());
                    let _ = tokio::task::spawn_blocking(move || history.write_day(&access)).await;
                }
                () = at(write_at) => {
                    write_at = None;
                    let history = self.clone();
                    // It cannot fail: the closure does not panic.
                    let _ = tokio::task::spawn_blocking(move || history.write()).await;
                }
            }
        }
    }

    /// Whether there is something to write.
    fn note(&self, line: AccessView) -> bool {
        let mut state = self.lock();
        state.applications.note(&line);
        let keep = state.keeps_failures && line.is_failed();
        if keep {
            state.unwritten.push(line.clone());
            state.failures.note(line);
        }
        drop(state);
        self.0.changed.send_replace(());
        keep
    }

    fn write(&self) {
        let mut state = self.lock();
        let state = &mut *state;
        let new = std::mem::take(&mut state.unwritten);
        if new.is_empty() || !state.keeps_failures {
            return;
        }
        state.failures.forget_old(now_ms());
        let kept = || state.failures.all().cloned().collect();
        if let Err(error) = state.file.append(&new, kept) {
            tracing::warn!(%error, "failed requests cannot be kept for the next start");
        }
    }

    fn write_day(&self, access: &AccessLog) {
        let (changes, file) = {
            let state = self.lock();
            (state.changes_of_day(), state.day_file.clone())
        };
        if let Err(error) = file.write(&access.minutes(), &changes) {
            tracing::warn!(%error, "the traffic of the day cannot be kept for the next start");
        }
    }

    /// Whether there is a connection to a gateway from now on, or why there is none.
    pub fn note_connection(&self, connected: bool, code: Option<&str>) {
        let (time_ms, code) = (now_ms(), code.map(str::to_owned));
        if self.lock().connection.note(ChangeView { time_ms, connected, code }) {
            self.0.connection.send_replace(());
        }
    }

    /// The last 24 hours.
    #[must_use]
    pub fn day(&self, access: &AccessLog) -> DayView {
        let oldest = day::oldest(now_ms());
        let minutes = access.minutes();
        let of_today = minutes.iter().filter(|it| it.number >= oldest);
        DayView {
            minutes: of_today.map(Into::into).collect(),
            changes: self.lock().changes_of_day(),
        }
    }

    /// Whether failed requests are to be kept. Otherwise those that are kept are deleted.
    pub fn keep_failures(&self, keep: bool) {
        self.lock().keep_failures(keep);
    }

    /// The applications, the latest first.
    #[must_use]
    pub fn applications(&self) -> Vec<ApplicationView> {
        self.lock().applications.views(now_ms())
    }

    /// Changes after each request that was noted.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
    }

    /// What is known about the failed request with this code.
    #[must_use]
    pub fn explain(&self, code: RequestCode) -> Option<ExplanationView> {
        let mut state = self.lock();
        state.failures.forget_old(now_ms());
        state.failures.explain(&code.to_string())
    }

    /// The failed requests that began before a time, oldest first.
    #[must_use]
    pub fn failures_before(&self, time: SystemTime) -> Vec<AccessView> {
        let mut state = self.lock();
        state.failures.forget_old(now_ms());
        let time_ms = ms_since_1970(time);
        state.failures.all().filter(|line| line.time_ms < time_ms).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is whole before anything in it can panic.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The changes of the connection in the last 24 hours.
    fn changes_of_day(&self) -> Vec<ChangeView> {
        self.connection.since(day::MINUTE_MS * day::oldest(now_ms()))
    }

    fn keep_failures(&mut self, keep: bool) {
        self.keeps_failures = keep;
        if keep {
            return;
        }
        self.failures = Failures::default();
        self.unwritten.clear();
        if let Err(error) = self.file.remove() {
            tracing::warn!(%error, "the failed requests of earlier cannot be deleted");
        }
    }
}

impl Recorder {
    /// Writes what is not written yet.
    pub fn finish(self) {
        self.task.abort();
        self.history.note_connection(false, Some(NOT_RUNNING));
        self.history.write();
        self.history.write_day(&self.access);
    }
}

/// While no proxy runs, there is no connection.
const NOT_RUNNING: &str = "SC-NOT-RUNNING";

/// Resolves at a time; never without one.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn now_ms() -> u64 {
    ms_since_1970(SystemTime::now())
}

#[cfg(test)]
mod testing {
    use crate::access::{AccessView, AnswererView, RouteView};

    /// A request that a server answered.
    pub(super) fn line(host: &str, status: u16) -> AccessView {
        AccessView {
            request_code: None,
            time_ms: super::now_ms(),
            method: "GET".to_owned(),
            host: host.to_owned(),
            path: "/".to_owned(),
            status: Some(status),
            code: None,
            answered_by: AnswererView::Server,
            program: None,
            route: RouteView::Gateway,
            waited_ms: 0.0,
            first_byte_ms: Some(1.0),
            total_ms: 2.0,
            bytes_up: 0,
            bytes_down: 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::line;
    use super::*;

    #[test]
    fn failures_outlive_a_restart_unless_they_are_not_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::open(folder.path(), true);
        assert!(!history.note(line("erp", 200)));
        assert!(
            history.note(AccessView { request_code: Some("7K3M9Q".into()), ..line("erp", 500) })
        );
        assert!(history.note(AccessView { time_ms: 1, ..line("old", 500) }));
        history.write();
        let again = History::open(folder.path(), true);
        let later = SystemTime::now() + Duration::from_secs(1);
        let hosts: Vec<_> = again.failures_before(later).into_iter().map(|it| it.host).collect();
        assert_eq!(hosts, ["erp"], "a day is kept");
        assert_eq!(again.explain("7K3M9Q".parse().unwrap()).unwrap().times, 1);
        again.keep_failures(false);
        assert_eq!(again.failures_before(later), []);
        assert!(!again.note(line("erp", 500)), "it is switched off");
        assert_eq!(History::open(folder.path(), true).failures_before(later), []);
        history.write();
    }
}
