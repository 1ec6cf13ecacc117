//! Logs: for people on stderr, as JSON lines in the state folder.
//!
//! The file is rotated by size (`seacat-proxy.log`, then `.1`, `.2`, …) and all files together stay
//! under a cap. A full or broken disk never stops the program: lines that cannot be written are
//! counted, and the next line that can be is preceded by how many are missing. Lines of one kind that
//! come again and again are throttled, in both places.

mod file;
mod throttled;

use std::io::{self, IsTerminal as _};
use std::path::Path;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::{Registry, fmt, reload};

use crate::config::schema::{Level, Log};
use file::RotatingFile;
use throttled::Throttled;

/// The name of the newest log file.
pub const LOG_FILE: &str = "seacat-proxy.log";

/// Changes the level of a running program.
#[derive(Clone)]
pub struct LogHandle(reload::Handle<LevelFilter, Registry>);

impl LogHandle {
    /// Logs at `level` from now on.
    pub fn set_level(&self, level: Level) {
        // Fails only when the subscriber is gone, and then there is nothing to change.
        let _ = self.0.reload(filter(level));
    }
}

impl std::fmt::Debug for LogHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogHandle")
    }
}

/// Starts logging for the whole process; call it once.
///
/// Returns a handle and, when the log file cannot be opened, the reason: the program runs without it.
pub fn start(settings: &Log, state_dir: &Path) -> (LogHandle, Option<io::Error>) {
    let (level, handle) = reload::Layer::new(filter(settings.level));
    let people = fmt::layer()
        .with_writer(Throttled::new(io::stderr(), throttled::text_note))
        .with_ansi(has_escapes(&io::stderr()))
        .with_target(false)
        .log_internal_errors(false);
    let opened = settings.file.then(|| {
        RotatingFile::open(state_dir.join(LOG_FILE), settings.max_file, settings.max_total)
    });
    let (file, failure) = match opened {
        Some(Ok(file)) => (Some(file), None),
        Some(Err(error)) => (None, Some(error)),
        None => (None, None),
    };
    let machines = file.map(|file| {
        let writer = Throttled::new(file, throttled::json_note);
        fmt::layer().json().with_writer(writer).log_internal_errors(false).boxed()
    });
    let subscriber = tracing_subscriber::registry().with(level).with(people).with(machines);
    // A second start in one process (tests) keeps the first subscriber.
    let _ = tracing::subscriber::set_global_default(subscriber);
    (LogHandle(handle), failure)
}

/// Whether colours come out as colours.
fn has_escapes(output: &io::Stderr) -> bool {
    #[cfg(windows)]
    return output.is_terminal() && seacat_windows::console::understands_escapes(output);
    #[cfg(not(windows))]
    output.is_terminal()
}

fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    }
}
