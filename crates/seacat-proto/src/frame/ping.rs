//! PING: a liveness check, echoed by the other side (wire spec 3.5).

use super::{HEADER, Kind, Malformed, head, take_array};

/// The frame. A client's ids are odd, a gateway's even; the receiver of the other's id sends the
/// same frame back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// The id to echo.
    pub id: u32,
}

impl Ping {
    const LENGTH: usize = 4;

    /// Reads a body of this type; bytes behind the id are ignored.
    ///
    /// # Errors
    /// [`Malformed`] when it is too short.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let (id, _) = take_array::<{ Self::LENGTH }>(body, "PING is too short")?;
        Ok(Self { id: u32::from_be_bytes(*id) })
    }

    /// Writes the whole frame.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER + Self::LENGTH] {
        let mut out = [0; HEADER + Self::LENGTH];
        out[..8].copy_from_slice(&head::control(Kind::PING, 0, Self::LENGTH));
        out[8..].copy_from_slice(&self.id.to_be_bytes());
        out
    }
}
