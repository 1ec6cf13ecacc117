//! Small numbers with a meaning.

use std::fmt;
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

/// A stream's place in the queue: 0 is served first, 7 last (wire spec 3.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Priority(u8);

impl Priority {
    pub(crate) const COUNT: usize = 8;

    /// What the Android layer sends when nothing is said.
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
