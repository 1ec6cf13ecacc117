//! The control socket: how the command line and the window talk to the running proxy.
//!
//! One JSON object a line in both directions, each with the version of the protocol:
//!
//! ```text
//!     > {"v":1,"do":"status"}
//!     < {"v":1,"is":"status","status":{"state":"connected", …}}
//!     > {"v":1,"do":"disconnect"}
//!     < {"v":1,"is":"done"}
//!     > {"v":1,"do":"watch"}
//!     < {"v":1,"is":"status", …}        now, and again after every change, until the client leaves
//! ```
//!
//! Only the owner can connect. On Unix, the socket (0600) is in a folder (0700) whose owner and mode are
//! checked, and both sides ask the kernel for the user at the other end. On Windows it is a named pipe that
//! the system opens for its owner alone, and the client checks that owner.

mod client;
mod identity;
mod lines;
mod look;
mod secret;
mod server;
#[cfg_attr(unix, path = "socket_unix.rs")]
#[cfg_attr(windows, path = "socket_windows.rs")]
mod socket;
mod vanished;

use crate::access::AccessView;
use crate::diagnose::{FindingView, StepView};
use crate::first_run::FirstRunView;
use crate::history::{ApplicationView, DayView, ExplanationView};
use crate::settings::{AuthorityView, Note, SettingsChange, SettingsView};
use crate::status::StatusView;
use serde::{Deserialize, Serialize};

pub use client::{Client, ClientError};
pub(crate) use identity::today;
pub use secret::Secret;
pub use server::{Desk, Running, serve};
pub use socket::{BindError, Listener, Stream, connect};

/// The version of the protocol. A different one is refused by name rather than half understood.
pub const VERSION: u32 = 1;

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    /// The status now.
    Status,
    /// The status now and after every change.
    Watch,
    /// A line for every request from now on.
    Access,
    /// The applications now and after every change. Meanwhile the program of every request is found.
    Applications,
    /// The last 24 hours.
    Day,
    /// What is known about a request that failed.
    Explain {
        /// Its code, as on the error page.
        code: String,
    },
    /// Connect, and try at once if waiting.
    Connect,
    /// Disconnect, and stay so.
    Disconnect,
    /// Read the configuration again.
    Reload,
    /// Finish what runs and end the program.
    Stop,
    /// Ask the gateway for a certificate.
    Enroll {
        /// The name in it, instead of the configured one.
        #[cfg_attr(test, ts(optional))]
        common_name: Option<String>,
    },
    /// Renew the certificate now.
    Renew,
    /// Delete key, request and certificate.
    ResetIdentity,
    /// Take over a key and its certificate.
    ImportIdentity {
        /// The file, PKCS#12 or PEM.
        file: Secret,
        /// Its password.
        #[cfg_attr(test, ts(optional))]
        password: Option<Secret>,
    },
    /// The request, as PEM.
    ExportRequest,
    /// The certificate, as PEM.
    ExportCertificate,
    /// The settings in effect.
    Settings,
    /// What is to be said about a change; nothing is written.
    CheckSettings {
        /// As typed.
        change: SettingsChange,
    },
    /// Write a change to the file, and put it in effect.
    SaveSettings {
        /// As typed.
        change: SettingsChange,
    },
    /// Reach a gateway step by step, saved or not.
    TestGateway {
        /// As in the list `gateway`.
        #[cfg_attr(test, ts(type = "JsonValue"))]
        gateway: serde_json::Value,
    },
    /// Why doesn't it work?
    Diagnose {
        /// The host behind the gateway that a request is sent to; one is chosen when left out.
        #[cfg_attr(test, ts(optional))]
        host: Option<String>,
        /// What is asked for there; chosen when left out.
        #[cfg_attr(test, ts(optional))]
        path: Option<String>,
    },
    /// Send a request through our own proxy.
    TestRequest {
        /// The host behind the gateway; one is chosen when left out.
        #[cfg_attr(test, ts(optional))]
        host: Option<String>,
    },
    /// Where the first run stands.
    FirstRun,
    /// The first run is over.
    FirstRunDone,
    /// The first run is left, and may go on later.
    FirstRunLater,
    /// Prefer a configured gateway, and connect to it.
    UseGateway {
        /// What it is called.
        name: String,
    },
    /// Use the built-in gateway, or do so no more.
    UseBuiltinGateway {
        /// Which of them.
        on: bool,
    },
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Answer {
    /// To [`Request::Status`] and [`Request::Watch`].
    Status {
        /// The status.
        status: Box<StatusView>,
    },
    /// To [`Request::Access`].
    Access {
        /// The request that ended.
        line: Box<AccessView>,
    },
    /// To [`Request::Applications`].
    Applications {
        /// The latest first.
        applications: Vec<ApplicationView>,
    },
    /// To [`Request::Day`].
    Day {
        /// Traffic and connection.
        day: Box<DayView>,
    },
    /// To [`Request::Explain`].
    Explained {
        /// What is known.
        explanation: Box<ExplanationView>,
    },
    /// To [`Request::Access`], when this reader was too slow.
    Missed {
        /// How many lines it did not get.
        lines: u64,
    },
    /// To wishes.
    Done,
    /// To [`Request::ExportRequest`] and [`Request::ExportCertificate`].
    Pem {
        /// The whole text.
        text: String,
    },
    /// To [`Request::Reload`].
    Reloaded {
        /// Settings that changed and need a restart to take effect.
        restart_for: Vec<String>,
    },
    /// To [`Request::Settings`].
    Settings {
        /// The settings.
        settings: Box<SettingsView>,
    },
    /// To [`Request::CheckSettings`], and to [`Request::SaveSettings`] when nothing was written.
    Checked {
        /// What must be put right first.
        problems: Vec<Note>,
        /// What is worth knowing.
        advice: Vec<Note>,
        /// Who may issue each gateway's certificate, in the order of the changed `gateway`; null for
        /// the public CAs.
        authorities: Vec<Option<AuthorityView>>,
    },
    /// To [`Request::SaveSettings`]: written, and in effect.
    Saved {
        /// Settings that need a restart to take effect.
        restart_for: Vec<String>,
    },
    /// To [`Request::TestGateway`] and [`Request::Diagnose`]: a step begins or is over.
    Step {
        /// The step.
        step: StepView,
    },
    /// To [`Request::Diagnose`], at its end.
    Finding {
        /// What it comes to.
        finding: FindingView,
    },
    /// To [`Request::TestGateway`], at its end.
    Finished {
        /// Whether the gateway can be used.
        ok: bool,
        /// What to do.
        advice: Option<String>,
        /// What it comes to.
        finding: FindingView,
    },
    /// To [`Request::TestRequest`]: there was an answer.
    Tested {
        /// The host that was asked.
        host: String,
        /// The status of the answer.
        status: u16,
        /// The code of our own error, `SC-…`, when the answer is ours and not the host's.
        code: Option<String>,
        /// How long it took, in milliseconds.
        ms: f64,
        /// The body's length in bytes.
        bytes: u64,
        /// What is wrong with it; absent when the request went through.
        #[serde(default)]
        finding: Option<FindingView>,
    },
    /// To [`Request::ImportIdentity`], when the file cannot be opened without its password.
    PasswordNeeded {
        /// Whether one was given, and is not the file's.
        wrong: bool,
    },
    /// To [`Request::FirstRun`], [`Request::FirstRunDone`] and [`Request::FirstRunLater`].
    FirstRun {
        /// Where it stands.
        first_run: FirstRunView,
    },
    /// When it cannot be done.
    Error {
        /// Why.
        message: String,
    },
}

/// A line: the version and what it says.
#[derive(Debug, Serialize, Deserialize)]
struct Envelope<T> {
    v: u32,
    #[serde(flatten)]
    body: T,
}

/// Only the version, to be looked at before the rest.
#[derive(Debug, Deserialize)]
struct Version {
    v: u32,
}

#[cfg(test)]
mod tests;
