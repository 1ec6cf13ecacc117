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
//! Nobody but the owner gets in: the socket (0600) stands in a folder (0700) whose owner and mode are
//! checked, and the user at the other end is asked of the kernel, by both sides.
//!
//! On Windows this will be a named pipe. It is not written yet: there the proxy runs without a control
//! socket and says so, and commands that need one fail with a clear message.

mod client;
mod identity;
mod line;
mod server;
#[cfg(unix)]
mod socket;
#[cfg(not(unix))]
#[path = "socket_missing.rs"]
mod socket;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use crate::access::AccessView;
use crate::status::StatusView;

pub use client::{Client, ClientError};
pub(crate) use identity::today;
pub use server::{Desk, serve};
pub use socket::{BindError, Listener, Stream, connect};

/// The version of the protocol. A different one is refused by name rather than half understood.
pub const VERSION: u32 = 1;

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    /// The status now.
    Status,
    /// The status now and after every change.
    Watch,
    /// A line for every request from now on.
    Access,
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
        common_name: Option<String>,
    },
    /// Renew the certificate now.
    Renew,
    /// Delete key, request and certificate.
    ResetIdentity,
    /// Take over a key and its certificate.
    ImportIdentity {
        /// The file, PKCS#12 or PEM, in base64.
        file: Secret,
        /// Its password.
        password: Option<Secret>,
    },
    /// The request, as PEM.
    ExportRequest,
    /// The certificate, as PEM.
    ExportCertificate,
}

/// Something that is said on the socket and nowhere else. It is wiped when this is dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
