//! The applications that use the proxy, from their requests.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::access::{AccessView, ProgramView};

/// Applications that are kept; the one that has been quiet the longest is forgotten first.
const APPLICATIONS: usize = 100;
/// Hosts that are kept for each.
const HOSTS: usize = 20;
/// The latest requests that say whether it works.
const LATEST: usize = 10;
/// Hours of the picture.
const HOURS: usize = 24;
const HOUR_MS: u64 = 3_600_000;

/// A program on this computer that sends requests to the proxy.
///
/// Its program is looked up while the list is watched and for every request that fails, so requests
/// that succeeded at other times are missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ApplicationView {
    /// The program.
    pub program: ProgramView,
    /// Its first request since the proxy was started, in milliseconds since 1970.
    pub first_seen_ms: u64,
    /// Its latest request, in milliseconds since 1970.
    pub last_request_ms: u64,
    /// Requests of the last 24 hours.
    pub requests: u64,
    /// Failed requests of the last 24 hours.
    pub failures: u64,
    /// Body bytes in both directions since the proxy was started.
    pub bytes: u64,
    /// The hosts it asked for, the latest first.
    pub hosts: Vec<String>,
    /// The last 24 hours, oldest first.
    pub hours: Vec<HourView>,
    /// How many of the latest requests are counted: up to 10.
    pub latest: u32,
    /// How many of these failed.
    pub latest_failed: u32,
    /// The latest request that failed.
    pub last_failure: Option<AccessView>,
}

impl ApplicationView {
    /// Whether it works, in a few words.
    #[must_use]
    pub fn verdict(&self) -> String {
        let Some(last) = self.last_failure.as_ref().filter(|_| self.latest_failed > 0) else {
            return "works".to_owned();
        };
        let status = last.status.map_or("no answer".to_owned(), |status| status.to_string());
        let (failed, latest, host) = (self.latest_failed, self.latest, &last.host);
        format!("{failed} of the last {latest} failed: {status} from {host}")
    }
}

/// One hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HourView {
    /// All requests.
    pub requests: u32,
    /// Those that failed.
    pub failures: u32,
}

/// All applications.
#[derive(Debug, Default)]
pub(super) struct Applications(Vec<Application>);

#[derive(Debug)]
struct Application {
    program: ProgramView,
    first_seen_ms: u64,
    last_request_ms: u64,
    bytes: u64,
    hosts: VecDeque<String>,
    hours: Hours,
    /// Whether each of the latest failed, oldest first.
    latest: VecDeque<bool>,
    last_failure: Option<AccessView>,
}

impl Applications {
    /// Counts a request whose program is known.
    pub(super) fn note(&mut self, line: &AccessView) {
        let Some(program) = &line.program else { return };
        let at = self.0.iter().position(|it| it.program == *program);
        let mut application = match at {
            Some(at) => self.0.remove(at),
            None => Application::new(program.clone(), line.time_ms),
        };
        application.note(line);
        // The latest stand in front.
        self.0.insert(0, application);
        self.0.truncate(APPLICATIONS);
    }

    /// The latest first.
    pub(super) fn views(&self, now_ms: u64) -> Vec<ApplicationView> {
        self.0.iter().map(|it| it.view(now_ms)).collect()
    }
}

impl Application {
    fn new(program: ProgramView, now_ms: u64) -> Self {
        Self {
            program,
            first_seen_ms: now_ms,
            last_request_ms: now_ms,
            bytes: 0,
            hosts: VecDeque::new(),
            hours: Hours::default(),
            latest: VecDeque::new(),
            last_failure: None,
        }
    }

    fn note(&mut self, line: &AccessView) {
        let failed = line.is_failed();
        self.last_request_ms = self.last_request_ms.max(line.time_ms);
        self.bytes += line.bytes_up + line.bytes_down;
        if !line.host.is_empty() {
            self.hosts.retain(|it| *it != line.host);
            self.hosts.push_front(line.host.clone());
            self.hosts.truncate(HOSTS);
        }
        if self.latest.len() == LATEST {
            self.latest.pop_front();
        }
        self.latest.push_back(failed);
        if failed {
            self.last_failure = Some(line.clone());
        }
        let hour = self.hours.at(line.time_ms);
        hour.requests += 1;
        hour.failures += u32::from(failed);
    }

    fn view(&self, now_ms: u64) -> ApplicationView {
        let hours = self.hours.view(now_ms);
        let count = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
        ApplicationView {
            program: self.program.clone(),
            first_seen_ms: self.first_seen_ms,
            last_request_ms: self.last_request_ms,
            requests: hours.iter().map(|it| u64::from(it.requests)).sum(),
            failures: hours.iter().map(|it| u64::from(it.failures)).sum(),
            bytes: self.bytes,
            hosts: self.hosts.iter().cloned().collect(),
            hours,
            latest: count(self.latest.len()),
            latest_failed: count(self.latest.iter().filter(|failed| **failed).count()),
            last_failure: self.last_failure.clone(),
        }
    }
}

/// The latest hours, oldest first; the last of them is hour number `newest` since 1970.
#[derive(Debug, Default)]
struct Hours {
    newest: u64,
    counts: [HourView; HOURS],
}

impl Hours {
    /// The hour of a time. A time before all of them counts for the oldest.
    fn at(&mut self, time_ms: u64) -> &mut HourView {
        let hour = time_ms / HOUR_MS;
        self.move_to(hour);
        let back = usize::try_from(self.newest - hour.min(self.newest)).unwrap_or(HOURS);
        &mut self.counts[HOURS - 1 - back.min(HOURS - 1)]
    }

    fn move_to(&mut self, hour: u64) {
        let steps = hour.saturating_sub(self.newest);
        let steps = usize::try_from(steps).unwrap_or(HOURS).min(HOURS);
        self.counts.rotate_left(steps);
        self.counts[HOURS - steps..].fill(HourView::default());
        self.newest = self.newest.max(hour);
    }

    fn view(&self, now_ms: u64) -> Vec<HourView> {
        let mut moved = Hours { newest: self.newest, counts: self.counts };
        moved.move_to(now_ms / HOUR_MS);
        moved.counts.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::line;
    use super::*;

    fn of(name: &str, time_ms: u64, status: u16) -> AccessView {
        let program = ProgramView { name: name.to_owned(), runs: None };
        AccessView { program: Some(program), time_ms, ..line("erp", status) }
    }

    #[test]
    fn requests_are_counted_for_their_program() {
        let mut applications = Applications::default();
        let start = 1_000 * HOUR_MS;
        applications.note(&line("erp", 200));
        for n in 0..12 {
            applications.note(&of("curl", start + n, if n % 4 == 0 { 403 } else { 200 }));
        }
        applications.note(&AccessView { host: "crm".into(), ..of("Java", start + 20, 200) });
        let views = applications.views(start + 30);
        let names: Vec<_> = views.iter().map(|it| it.program.name.as_str()).collect();
        assert_eq!(names, ["Java", "curl"], "a request without a program counts for none");
        let curl = &views[1];
        assert_eq!((curl.requests, curl.failures, curl.latest, curl.latest_failed), (12, 3, 10, 2));
        assert_eq!((curl.first_seen_ms, curl.last_request_ms), (start, start + 11));
        assert_eq!(curl.hosts, ["erp"]);
        assert_eq!(curl.last_failure.as_ref().unwrap().time_ms, start + 8);
        assert_eq!(curl.hours[23], HourView { requests: 12, failures: 3 });
        assert_eq!(views[0].hosts, ["crm"]);
        assert_eq!(curl.verdict(), "2 of the last 10 failed: 403 from erp");
        assert_eq!(views[0].verdict(), "works");
    }

    #[test]
    fn a_day_has_24_hours() {
        let mut applications = Applications::default();
        let start = 1_000 * HOUR_MS;
        applications.note(&of("curl", start, 200));
        applications.note(&of("curl", start + 3 * HOUR_MS, 500));
        // The clock was set back.
        applications.note(&of("curl", start + 2 * HOUR_MS, 200));
        let at = |hours: u64| {
            let view = applications.views(start + hours * HOUR_MS).remove(0);
            (view.requests, view.failures, view.hours.len())
        };
        assert_eq!(at(3), (3, 1, 24));
        assert_eq!(at(24), (2, 1, 24));
        assert_eq!(at(27), (0, 0, 24));
        assert_eq!(at(1_000), (0, 0, 24));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut applications = Applications::default();
        for n in 0..APPLICATIONS + 5 {
            applications.note(&of(&n.to_string(), 0, 200));
        }
        for n in 0..HOSTS + 5 {
            applications.note(&AccessView { host: n.to_string(), ..of("x", 0, 200) });
        }
        let views = applications.views(0);
        assert_eq!((views.len(), views[0].hosts.len()), (APPLICATIONS, HOSTS));
    }
}
