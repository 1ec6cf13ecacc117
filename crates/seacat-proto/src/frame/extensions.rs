//! The announcement of extensions, and the frames of the two that have their own
//! (docs/protocol/extensions.md). WINDOW_UPDATE has a file of its own.
//!
//! ```text
//! EXTENSIONS         u32 initial window   u32 extensions, one bit each   u32 streams at one time
//! CONNECTION_ENDED   u32 id of the application's connection
//! GOAWAY             u32 last stream id   u32 status = 0               (as in SPDY/3)
//! ```

use super::{HEADER, Kind, Malformed, head, take_array};
use crate::StreamId;

/// A set of extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extensions(u32);

impl Extensions {
    /// None.
    pub const NONE: Self = Self(0);
    /// Flow control: each body has a window.
    pub const WINDOWS: Self = Self(1);
    /// Requests may name the application's connection that they came on.
    pub const CONNECTIONS: Self = Self(2);
    /// Replies may carry the reason phrase of their status line.
    pub const REASON: Self = Self(4);
    /// A gateway that drains announces it before the connection ends.
    pub const GOAWAY: Self = Self(8);
    /// All extensions of this version.
    pub const ALL: Self = Self(1 | 2 | 4 | 8);

    /// Whether every extension of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The extensions that are in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// This set without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether it holds none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// EXTENSIONS: the extensions that the sender offers, or uses from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Bytes the peer may send on a fresh stream; counts with [`Extensions::WINDOWS`] only.
    pub initial_window: u32,
    /// The extensions. Unknown bits are preserved.
    pub extensions: Extensions,
    /// Streams that the peer may have open at one time.
    pub streams: u32,
}

impl Announcement {
    const LENGTH: usize = 12;

    /// Reads a body of this type; bytes behind the known ones are ignored. `None` when it is too
    /// short: then it is another program's frame of this number, and means nothing to us.
    #[must_use]
    pub fn decode(body: &[u8]) -> Option<Self> {
        let (words, _) = body.as_chunks();
        let [window, extensions, streams, ..] = *words else { return None };
        Some(Self {
            initial_window: u32::from_be_bytes(window) & StreamId::MAX,
            extensions: Extensions(u32::from_be_bytes(extensions)),
            streams: u32::from_be_bytes(streams),
        })
    }

    /// Writes the whole frame.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER + Self::LENGTH] {
        words(Kind::EXTENSIONS, &[self.initial_window, self.extensions.0, self.streams])
    }
}

/// CONNECTION_ENDED: the application has closed a connection that requests had named, client to
/// gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionEnded {
    /// The connection, by the number that requests named it by.
    pub id: u32,
}

impl ConnectionEnded {
    const LENGTH: usize = 4;

    /// Reads a body of this type.
    ///
    /// # Errors
    /// [`Malformed`] when it is too short.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let (id, _) = take_array::<{ Self::LENGTH }>(body, "CONNECTION_ENDED is too short")?;
        Ok(Self { id: u32::from_be_bytes(*id) })
    }

    /// Writes the whole frame.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER + Self::LENGTH] {
        words(Kind::CONNECTION_ENDED, &[self.id])
    }
}

/// GOAWAY: the gateway drains; or, in answer, the client has opened its last stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoAway {
    /// The highest stream of the peer that the sender has seen; 0 for none. Later ones that were in
    /// flight are still served.
    pub last: u32,
}

impl GoAway {
    const LENGTH: usize = 8;

    /// Reads a body of this type; the status is ignored.
    ///
    /// # Errors
    /// [`Malformed`] when it is too short.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let (body, _) = take_array::<{ Self::LENGTH }>(body, "GOAWAY is too short")?;
        let [a, b, c, d, ..] = *body;
        Ok(Self { last: u32::from_be_bytes([a, b, c, d]) & StreamId::MAX })
    }

    /// Writes the whole frame.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER + Self::LENGTH] {
        words(Kind::GOAWAY, &[self.last, 0])
    }
}

/// A whole frame whose body is these numbers. `LENGTH`: of the frame.
fn words<const LENGTH: usize>(kind: Kind, numbers: &[u32]) -> [u8; LENGTH] {
    let mut out = [0; LENGTH];
    let (start, body) = out.split_at_mut(HEADER);
    start.copy_from_slice(&head::control(kind, 0, body.len()));
    for (place, number) in body.chunks_exact_mut(4).zip(numbers) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    out
}
