//! The exit codes, which scripts rely on: never renumber.

use std::process::ExitCode;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Something else failed; stderr says what.
    Failed = 1,
    /// The command line is not understood.
    Usage = 2,
    /// The configuration is not right, or may not be changed.
    Config = 3,
    /// There is no running proxy to talk to.
    NotRunning = 4,
    /// A proxy runs already.
    AlreadyRunning = 5,
    /// The port is taken, or the address is not ours.
    PortTaken = 6,
    /// The channel is not connected, or the gateway cannot be reached.
    NotConnected = 7,
    /// A second Ctrl-C ended the program before it had drained (128 + SIGINT, as shells count).
    Interrupted = 130,
}

impl Exit {
    /// Every code with its meaning, as `--help` prints them.
    pub const ALL: [(Exit, &'static str); 9] = [
        (Exit::Ok, "success"),
        (Exit::Failed, "failure; the reason is on stderr"),
        (Exit::Usage, "invalid command line"),
        (Exit::Config, "invalid configuration, or a setting managed by your organisation"),
        (Exit::NotRunning, "no proxy is running"),
        (Exit::AlreadyRunning, "a proxy is running already"),
        (Exit::PortTaken, "the port is in use"),
        (Exit::NotConnected, "not connected, or the gateway cannot be reached"),
        (Exit::Interrupted, "stopped by a second Ctrl-C before all requests had finished"),
    ];

    /// The table for `--help`.
    #[must_use]
    pub fn help() -> String {
        let lines = Self::ALL.iter().map(|(exit, why)| format!("  {:>3}  {why}\n", *exit as u8));
        std::iter::once("Exit codes:\n".to_owned()).chain(lines).collect()
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}
