//! WINDOWS and WINDOW_UPDATE: our one extension, used only between two ends that have both
//! announced it (docs/extensions.md).
//!
//! ```text
//! WINDOWS         u32 bytes a peer may send on a fresh stream
//! WINDOW_UPDATE   u32 stream id   u32 bytes                       (as in SPDY/3)
//! ```

use super::{HEADER, Kind, Malformed, head, take_array};
use crate::StreamId;

/// The announcement: this end keeps windows, and this is the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Bytes the peer may send on a fresh stream before it is told to go on.
    pub initial: u32,
}

impl Windows {
    const LENGTH: usize = 4;

    /// Reads a body of this type; bytes behind the number are ignored.
    ///
    /// # Errors
    /// [`Malformed`] when it is too short.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let (initial, _) = take_array::<{ Self::LENGTH }>(body, "WINDOWS is too short")?;
        Ok(Self { initial: u32::from_be_bytes(*initial) & StreamId::MAX })
    }

    /// Writes the whole frame.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER + Self::LENGTH] {
        let mut out = [0; HEADER + Self::LENGTH];
        out[..8].copy_from_slice(&head::control(Kind::WINDOWS, 0, Self::LENGTH));
        out[8..].copy_from_slice(&self.initial.to_be_bytes());
        out
    }
}

/// The receiver of a body allows its sender more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowUpdate {
    /// The stream.
    pub id: StreamId,
    /// How many more bytes may be sent.
    pub bytes: u32,
}

impl WindowUpdate {
    const LENGTH: usize = 8;

    /// Reads a body of this type.
    ///
    /// # Errors
    /// [`Malformed`] when it is too short or names stream 0.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let (body, _) = take_array::<{ Self::LENGTH }>(body, "WINDOW_UPDATE is too short")?;
        let id = u32::from_be_bytes([body[0], body[1], body[2], body[3]]);
        let id = StreamId::new(id).ok_or(Malformed("WINDOW_UPDATE on stream 0"))?;
        let bytes = u32::from_be_bytes([body[4], body[5], body[6], body[7]]) & StreamId::MAX;
        Ok(Self { id, bytes })
    }

    /// Writes the whole frame.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER + Self::LENGTH] {
        let mut out = [0; HEADER + Self::LENGTH];
        out[..8].copy_from_slice(&head::control(Kind::WINDOW_UPDATE, 0, Self::LENGTH));
        out[8..12].copy_from_slice(&self.id.get().to_be_bytes());
        out[12..].copy_from_slice(&self.bytes.to_be_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements_survive_the_wire() {
        let ours = Windows { initial: 65_536 };
        assert_eq!(Windows::decode(&ours.encode()[HEADER..]).unwrap(), ours);
        assert!(Windows::decode(&[0; 3]).is_err());
    }

    #[test]
    fn updates_survive_the_wire() {
        let id = StreamId::new(7).unwrap();
        let update = WindowUpdate { id, bytes: 1 << 20 };
        assert_eq!(WindowUpdate::decode(&update.encode()[HEADER..]).unwrap(), update);
        assert!(WindowUpdate::decode(&[0; 8]).is_err());
    }
}
