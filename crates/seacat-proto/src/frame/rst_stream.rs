//! RST_STREAM: reset of a stream (wire spec 3.4).
//!
//! ```text
//! u32 stream id   u32 status
//! ```

use std::fmt;

use super::{HEADER, Kind, Malformed, head, take_array};
use crate::StreamId;

/// Why a stream was reset. Any number is accepted; the names are those of SPDY/3 and ALX1.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reason(pub u32);

impl Reason {
    /// The peer violated the protocol on a stream.
    pub const PROTOCOL_ERROR: Self = Self(1);
    /// A frame for a stream that does not exist.
    pub const INVALID_STREAM: Self = Self(2);
    /// The stream was refused before any of it was processed.
    pub const REFUSED_STREAM: Self = Self(3);
    /// SPDY/3 only.
    pub const UNSUPPORTED_VERSION: Self = Self(4);
    /// The sender no longer wants the stream.
    pub const CANCEL: Self = Self(5);
    /// The sender failed.
    pub const INTERNAL_ERROR: Self = Self(6);
    /// SPDY/3 only.
    pub const FLOW_CONTROL_ERROR: Self = Self(7);
    /// SPDY/3 only.
    pub const STREAM_IN_USE: Self = Self(8);
    /// DATA after the sender had ended its half.
    pub const STREAM_ALREADY_CLOSED: Self = Self(9);
    /// SPDY/3 only.
    pub const FRAME_TOO_LARGE: Self = Self(11);
    /// The gateway could not reach the back end in time (ALX1).
    pub const CONNECTION_TIMEOUT: Self = Self(71);
    /// The back end did not answer in time (ALX1).
    pub const RESPONSE_TIMEOUT: Self = Self(72);

    fn name(self) -> &'static str {
        match self {
            Self::PROTOCOL_ERROR => "protocol error",
            Self::INVALID_STREAM => "invalid stream",
            Self::REFUSED_STREAM => "refused stream",
            Self::UNSUPPORTED_VERSION => "unsupported version",
            Self::CANCEL => "cancel",
            Self::INTERNAL_ERROR => "internal error",
            Self::FLOW_CONTROL_ERROR => "flow control error",
            Self::STREAM_IN_USE => "stream in use",
            Self::STREAM_ALREADY_CLOSED => "stream already closed",
            Self::FRAME_TOO_LARGE => "frame too large",
            Self::CONNECTION_TIMEOUT => "connection timeout",
            Self::RESPONSE_TIMEOUT => "response timeout",
            _ => "unknown",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RstStream {
    /// The stream that ends.
    pub id: StreamId,
    /// Why.
    pub reason: Reason,
}

impl RstStream {
    const LENGTH: usize = 8;

    /// Reads a body of this type; bytes behind the known ones are ignored.
    ///
    /// # Errors
    /// [`Malformed`] when it is too short or names stream 0.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let (body, _) = take_array::<{ Self::LENGTH }>(body, "RST_STREAM is too short")?;
        let id = u32::from_be_bytes([body[0], body[1], body[2], body[3]]);
        let reason = Reason(u32::from_be_bytes([body[4], body[5], body[6], body[7]]));
        let id = StreamId::new(id).ok_or(Malformed("RST_STREAM on stream 0"))?;
        Ok(Self { id, reason })
    }

    /// Writes the whole frame.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER + Self::LENGTH] {
        let mut out = [0; HEADER + Self::LENGTH];
        out[..8].copy_from_slice(&head::control(Kind::RST_STREAM, 0, Self::LENGTH));
        out[8..12].copy_from_slice(&self.id.get().to_be_bytes());
        out[12..].copy_from_slice(&self.reason.0.to_be_bytes());
        out
    }
}
