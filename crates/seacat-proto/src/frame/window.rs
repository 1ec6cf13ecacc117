//! WINDOW_UPDATE: more of a body may be sent. Used only when both ends have announced windows
//! (docs/protocol/extensions.md).
//!
//! ```text
//! WINDOW_UPDATE   u32 stream id   u32 bytes                       (as in SPDY/3)
//! ```

use super::{HEADER, Kind, Malformed, head, take_array};
use crate::StreamId;

/// The receiver of a body permits its sender more bytes.
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
    fn updates_are_decoded_as_encoded() {
        let id = StreamId::new(7).unwrap();
        let update = WindowUpdate { id, bytes: 1 << 20 };
        assert_eq!(WindowUpdate::decode(&update.encode()[HEADER..]).unwrap(), update);
        assert!(WindowUpdate::decode(&[0; 8]).is_err());
    }
}
