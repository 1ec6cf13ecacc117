//! The support bundle: one text that a person can read before they send it. It holds no secret,
//! because nothing it is made of does: the configuration names files instead of holding passwords, and
//! the log never has keys, passwords, queries or headers.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::config::{Loaded, show};
use crate::identity_view::IdentityView;
use crate::logging::LOG_FILE;
use crate::places::Places;
use crate::status::{self, StatusView};

/// What is taken of the log, from its end: some hundred lines.
const LOG_TAIL: u64 = 128 << 10;

/// The whole text. `diagnosis` is what the steps have said.
#[must_use]
pub fn bundle(
    places: &Places,
    loaded: Option<&Loaded>,
    status: Option<&StatusView>,
    diagnosis: &str,
) -> String {
    let log = places.state_dir.join(LOG_FILE);
    let sections = [
        ("program", program()),
        ("status", status.map_or_else(|| "no proxy is running\n".to_owned(), status::text)),
        ("identity", identity(status)),
        ("diagnosis", diagnosis.to_owned()),
        ("settings", loaded.map_or_else(|| "not right\n".to_owned(), show::text)),
        ("log", tail(&log).unwrap_or_else(|error| format!("{}: {error}\n", log.display()))),
    ];
    sections.iter().map(|(title, text)| format!("=== {title}\n{text}\n")).collect()
}

fn program() -> String {
    let system = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "SeaCat Proxy {} ({} {} {})\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
        system.trim()
    )
}

fn identity(status: Option<&StatusView>) -> String {
    let identity = status.and_then(|status| status.identity.as_ref());
    identity.map_or_else(|| "none\n".to_owned(), IdentityView::text)
}

/// The last lines, whole ones.
fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(LOG_TAIL);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let whole = if start == 0 { &text } else { text.split_once('\n').map_or("", |(_, rest)| rest) };
    Ok(whole.to_owned())
}
