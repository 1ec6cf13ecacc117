//! Requests that failed in the last 24 hours, and the explanation of one of them.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::access::{AccessView, AnswererView, ProgramView};

/// How long a failed request is kept, in milliseconds.
pub(super) const KEPT_MS: u64 = 24 * 3_600_000;
/// How many are kept at most: about 700 KiB in the file.
pub(super) const KEPT: usize = 2_000;
/// Others that are named.
const NAMED: usize = 10;

/// What is known about a request that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ExplanationView {
    /// The request.
    pub line: AccessView,
    /// What happened, a sentence.
    pub what: String,
    /// What it means, a sentence; empty when there is nothing to add.
    pub means: String,
    /// What to do, a sentence.
    pub advice: String,
    /// The first of the kept requests that failed in the same way, in milliseconds since 1970.
    pub since_ms: u64,
    /// How many of the kept requests failed in the same way, this one included.
    pub times: u32,
    /// Other programs that failed in the same way.
    pub programs: Vec<ProgramView>,
    /// Other hosts that failed in the same way; empty when the server itself answered.
    pub hosts: Vec<String>,
}

/// The failed requests, oldest first.
#[derive(Debug, Default)]
pub(super) struct Failures(VecDeque<AccessView>);

impl Failures {
    /// Keeps a request that failed.
    pub(super) fn note(&mut self, line: AccessView) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }

    /// Forgets what is older than a day.
    pub(super) fn forget_old(&mut self, now_ms: u64) {
        let oldest = now_ms.saturating_sub(KEPT_MS);
        self.0.retain(|line| line.time_ms >= oldest);
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &AccessView> {
        self.0.iter()
    }

    /// The request with this code.
    pub(super) fn explain(&self, code: &str) -> Option<ExplanationView> {
        let line = self.0.iter().rfind(|line| line.request_code.as_deref() == Some(code))?;
        let alike: Vec<&AccessView> = self.0.iter().filter(|it| is_alike(it, line)).collect();
        let others = || alike.iter().filter(|it| !std::ptr::eq(**it, line));
        let programs = others().filter_map(|it| it.program.clone());
        let hosts = others().map(|it| it.host.clone());
        let (what, means, advice) = sentences(line);
        Some(ExplanationView {
            what,
            means,
            advice,
            since_ms: alike.iter().map(|it| it.time_ms).min().unwrap_or(line.time_ms),
            times: u32::try_from(alike.len()).unwrap_or(u32::MAX),
            programs: distinct(programs.filter(|it| Some(it) != line.program.as_ref())),
            hosts: distinct(hosts.filter(|it| !it.is_empty() && *it != line.host)),
            line: line.clone(),
        })
    }
}

/// Whether two requests failed for the same reason: by the same code, or at the same server with
/// the same status.
fn is_alike(a: &AccessView, b: &AccessView) -> bool {
    let same = a.code == b.code && a.status == b.status && a.answered_by == b.answered_by;
    same && (b.code.is_some() || a.host == b.host)
}

fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    items.fold(Vec::new(), |mut all, item| {
        if all.len() < NAMED && !all.contains(&item) {
            all.push(item);
        }
        all
    })
}

/// What happened, what it means and what to do.
fn sentences(line: &AccessView) -> (String, String, String) {
    let own = line
        .code
        .as_deref()
        .and_then(|code| seacat_proxy::error_table().iter().find(|row| row.code == code));
    if let Some(row) = own {
        return (format!("{}.", row.title), row.meaning.to_owned(), row.advice.to_owned());
    }
    let host = &line.host;
    let status = line.status.unwrap_or_default();
    let means = match line.answered_by {
        AnswererView::Server if status >= 500 => {
            "The request reached the server, and the server failed."
        }
        AnswererView::Server => "The request reached the server, and the server did not serve it.",
        _ => "",
    };
    let advice = match status {
        401 | 407 => "Sign in, or check the user name and the password in the application.",
        403 => "Ask the administrator of that server whether this user may use it.",
        404 | 410 => "Check the address in the application.",
        500.. => "Tell the administrator of that server the time and this status.",
        _ => "Check the request in the application, or ask the administrator of that server.",
    };
    (format!("{host} answered {status}."), means.to_owned(), advice.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::testing::line;
    use super::*;

    fn failed(id: &str, host: &str, code: Option<&str>, time_ms: u64) -> AccessView {
        let code = code.map(str::to_owned);
        let answered_by = if code.is_some() { AnswererView::Gateway } else { AnswererView::Server };
        let program = ProgramView { name: id[..1].to_owned(), runs: None };
        AccessView {
            request_code: Some(id.to_owned()),
            time_ms,
            code,
            answered_by,
            program: Some(program),
            ..line(host, 403)
        }
    }

    #[test]
    fn a_failure_is_explained_by_those_like_it() {
        let mut failures = Failures::default();
        let gateway = Some("SC-GW-IDENTITY");
        for (id, host, code, time_ms) in [
            ("A1", "erp", None, 100),
            ("B1", "erp", gateway, 200),
            ("B2", "crm", None, 300),
            ("A2", "erp", None, 400),
            ("C1", "crm", gateway, 500),
            ("C2", "erp", None, 600),
        ] {
            failures.note(failed(id, host, code, time_ms));
        }
        let names = |it: &ExplanationView| -> Vec<String> {
            it.programs.iter().map(|it| it.name.clone()).collect()
        };
        let server = failures.explain("A2").unwrap();
        assert_eq!((server.since_ms, server.times), (100, 3));
        assert_eq!((names(&server), server.hosts.len()), (vec!["C".to_owned()], 0));
        assert_eq!(server.what, "erp answered 403.");
        let own = failures.explain("B1").unwrap();
        assert_eq!(
            (own.since_ms, own.times, own.hosts.as_slice()),
            (200, 2, &["crm".to_owned()][..])
        );
        assert_eq!(own.what, "This host is only for registered computers.");
        assert!(own.advice.contains("enroll"), "{}", own.advice);
        assert_eq!(failures.explain("Z9"), None);
    }

    #[test]
    fn a_day_and_a_number_are_kept() {
        let mut failures = Failures::default();
        for n in 0..KEPT as u64 + 10 {
            failures.note(failed("A1", "erp", None, n));
        }
        assert_eq!(failures.all().count(), KEPT);
        failures.forget_old(KEPT_MS + 20);
        assert_eq!(failures.all().next().unwrap().time_ms, 20);
    }
}
