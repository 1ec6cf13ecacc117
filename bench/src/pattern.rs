//! The origin's data: bytes that depend on their position.
//!
//! A body repeats one block of random bytes. The block's length is a prime, so a frame that is
//! lost, doubled or out of order shifts what follows, and memcmp detects it; a checksum would cost
//! the load generator more than the proxies under test use.

/// Length of the block, in bytes: the largest prime below 64 KiB.
const BLOCK: usize = 65_521;
/// How many copies of the block are stored, so that large writes and comparisons need no joins.
const COPIES: usize = 16;

/// The pattern, several blocks of it.
#[derive(Debug)]
pub(crate) struct Pattern(Vec<u8>);

impl Pattern {
    /// The same bytes in every process.
    pub(crate) fn new() -> Self {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64; // xorshift64 takes any start but zero
        let block = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        });
        let block: Vec<u8> = block.take(BLOCK).collect();
        Self(block.repeat(COPIES))
    }

    /// The next bytes of a body of which `sent` bytes are written and `left` are not: as many as
    /// there are at hand.
    pub(crate) fn next(&self, sent: u64, left: u64) -> &[u8] {
        let rest = &self.0[Self::place(sent)..];
        let n = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
        &rest[..n]
    }

    /// Whether `bytes` are those at `offset` of a body.
    pub(crate) fn matches(&self, mut offset: u64, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let expected = self.next(offset, bytes.len() as u64);
            let (now, later) = bytes.split_at(expected.len());
            if now != expected {
                return false;
            }
            offset += now.len() as u64;
            bytes = later;
        }
        true
    }

    fn place(offset: u64) -> usize {
        // Below BLOCK, so it fits.
        (offset % BLOCK as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_place_and_sees_a_frame_lost_doubled_or_changed() {
        let pattern = Pattern::new();
        let mut body = Vec::new();
        while body.len() < 3_000_000 {
            let next = pattern.next(body.len() as u64, 3_000_000 - body.len() as u64);
            body.extend_from_slice(next);
        }
        assert!(pattern.matches(0, &body));
        assert!(pattern.matches(70_001, &body[70_001..]));
        let frame = 16_376;
        assert!(!pattern.matches(frame as u64, &body[2 * frame..]));
        assert!(!pattern.matches(2 * frame as u64, &body[frame..]));
        body[2_999_999] ^= 1;
        assert!(!pattern.matches(0, &body));
    }
}
