//! The last good answer on disk: JSON, for its owner alone, whole or not there.
//!
//! It only saves a start without DNS. What it says is believed as little as DNS itself: a target
//! must still show the right certificate.

use std::path::PathBuf;

use rustls::pki_types::DnsName;

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
        Self { disk: Disk::new(folder), file: format!("{question}.json") }
    }

    /// Keeps an answer. A full disk is no reason not to connect.
    pub(super) async fn keep(self, targets: Vec<Target>) {
        let write = move || {
            let text = serde_json::to_vec_pretty(&targets)?;
            if self.disk.read(&self.file).ok().flatten().as_ref() == Some(&text) {
                return Ok(());
            }
            self.disk.write(&self.file, &text)
        };
        if let Ok(Err(error)) = tokio::task::spawn_blocking(write).await {
            tracing::warn!(%error, "what DNS said could not be kept for a start without it");
        }
    }

    /// The answer that was kept, if there is one that can be read.
    pub(super) async fn recall(self) -> Option<Vec<Target>> {
        let read = move || self.disk.read(&self.file);
        let bytes = tokio::task::spawn_blocking(read).await.ok()?.ok()??;
        parse(&bytes)
    }
}

/// All of it or nothing: a file that was changed by hand is not guessed at.
fn parse(text: &[u8]) -> Option<Vec<Target>> {
    let targets: Vec<Target> = serde_json::from_slice(text).ok()?;
    let whole =
        |it: &Target| DnsName::try_from(it.host.as_str()).is_ok() && !it.addresses.is_empty();
    ((1..=TARGETS_MAX).contains(&targets.len()) && targets.iter().all(whole)).then_some(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(host: &str) -> Target {
        let addresses = vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        Target { host: host.into(), port: 443, priority: 0, weight: 5, addresses }
    }

    #[test]
    fn what_is_written_is_read() {
        let targets = vec![target("gw1.s.io"), target("gw2.s.io")];
        assert_eq!(parse(&serde_json::to_vec(&targets).unwrap()), Some(targets));
    }

    #[test]
    fn what_is_not_whole_is_nothing() {
        let json = |targets: &[Target]| serde_json::to_string(targets).unwrap();
        let good = json(&[target("gw1.s.io")]);
        for broken in [
            String::new(),
            "[]".to_owned(),
            good[..good.len() - 1].to_owned(),
            good.replace("443", "65536"),
            good.replace("192.0.2.1", "192.0.2"),
            good.replace("gw1.s.io", "gw1\\ngw2"),
            json(&[Target { addresses: Vec::new(), ..target("gw1.s.io") }]),
            json(&vec![target("gw1.s.io"); TARGETS_MAX + 1]),
        ] {
            assert_eq!(parse(broken.as_bytes()), None, "{broken:?}");
        }
    }
}
