//! The first run: which question a new user is to be asked next.

use serde::{Deserialize, Serialize};

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
