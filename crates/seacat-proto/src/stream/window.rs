//! How much may be under way on one stream (docs/extensions.md).
//!
//! The receiver's memory for a stream is its window: what the peer may still send, plus
//! what waits for the reader, plus what the reader has taken and the peer has not yet been
//! told of. It starts small, because most bodies are, and doubles as long as the reader
//! takes everything that comes: then only the window can be what holds the sender up.

/// A fresh stream's window: SPDY/3's own default, and four full frames.
pub(crate) const INITIAL_WINDOW: u32 = 64 * 1024;

/// The largest: 600 Mbit/s over 50 ms.
const MAX_WINDOW: u32 = 4 * 1024 * 1024;

/// What all windows of a connection may have grown beyond their beginnings, together. With it
/// a connection holds at most this and [`INITIAL_WINDOW`] for each stream.
pub(crate) const GROWTH_LIMIT: u64 = 32 * 1024 * 1024;

/// The receiving end's account of one stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecvWindow {
    size: u32,
    /// What the peer may still send.
    credit: u32,
    /// Received, and not taken by the reader.
    unread: u32,
    /// Taken by the reader, and not given back to the peer.
    owed: u32,
}

impl RecvWindow {
    pub(crate) fn new() -> Self {
        Self { size: INITIAL_WINDOW, credit: INITIAL_WINDOW, unread: 0, owed: 0 }
    }

    /// Bytes came; `false` when the peer was not allowed to send them.
    pub(crate) fn receive(&mut self, bytes: u32) -> bool {
        let allowed = bytes <= self.credit;
        self.credit = self.credit.saturating_sub(bytes);
        self.unread += bytes;
        allowed
    }

    /// The reader took bytes. Says how many more the peer may send, once that is worth a
    /// frame. `growth` is what the connection has left for windows to grow.
    pub(crate) fn take(&mut self, bytes: u32, growth: &mut u64) -> Option<u32> {
        self.unread = self.unread.saturating_sub(bytes);
        self.owed += bytes;
        if self.owed < self.size / 2 {
            return None;
        }
        let more = u64::from(self.size);
        let grows = self.unread == 0 && self.size < MAX_WINDOW && more <= *growth;
        let mut grant = std::mem::take(&mut self.owed);
        if grows {
            *growth -= more;
            grant += self.size;
            self.size *= 2;
        }
        self.credit += grant;
        Some(grant)
    }

    /// What the window has grown, to be given back when the stream ends.
    pub(crate) fn grown(&self) -> u64 {
        u64::from(self.size - INITIAL_WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_keeps_up_gets_a_larger_window() {
        let mut window = RecvWindow::new();
        let mut growth = GROWTH_LIMIT;
        let mut sizes = vec![window.size];
        for _ in 0..4000 {
            assert!(window.receive(16_376));
            window.take(16_376, &mut growth);
            if *sizes.last().unwrap() != window.size {
                sizes.push(window.size);
            }
        }
        assert_eq!(sizes.len(), 7, "{sizes:?}");
        assert_eq!(*sizes.last().unwrap(), MAX_WINDOW);
        assert_eq!(GROWTH_LIMIT - growth, window.grown());
    }

    #[test]
    fn a_reader_that_stalls_holds_no_more_than_its_window() {
        let mut window = RecvWindow::new();
        let mut received = 0;
        while window.receive(1000) {
            received += 1000;
        }
        assert!(received <= INITIAL_WINDOW);
        let mut growth = GROWTH_LIMIT;
        let granted = window.take(received, &mut growth).unwrap();
        assert!(granted >= received, "what was taken may come again");
    }

    #[test]
    fn a_slow_reader_does_not_grow_its_window() {
        let mut window = RecvWindow::new();
        let mut growth = GROWTH_LIMIT;
        assert!(window.receive(INITIAL_WINDOW));
        for _ in 0..100 {
            let granted = window.take(8192, &mut growth).unwrap_or(0);
            assert!(window.receive(granted));
        }
        assert_eq!(window.size, INITIAL_WINDOW);
    }

    #[test]
    fn windows_together_grow_no_further_than_the_limit() {
        let mut growth = 3 * u64::from(INITIAL_WINDOW);
        let mut windows = [RecvWindow::new(); 4];
        for _ in 0..100 {
            for window in &mut windows {
                assert!(window.receive(16_000));
                window.take(16_000, &mut growth);
            }
        }
        let grown: u64 = windows.iter().map(RecvWindow::grown).sum();
        assert_eq!(grown + growth, 3 * u64::from(INITIAL_WINDOW));
    }
}
