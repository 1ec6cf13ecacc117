//! A rate limit for log lines that a peer can cause.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Permits one line in ten seconds and counts the others. One for each kind of line, as a `static`.
#[derive(Debug)]
pub struct Throttle(Mutex<State>);

#[derive(Debug)]
struct State {
    passed: Option<Instant>,
    skipped: u64,
}

impl Throttle {
    /// Often enough for an administrator who watches the log, rare enough that a day's log stays
    /// small.
    const PAUSE: Duration = Duration::from_secs(10);

    /// A throttle that permits the next line.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(State { passed: None, skipped: 0 }))
    }

    /// If a line may be written now, the number of lines skipped since the last one.
    pub fn pass(&self) -> Option<u64> {
        self.pass_at(Instant::now())
    }

    fn pass_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.passed.is_some_and(|at| now.saturating_duration_since(at) < Self::PAUSE) {
            state.skipped += 1;
            return None;
        }
        state.passed = Some(now);
        Some(std::mem::take(&mut state.skipped))
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_ten_seconds_says_how_many_there_were() {
        let throttle = Throttle::new();
        let start = Instant::now();
        let at = |seconds| throttle.pass_at(start + Duration::from_secs(seconds));
        assert_eq!([at(0), at(1), at(9), at(10), at(25)], [Some(0), None, None, Some(2), Some(0)]);
    }
}
