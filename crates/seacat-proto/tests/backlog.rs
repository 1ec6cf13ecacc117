//! Whatever the cut of a body, what is kept of it costs little more than its bytes, measured at the
//! allocator.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use bytes::Bytes;
use peak_alloc::PeakAlloc;
use proptest::prelude::*;
use seacat_proto::Backlog;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The largest piece: what has been taken of the first one stays in use.
const LARGEST: usize = 17_000;

/// A queue that was in use keeps some entries.
const CONSTANT: usize = 4096;

proptest! {
    // One test in this file: another thread's memory would be counted too.
    #[test]
    fn memory_follows_the_account(
        cuts in prop::collection::vec(
            (prop_oneof![4 => 1..40usize, 2 => 1..1100usize, 1 => 1..LARGEST], 0..4u8),
            1..600,
        ),
    ) {
        let before = MEMORY.current_usage();
        let mut backlog = Backlog::default();
        let (mut pushed, mut popped) = (Vec::new(), Vec::new());
        let mut next = 0u8;
        for (length, pops) in cuts {
            let piece: Vec<u8> = (0..length).map(|_| { next = next.wrapping_add(1); next }).collect();
            pushed.extend_from_slice(&piece);
            backlog.push(Bytes::from(piece));
            if pops == 3 {
                popped.extend_from_slice(&backlog.pop(700).unwrap());
            }
            let recorded = pushed.capacity() + popped.capacity();
            let used = MEMORY.current_usage().saturating_sub(before + recorded);
            let (kept, bytes) = (backlog.kept(), backlog.bytes());
            prop_assert!(used <= kept + kept / 4 + CONSTANT, "{used} used, {kept} counted");
            prop_assert!(kept <= 2 * bytes + LARGEST + CONSTANT, "{kept} for {bytes} bytes");
        }
        popped.extend(std::iter::from_fn(|| backlog.pop(usize::MAX)).flatten());
        prop_assert_eq!(popped, pushed);
        prop_assert_eq!(backlog.kept(), 0);
    }
}
