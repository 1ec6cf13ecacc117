//! Stream ids and priorities.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::num::NonZeroU32;

/// The number of a stream: 31 bits, never 0 (wire spec 4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(NonZeroU32);

impl StreamId {
    /// The largest id.
    pub const MAX: u32 = 0x7FFF_FFFF;

    /// An id from its number; the top bit is masked as SPDY does, 0 is none.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number & Self::MAX).map(Self)
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// Streams of a client are odd, those of reverse sockets even.
    #[must_use]
    pub fn is_odd(self) -> bool {
        self.get() % 2 == 1
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.get())
    }
}

/// A map by stream id.
pub type StreamMap<T> = HashMap<StreamId, T, StreamHash>;

/// Hashes stream numbers: `a·x + b`, of which the upper half of 64 bits counts, with a random `a`
/// and `b` for each map (Dietzfelbinger's universal hashing). A few instructions, and two ids
/// collide no more often than by chance, whichever a peer chooses.
#[derive(Clone, Copy)]
pub struct StreamHash {
    factor: u64,
    sum: u64,
}

impl Default for StreamHash {
    fn default() -> Self {
        let random = RandomState::new();
        Self { factor: random.hash_one(0), sum: random.hash_one(1) }
    }
}

impl BuildHasher for StreamHash {
    type Hasher = StreamHasher;

    fn build_hasher(&self) -> StreamHasher {
        StreamHasher { keys: *self, hash: 0 }
    }
}

/// See [`StreamHash`].
pub struct StreamHasher {
    keys: StreamHash,
    hash: u64,
}

impl Hasher for StreamHasher {
    fn write_u32(&mut self, number: u32) {
        let hash = self.keys.factor.wrapping_mul(number.into()).wrapping_add(self.keys.sum);
        // A hash table uses the lower bits first.
        self.hash = hash.rotate_left(32);
    }

    /// A stream number is one u32.
    fn write(&mut self, _: &[u8]) {
        unreachable!("only stream numbers are hashed");
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}

/// A stream's place in the queue: 0 is served first, 7 last (wire spec 3.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Priority(u8);

impl Priority {
    pub(crate) const COUNT: usize = 8;

    /// The default of the Android layer.
    pub const DEFAULT: Self = Self(3);

    /// A priority from 0 to 7.
    #[must_use]
    pub fn new(value: u8) -> Option<Self> {
        (usize::from(value) < Self::COUNT).then_some(Self(value))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The top three bits of the byte on the wire.
    pub(crate) fn from_wire(byte: u8) -> Self {
        Self(byte >> 5)
    }

    pub(crate) fn to_wire(self) -> u8 {
        self.0 << 5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For any distance between the ids, in the upper and the lower bits of the hash.
    #[test]
    fn stream_ids_collide_no_more_often_than_by_chance() {
        const MAPS: u32 = 500;
        const NUMBERS: u32 = 64;
        for distance in [2, 1 << 7, 1 << 16, 1 << 24] {
            let mut meetings = 0;
            for _ in 0..MAPS {
                let map = StreamHash::default();
                let ids = (0..NUMBERS).filter_map(|n| StreamId::new(1 + n * distance));
                let places: Vec<u64> = ids.map(|id| map.hash_one(id) % 128).collect();
                let pairs = places.iter().enumerate().map(|(at, place)| {
                    places[at + 1..].iter().filter(|&other| other == place).count()
                });
                meetings += pairs.sum::<usize>();
            }
            let chance = (MAPS * NUMBERS * (NUMBERS - 1) / 2 / 128) as usize;
            assert!(meetings < 2 * chance, "{distance}: {meetings} for {chance}");
        }
    }
}
