//! Which release is packed: version and date, from the workspace and its history.

use std::process::Command;

use super::words;
use crate::step::root;

/// Whom the packages name as their maintainer, unless DEBFULLNAME and DEBEMAIL say it (as Debian's own
/// tools read them).
const MAINTAINER: (&str, &str) = ("SeaCat Proxy maintainers", "maintainers@seacat-proxy.invalid");

/// A release.
pub(super) struct Release {
    /// As in Cargo.toml: 1.2.3
    pub(super) version: String,
    /// `NAME <ADDRESS>`
    pub(super) maintainer: String,
    /// Seconds since 1970. The same source makes the same packages, so this is not the clock's.
    epoch: String,
}

impl Release {
    /// The workspace's, or `version`.
    pub(super) fn find(version: Option<String>) -> Result<Self, String> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let epoch = match variable("SOURCE_DATE_EPOCH") {
            Some(epoch) => epoch,
            None => {
                words(Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(root()))
                    .map_err(|why| format!("{why}\nwithout git, say SOURCE_DATE_EPOCH"))?
            }
        };
        let name = variable("DEBFULLNAME").unwrap_or_else(|| MAINTAINER.0.to_owned());
        let address = variable("DEBEMAIL").unwrap_or_else(|| MAINTAINER.1.to_owned());
        Ok(Self {
            version: version.unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned()),
            maintainer: format!("{name} <{address}>"),
            epoch,
        })
    }

    /// Its date in a format of date(1), such as `+%F`.
    pub(super) fn date(&self, format: &str) -> Result<String, String> {
        let when = format!("@{}", self.epoch);
        words(Command::new("date").env("LC_ALL", "C").args(["--utc", "--date", &when, format]))
    }

    /// A command that writes the release's date where it would write the clock's.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SOURCE_DATE_EPOCH", &self.epoch);
        command
    }
}
