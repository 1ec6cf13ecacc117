//! Traffic by the minute, for the last 24 hours.

use std::collections::VecDeque;
use std::time::SystemTime;

/// Minutes that are kept.
pub const DAY: u64 = 24 * 60;

/// One minute in which requests ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Minute {
    /// Its number since 1970.
    pub number: u64,
    /// Requests that ended well.
    pub well: u32,
    /// Requests that failed.
    pub failed: u32,
    /// Body bytes in both directions.
    pub bytes: u64,
}

/// The minutes with traffic, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Minutes(VecDeque<Minute>);

impl Minutes {
    /// Counts a request that has ended; whether it is the first of a minute. When the clock was set
    /// back, it counts for the latest minute.
    pub(crate) fn count(&mut self, end: SystemTime, failed: bool, bytes: u64) -> bool {
        let since = end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let number = since.as_secs() / 60;
        let begins = self.0.back().is_none_or(|latest| latest.number < number);
        if begins {
            self.0.push_back(Minute { number, ..Minute::default() });
            while self.0.front().is_some_and(|oldest| oldest.number + DAY <= number) {
                self.0.pop_front();
            }
        }
        if let Some(latest) = self.0.back_mut() {
            latest.well += u32::from(!failed);
            latest.failed += u32::from(failed);
            latest.bytes += bytes;
        }
        begins
    }

    /// Takes over what an earlier run has counted.
    pub(crate) fn restore(&mut self, earlier: Vec<Minute>) {
        let oldest = self.0.front().map_or(u64::MAX, |oldest| oldest.number);
        for minute in earlier.into_iter().rev().filter(|it| it.number < oldest) {
            self.0.push_front(minute);
        }
    }

    pub(crate) fn all(&self) -> Vec<Minute> {
        self.0.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_minute_counts_what_ends_in_it() {
        let mut minutes = Minutes::default();
        assert!(minutes.count(at(60), false, 7));
        assert!(!minutes.count(at(119), true, 1));
        minutes.count(at(180), false, 0);
        // The clock was set back.
        minutes.count(at(60), false, 0);
        let first = Minute { number: 1, well: 1, failed: 1, bytes: 8 };
        let second = Minute { number: 3, well: 2, failed: 0, bytes: 0 };
        assert_eq!(minutes.all(), [first, second]);
        minutes.restore(vec![Minute::default(), Minute { number: 3, well: 9, ..first }]);
        assert_eq!(minutes.all(), [Minute::default(), first, second]);
    }

    #[test]
    fn a_day_is_kept() {
        let mut minutes = Minutes::default();
        for number in 0..DAY + 5 {
            minutes.count(at(number * 60), false, 0);
        }
        let all = minutes.all();
        assert_eq!((all.len() as u64, all[0].number), (DAY, 5));
        minutes.count(at(10 * DAY * 60), false, 0);
        assert_eq!(minutes.all().len(), 1);
    }
}
