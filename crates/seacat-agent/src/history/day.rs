//! The last 24 hours: requests by the minute, and when the proxy was connected. They are kept in the
//! state folder, in a file of 64 KiB at most.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use seacat_proxy::{DAY, Minute};
use serde::{Deserialize, Serialize};

use crate::config::edit::save;

const NAME: &str = "day.json";

/// The file is not larger: 1440 minutes of 34 bytes and 300 changes of 45.
const FILE_MAX: u64 = 64 << 10;
/// Changes of the state that are kept; one that flaps faster loses its oldest.
const CHANGES: usize = 300;
/// Larger counts are written as these, so that the file keeps its bound.
const COUNT_MAX: u32 = 9_999_999;
const BYTES_MAX: u64 = 1_000_000_000_000;

pub(super) const MINUTE_MS: u64 = 60_000;

/// The last 24 hours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct DayView {
    /// The minutes in which requests ended, oldest first.
    pub minutes: Vec<MinuteView>,
    /// When the connection changed, oldest first.
    pub changes: Vec<ChangeView>,
}

/// One minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct MinuteView {
    /// Its beginning, in milliseconds since 1970.
    pub time_ms: u64,
    /// Requests that ended well.
    pub well: u32,
    /// Requests that failed.
    pub failed: u32,
    /// Body bytes in both directions.
    pub bytes: u64,
}

impl From<&Minute> for MinuteView {
    fn from(minute: &Minute) -> Self {
        let Minute { number, well, failed, bytes } = *minute;
        Self { time_ms: number * MINUTE_MS, well, failed, bytes }
    }
}

/// The connection changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ChangeView {
    /// When, in milliseconds since 1970.
    pub time_ms: u64,
    /// Whether there is a connection from then on.
    pub connected: bool,
    /// Why there is none, `SC-…`.
    pub code: Option<String>,
}

/// The changes of the connection, oldest first.
#[derive(Debug, Default)]
pub(super) struct Changes(VecDeque<ChangeView>);

impl Changes {
    /// Whether it is another than the latest one.
    pub(super) fn note(&mut self, change: ChangeView) -> bool {
        let same = |it: &ChangeView| (it.connected, &it.code) == (change.connected, &change.code);
        if self.0.back().is_some_and(same) {
            return false;
        }
        if self.0.len() == CHANGES {
            self.0.pop_front();
        }
        self.0.push_back(change);
        true
    }

    /// Those of the last day, and the one before, which was still so at its beginning.
    pub(super) fn since(&self, oldest_ms: u64) -> Vec<ChangeView> {
        let before = self.0.iter().filter(|it| it.time_ms < oldest_ms).count();
        self.0.iter().skip(before.saturating_sub(1)).cloned().collect()
    }
}

/// A minute in the file: minutes since the one before it, well, failed, bytes.
type Row = (u64, u32, u32, u64);

/// The file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Written {
    minutes: Vec<Row>,
    changes: Vec<(u64, bool, Option<String>)>,
}

/// Where it is.
#[derive(Debug, Clone)]
pub(super) struct DayFile(PathBuf);

impl DayFile {
    pub(super) fn new(state_dir: &Path) -> Self {
        Self(state_dir.join(NAME))
    }

    /// What an earlier run has written; nothing when that cannot be read.
    pub(super) fn read(&self) -> (Vec<Minute>, Changes) {
        let mut text = Vec::new();
        let read = fs::File::open(&self.0).and_then(|it| it.take(FILE_MAX).read_to_end(&mut text));
        let written: Written =
            read.ok().and_then(|_| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let mut number = 0_u64;
        let minute = |(later, well, failed, bytes): Row| {
            number = number.saturating_add(later);
            Minute { number, well, failed, bytes }
        };
        let change = |(time_ms, connected, code)| ChangeView { time_ms, connected, code };
        let minutes = written.minutes.into_iter().map(minute).collect();
        let mut changes = Changes::default();
        for it in written.changes.into_iter().map(change) {
            changes.note(it);
        }
        (minutes, changes)
    }

    pub(super) fn write(&self, minutes: &[Minute], changes: &[ChangeView]) -> io::Result<()> {
        let mut before = 0;
        let row = |minute: &Minute| {
            let later = minute.number - before;
            before = minute.number;
            let count = |it: u32| it.min(COUNT_MAX);
            (later, count(minute.well), count(minute.failed), minute.bytes.min(BYTES_MAX))
        };
        let change = |it: &ChangeView| (it.time_ms, it.connected, it.code.clone());
        let written = Written {
            minutes: minutes.iter().map(row).collect(),
            changes: changes.iter().map(change).collect(),
        };
        save(&self.0, &serde_json::to_vec(&written)?)
    }
}

/// The minute that began 24 hours ago.
pub(super) fn oldest(now_ms: u64) -> u64 {
    (now_ms / MINUTE_MS).saturating_sub(DAY - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(time_ms: u64, code: Option<&str>) -> ChangeView {
        ChangeView { time_ms, connected: code.is_none(), code: code.map(str::to_owned) }
    }

    #[test]
    fn a_day_is_read_as_it_was_written_and_stays_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let file = DayFile::new(folder.path());
        assert!(file.read().0.is_empty());
        let first = 29_000_000;
        let minutes: Vec<Minute> = (0..DAY)
            .map(|n| Minute {
                number: first + n,
                well: u32::MAX,
                failed: u32::MAX,
                bytes: u64::MAX,
            })
            .collect();
        let mut changes = Changes::default();
        for n in 0..CHANGES as u64 + 5 {
            let code = (n % 2 == 0).then_some("SC-BACKEND-UNREACHABLE");
            assert!(changes.note(change(1_700_000_000_000 + n, code)));
        }
        file.write(&minutes, &changes.since(0)).unwrap();
        let size = fs::metadata(folder.path().join(NAME)).unwrap().len();
        assert!(size <= FILE_MAX, "{size}");
        let (read, again) = file.read();
        assert_eq!((read.len() as u64, read[7].number), (DAY, first + 7));
        assert_eq!(read[0].well, COUNT_MAX);
        assert_eq!(again.since(0), changes.since(0));
        assert_eq!(again.since(0).len(), CHANGES);
        fs::write(folder.path().join(NAME), "{\"minutes\":[[1,").unwrap();
        assert!(file.read().0.is_empty());
    }

    #[test]
    fn what_was_so_at_the_beginning_of_the_day_is_known() {
        let mut changes = Changes::default();
        assert!(changes.note(change(10, None)));
        assert!(!changes.note(change(15, None)), "nothing has changed");
        assert!(changes.note(change(20, Some("SC-DNS"))));
        assert!(changes.note(change(30, None)));
        let times = |since| changes.since(since).iter().map(|it| it.time_ms).collect::<Vec<_>>();
        assert_eq!(times(25), [20, 30]);
        assert_eq!(times(0), [10, 20, 30]);
        assert_eq!(times(99), [30]);
    }
}
