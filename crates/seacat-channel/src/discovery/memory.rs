//! The last good answer on disk: a line for each target, for its owner alone, whole or not there.
//!
//! It only saves a start without DNS. What it says is believed as little as DNS itself: a target
//! must still show the right certificate.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::discovery::Target;
use crate::discovery::ask::TARGETS_MAX;
use crate::identity::Disk;

/// The file of one question.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    disk: Disk,
    file: String,
}

impl Memory {
    pub(super) fn new(folder: PathBuf, question: &str) -> Self {
        Self { disk: Disk::new(folder), file: format!("{question}.txt") }
    }

    /// Keeps an answer. A full disk is no reason not to connect.
    pub(super) async fn keep(self, targets: Vec<Target>) {
        let write = move || {
            let text = text(&targets);
            if self.disk.read(&self.file).ok().flatten().as_deref() == Some(text.as_bytes()) {
                return Ok(());
            }
            self.disk.write(&self.file, text.as_bytes())
        };
        if let Ok(Err(error)) = tokio::task::spawn_blocking(write).await {
            tracing::warn!(%error, "what DNS said could not be kept for a start without it");
        }
    }

    /// The answer that was kept, if there is one that can be read.
    pub(super) async fn recall(self) -> Option<Vec<Target>> {
        let read = move || self.disk.read(&self.file);
        let bytes = tokio::task::spawn_blocking(read).await.ok()?.ok()??;
        parse(std::str::from_utf8(&bytes).ok()?)
    }
}

/// `HOST PORT PRIORITY WEIGHT ADDRESS…`
fn text(targets: &[Target]) -> String {
    let mut text = String::new();
    for Target { host, port, priority, weight, addresses } in targets {
        let _ = write!(text, "{host} {port} {priority} {weight}");
        for address in addresses {
            let _ = write!(text, " {address}");
        }
        text.push('\n');
    }
    text
}

/// All of it or nothing: a file that somebody has changed is not guessed at.
fn parse(text: &str) -> Option<Vec<Target>> {
    let targets: Option<Vec<Target>> = text.lines().map(line).collect();
    targets.filter(|targets| (1..=TARGETS_MAX).contains(&targets.len()))
}

fn line(line: &str) -> Option<Target> {
    let mut words = line.split(' ');
    let target = Target {
        host: words.next()?.to_owned(),
        port: words.next()?.parse().ok()?,
        priority: words.next()?.parse().ok()?,
        weight: words.next()?.parse().ok()?,
        addresses: words.map(|word| word.parse().ok()).collect::<Option<_>>()?,
    };
    (!target.addresses.is_empty()).then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let kept = "gw1.s.io 443 0 5 192.0.2.1 2001:db8::1\ngw2.s.io 8443 10 0 192.0.2.2\n";
        assert_eq!(text(&parse(kept).unwrap()), kept);
    }

    #[test]
    fn what_is_not_whole_is_nothing() {
        for broken in [
            "",
            "\n",
            "gw1.s.io 443 0 5\n",
            "gw1.s.io 443 0 5 192.0.2\n",
            "gw1.s.io 65536 0 5 192.0.2.1\n",
            "gw1.s.io 443 0 5 192.0.2.1\ngw2",
            &"gw1.s.io 443 0 5 192.0.2.1\n".repeat(TARGETS_MAX + 1),
        ] {
            assert_eq!(parse(broken), None, "{broken:?}");
        }
    }
}
