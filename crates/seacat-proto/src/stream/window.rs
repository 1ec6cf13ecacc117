//! The receive window of one stream (docs/protocol/extensions.md).
//!
//! The receiver's memory for a stream is its window: what the peer may still send, plus what waits
//! for the reader, plus what the reader has taken and was not announced to the peer yet. It starts
//! small, because most bodies are, and follows the target of the connection
//! ([`Flow`](crate::flow::Flow)) while the reader keeps up.

use crate::frame::MAX_PAYLOAD;

/// A fresh stream's window: SPDY/3's own default, and four full frames.
pub(crate) const INITIAL_WINDOW: u32 = 64 * 1024;

/// The largest: 600 Mbit/s over 50 ms.
const MAX_WINDOW: u32 = 4 * 1024 * 1024;

/// The least that a WINDOW_UPDATE grants: two full frames.
const LEAST_STEP: u32 = 2 * MAX_PAYLOAD as u32;

/// The receive window of one stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecvWindow {
    size: u32,
    /// What the peer may still send.
    credit: u32,
    /// Received, and not taken by the reader.
    unread: u32,
    /// The minimum of `unread` since the last grant. A grant is often due in the middle of a burst,
    /// and `unread` at that moment does not show whether the reader keeps up.
    least_unread: u32,
    /// Taken by the reader, and not given back to the peer.
    owed: u32,
    /// Received before there was a window, and not taken by the reader.
    uncounted: u64,
    /// When the connection last counted this stream as busy.
    pub(crate) round: u32,
}

impl RecvWindow {
    /// The window of a stream of which the reader has not taken `uncounted` bytes.
    pub(crate) fn new(uncounted: u64) -> Self {
        let size = INITIAL_WINDOW;
        Self { size, credit: size, unread: 0, least_unread: u32::MAX, owed: 0, uncounted, round: 0 }
    }

    /// Counts received bytes; `false` when they exceed the window.
    pub(crate) fn receive(&mut self, bytes: u32) -> bool {
        let allowed = bytes <= self.credit;
        self.credit = self.credit.saturating_sub(bytes);
        self.unread += bytes;
        allowed
    }

    /// Counts bytes that the reader took. Returns whether a WINDOW_UPDATE is due.
    pub(crate) fn take(&mut self, bytes: u32) -> bool {
        let uncounted = u64::from(bytes).min(self.uncounted);
        self.uncounted -= uncounted;
        let bytes = bytes - uncounted as u32;
        self.unread = self.unread.saturating_sub(bytes);
        self.least_unread = self.least_unread.min(self.unread);
        self.owed += bytes;
        // Often enough that the peer never waits for an update.
        self.owed >= LEAST_STEP.max(self.size / 8)
    }

    /// How many more bytes the peer may send, if any. The window should have the size `target`;
    /// `growth` is what the connection has left for windows to grow.
    pub(crate) fn grant(&mut self, target: u64, growth: &mut u64) -> Option<u32> {
        let target = target.clamp(INITIAL_WINDOW.into(), MAX_WINDOW.into()) as u32;
        let mut grant = std::mem::take(&mut self.owed);
        if target < self.size {
            // What was granted stays granted; the window shrinks by granting less.
            let less = grant.min(self.size - target);
            grant -= less;
            self.size -= less;
            *growth += u64::from(less);
        } else if self.least_unread <= self.size / 4 {
            let more = u64::from(target - self.size).min(*growth) as u32;
            grant += more;
            self.size += more;
            *growth -= u64::from(more);
        }
        self.least_unread = u32::MAX;
        self.credit += grant;
        (grant > 0).then_some(grant)
    }

    /// The growth of the window, to be released when the stream ends.
    pub(crate) fn grown(&self) -> u64 {
        u64::from(self.size - INITIAL_WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::GROWTH_LIMIT;

    impl RecvWindow {
        fn take_and_grant(&mut self, bytes: u32, target: u64, growth: &mut u64) -> Option<u32> {
            self.take(bytes).then(|| self.grant(target, growth)).flatten()
        }
    }

    #[test]
    fn a_reader_that_keeps_up_gets_the_window_that_the_line_can_use() {
        let mut window = RecvWindow::new(0);
        let mut growth = GROWTH_LIMIT;
        let mut run = |target: u64| {
            for _ in 0..4000 {
                assert!(window.receive(16_376));
                window.take_and_grant(16_376, target, &mut growth);
            }
            assert_eq!(GROWTH_LIMIT - growth, window.grown());
            window.size
        };
        assert_eq!(run(0), INITIAL_WINDOW);
        assert_eq!(run(300_000), 300_000);
        assert_eq!(run(u64::MAX), MAX_WINDOW);
        assert_eq!(run(200_000), 200_000, "and it shrinks again");
    }

    /// Two bursts of half a window are under way, and each grant falls behind the first piece of
    /// one.
    #[test]
    fn bursts_do_not_shrink_the_window() {
        let mut window = RecvWindow::new(0);
        let mut growth = GROWTH_LIMIT;
        assert!(window.receive(16_408));
        window.take_and_grant(16_408, 300_000, &mut growth);
        for _ in 0..10 {
            assert!(window.receive(32_784));
            window.take_and_grant(16_376, 300_000, &mut growth);
            window.take_and_grant(16_408, 300_000, &mut growth);
        }
        assert_eq!(window.size, 300_000);
    }

    #[test]
    fn a_reader_that_stalls_holds_no_more_than_its_window() {
        let mut window = RecvWindow::new(0);
        let mut received = 0;
        while window.receive(1000) {
            received += 1000;
        }
        assert!(received <= INITIAL_WINDOW);
        let mut growth = GROWTH_LIMIT;
        let granted = window.take_and_grant(received, 0, &mut growth).unwrap();
        assert!(granted >= received, "what was taken may come again");
    }

    #[test]
    fn a_slow_reader_does_not_grow_its_window() {
        let mut window = RecvWindow::new(0);
        let mut growth = GROWTH_LIMIT;
        assert!(window.receive(INITIAL_WINDOW));
        for _ in 0..100 {
            let granted = window.take_and_grant(8192, u64::MAX, &mut growth).unwrap_or(0);
            assert!(window.receive(granted));
        }
        assert_eq!(window.size, INITIAL_WINDOW);
    }

    #[test]
    fn windows_together_grow_no_further_than_the_limit() {
        let mut growth = 3 * u64::from(INITIAL_WINDOW);
        let mut windows = [RecvWindow::new(0); 4];
        for _ in 0..100 {
            for window in &mut windows {
                assert!(window.receive(16_000));
                window.take_and_grant(16_000, u64::MAX, &mut growth);
            }
        }
        let grown: u64 = windows.iter().map(RecvWindow::grown).sum();
        assert_eq!(grown + growth, 3 * u64::from(INITIAL_WINDOW));
    }
}
