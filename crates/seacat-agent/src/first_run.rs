//! The first run: which question a new user is to be asked next. What was answered is in the
//! configuration and in the status; a small file in the state folder remembers the rest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::edit::save;
use crate::status::StatusView;

/// Where the first run stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct FirstRunView {
    /// Whether the window should begin with it: it is not done, and nobody has said "later".
    pub due: bool,
    /// The step to go on with.
    pub step: FirstRunStep,
    /// Somebody has left it; the window offers to go on.
    pub later: bool,
    /// The built-in gateway was chosen.
    pub builtin: bool,
    /// The gateway is managed by the organisation: there is nothing to choose.
    pub locked: bool,
    /// The address to paste.
    pub address: Option<String>,
    /// A request has come from an application since the program was first started.
    pub request_seen: bool,
}

/// A step of the first run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum FirstRunStep {
    /// Which gateway?
    Gateway,
    /// Who is this computer?
    Identity,
    /// Waiting for the administrator.
    Approval,
    /// Paste this address; listening for the first request.
    Address,
    /// A request went through.
    Done,
}

/// What is remembered from one start to the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Memory {
    done: bool,
    later: bool,
    builtin: bool,
    request_seen: bool,
}

/// The first run as the engine keeps it.
#[derive(Debug)]
pub struct FirstRun {
    path: PathBuf,
    memory: Memory,
}

impl FirstRun {
    /// What the state folder remembers. Where it remembers nothing, `set_up` says whether somebody
    /// has named a gateway by other means, and needs no questions.
    #[must_use]
    pub fn open(state_dir: &Path, set_up: bool) -> Self {
        let path = state_dir.join("first-run.json");
        let there = fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let mut first_run = Self { path, memory: there.unwrap_or_default() };
        if there.is_none() {
            // Written at once: the gateway that is named in the first run must not end it.
            first_run.memory.done = set_up;
            if let Err(error) = first_run.write() {
                tracing::warn!(%error, "the first run cannot be remembered");
            }
        }
        first_run
    }

    fn write(&self) -> io::Result<()> {
        save(&self.path, &serde_json::to_vec(&self.memory)?)
    }

    fn change(&mut self, change: impl FnOnce(&mut Memory)) -> io::Result<()> {
        let before = self.memory;
        change(&mut self.memory);
        if before == self.memory { Ok(()) } else { self.write() }
    }

    /// It is over.
    ///
    /// # Errors
    /// When that cannot be remembered.
    pub fn finish(&mut self) -> io::Result<()> {
        self.change(|memory| (memory.done, memory.later) = (true, false))
    }

    /// Somebody leaves it for now.
    ///
    /// # Errors
    /// As [`FirstRun::finish`].
    pub fn leave(&mut self) -> io::Result<()> {
        self.change(|memory| memory.later = true)
    }

    /// A gateway was chosen, the built-in one or another; its first request is still to come.
    ///
    /// # Errors
    /// As [`FirstRun::finish`].
    pub fn choose(&mut self, builtin: bool) -> io::Result<()> {
        self.change(|memory| (memory.builtin, memory.request_seen) = (builtin, false))
    }

    /// Whether the built-in gateway was chosen last.
    #[must_use]
    pub fn is_trial(&self) -> bool {
        self.memory.builtin
    }

    /// An application has sent a request through the gateway.
    ///
    /// # Errors
    /// As [`FirstRun::finish`].
    pub fn see_request(&mut self) -> io::Result<()> {
        self.change(|memory| memory.request_seen = true)
    }

    /// Whether that has been seen.
    #[must_use]
    pub fn has_seen_request(&self) -> bool {
        self.memory.request_seen
    }

    /// Where it stands. `configured`: there is a gateway; `locked`: the organisation names it.
    #[must_use]
    pub fn view(&self, status: &StatusView, configured: bool, locked: bool) -> FirstRunView {
        let Memory { done, later, request_seen, .. } = self.memory;
        FirstRunView {
            due: !done && !later,
            step: self.step(status, configured || locked),
            later,
            builtin: self.is_builtin(status),
            locked,
            address: status.local.proxy.first().map(|address| format!("http://{address}")),
            request_seen,
        }
    }

    /// It may have been chosen once, and another be in use by now.
    fn is_builtin(&self, status: &StatusView) -> bool {
        self.memory.builtin && status.local.demo
    }

    fn step(&self, status: &StatusView, configured: bool) -> FirstRunStep {
        let Memory { done, request_seen, .. } = self.memory;
        let builtin = self.is_builtin(status);
        if done {
            return FirstRunStep::Done;
        }
        if !configured && !builtin {
            return FirstRunStep::Gateway;
        }
        let identity = status.identity.as_ref().filter(|_| !builtin);
        match identity.map(|identity| identity.state.as_str()) {
            Some("no_key" | "not_enrolled" | "opening" | "locked" | "making_key" | "resetting") => {
                FirstRunStep::Identity
            }
            None | Some("enrolled" | "renewing") if request_seen => FirstRunStep::Done,
            None | Some("enrolled" | "renewing") => FirstRunStep::Address,
            Some(_) => FirstRunStep::Approval,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity_view::IdentityView;

    fn with_identity(state: Option<&str>) -> StatusView {
        let identity =
            state.map(|state| IdentityView { state: state.to_owned(), ..IdentityView::default() });
        StatusView { identity, ..StatusView::default() }
    }

    #[test]
    fn the_steps_follow_from_what_is_there() {
        use FirstRunStep::{Address, Approval, Done, Gateway, Identity};
        let folder = tempfile::tempdir().unwrap();
        let mut first_run = FirstRun::open(folder.path(), false);
        let step = |it: &FirstRun, identity, configured| {
            it.view(&with_identity(identity), configured, false).step
        };
        assert_eq!(step(&first_run, None, false), Gateway);
        for (identity, expected) in [
            (Some("not_enrolled"), Identity),
            (Some("making_key"), Identity),
            (Some("waiting"), Approval),
            (Some("rejected"), Approval),
            (Some("enrolled"), Address),
            (None, Address),
        ] {
            assert_eq!(step(&first_run, identity, true), expected, "{identity:?}");
        }
        first_run.choose(true).unwrap();
        let mut demo = StatusView::default();
        demo.local.demo = true;
        assert_eq!(first_run.view(&demo, false, false).step, Address);
        first_run.see_request().unwrap();
        assert_eq!(first_run.view(&demo, false, false).step, Done);
        assert!(first_run.view(&demo, false, false).due, "until somebody says so");
        first_run.choose(false).unwrap();
        assert_eq!(step(&first_run, None, true), Address, "the next gateway's first request");
    }

    #[test]
    fn it_survives_a_restart_and_can_be_left_and_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let open = |set_up| FirstRun::open(folder.path(), set_up);
        let due = |it: &FirstRun| it.view(&StatusView::default(), true, false).due;
        assert!(due(&open(false)));
        // A gateway was named meanwhile, in the first run itself.
        let mut first_run = open(true);
        assert!(due(&first_run));
        first_run.leave().unwrap();
        let mut first_run = open(true);
        assert!(!due(&first_run) && first_run.view(&StatusView::default(), true, false).later);
        first_run.finish().unwrap();
        let first_run = open(false);
        let view = first_run.view(&StatusView::default(), true, false);
        assert!(!view.due && !view.later && view.step == FirstRunStep::Done);
    }

    #[test]
    fn who_is_set_up_already_is_not_asked() {
        let folder = tempfile::tempdir().unwrap();
        let first_run = FirstRun::open(folder.path(), true);
        assert!(!first_run.view(&StatusView::default(), true, false).due);
    }
}
