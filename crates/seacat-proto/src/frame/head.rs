//! The eight bytes in front of every frame (wire spec 2.1).

use crate::StreamId;

/// Bytes in a frame header.
pub const HEADER: usize = 8;

/// The largest frame either side may send, header included (wire spec 2.2).
/// It is also exactly the largest TLS record.
pub const MAX_FRAME: usize = 16_384;

/// The largest frame body.
pub const MAX_PAYLOAD: usize = MAX_FRAME - HEADER;

/// FIN: the sender ends its half of the stream with this frame.
pub const FLAG_FIN: u8 = 0x01;

/// The kind of a control frame: its 15-bit version and its 16-bit type. A type number is defined
/// within its version.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kind {
    /// Version with the control bit, for example `0x80A1`.
    pub version: u16,
    /// Type within that version.
    pub number: u16,
}

impl Kind {
    /// SPDY/3 RST_STREAM (wire spec 3.4).
    pub const RST_STREAM: Self = Self::new(0x8003, 3);
    /// SPDY/3 PING (wire spec 3.5).
    pub const PING: Self = Self::new(0x8003, 6);
    /// SPDY/3 GOAWAY, used only when both ends have announced it by [`Kind::EXTENSIONS`].
    pub const GOAWAY: Self = Self::new(0x8003, 7);
    /// SPDY/3 WINDOW_UPDATE, used only when both ends have announced windows.
    pub const WINDOW_UPDATE: Self = Self::new(0x8003, 9);
    /// Our announcement of extensions. Its ALX1 type is unknown to all published layers, because
    /// the reference client was observed to ignore those (wire spec 3.12, golden `misc.json`).
    pub const EXTENSIONS: Self = Self::new(0x80A1, 0x58);
    /// The end of an application's connection, used only when both ends have announced it.
    pub const CONNECTION_ENDED: Self = Self::new(0x80A1, 0x59);
    /// ALX1 SYN_STREAM (wire spec 3.1).
    pub const SYN_STREAM: Self = Self::new(0x80A1, 1);
    /// ALX1 SYN_REPLY (wire spec 3.2).
    pub const SYN_REPLY: Self = Self::new(0x80A1, 2);
    /// ALX1 CSR (wire spec 3.7).
    pub const CSR: Self = Self::new(0x80A1, 0xC1);
    /// ALX1 CERT_QUERY (wire spec 3.9).
    pub const CERT_QUERY: Self = Self::new(0x80A1, 0xC2);
    /// ALX1 CERT (wire spec 3.10).
    pub const CERT: Self = Self::new(0x80A1, 0xC3);
    /// ALX1 CSR_REPLY (wire spec 3.8).
    pub const CSR_REPLY: Self = Self::new(0x80A1, 0xC4);
    /// SOCKETS request for a reverse connection (wire spec 3.11).
    pub const SOCKETS_REQUEST: Self = Self::new(0x80B2, 1);
    /// SOCKETS reply (wire spec 3.11).
    pub const SOCKETS_REPLY: Self = Self::new(0x80B2, 2);
    /// TELEMETRY CHARACTERISTICS (wire spec 3.6).
    pub const CHARACTERISTICS: Self = Self::new(0x80B5, 2);
    /// TELEMETRY acknowledgement of CHARACTERISTICS (wire spec 3.6).
    pub const CHARACTERISTICS_ACK: Self = Self::new(0x80B5, 3);

    /// A kind by its two numbers.
    #[must_use]
    pub const fn new(version: u16, number: u16) -> Self {
        Self { version, number }
    }
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#06X}/{:#x}", self.version, self.number)
    }
}

/// A decoded frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameHead {
    /// A control frame.
    Control {
        /// Version and type.
        kind: Kind,
        /// Flag bits; unknown ones are ignored.
        flags: u8,
        /// Bytes of body that follow.
        length: usize,
    },
    /// A DATA frame.
    Data {
        /// The stream, or `None` for the illegal stream 0.
        stream: Option<StreamId>,
        /// Flag bits.
        flags: u8,
        /// Bytes of payload that follow.
        length: usize,
    },
}

impl FrameHead {
    /// Reads a header. Every eight bytes are one, so this cannot fail.
    #[must_use]
    pub fn decode(bytes: [u8; HEADER]) -> Self {
        let first = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let flags = bytes[4];
        let length = u32::from_be_bytes([0, bytes[5], bytes[6], bytes[7]]) as usize;
        if bytes[0] & 0x80 == 0 {
            return Self::Data { stream: StreamId::new(first), flags, length };
        }
        let version = u16::from_be_bytes([bytes[0], bytes[1]]);
        let number = u16::from_be_bytes([bytes[2], bytes[3]]);
        Self::Control { kind: Kind::new(version, number), flags, length }
    }

    /// Bytes of body that follow the header.
    #[must_use]
    pub fn length(&self) -> usize {
        match *self {
            Self::Control { length, .. } | Self::Data { length, .. } => length,
        }
    }
}

/// The header of a control frame with `length` bytes of body.
///
/// `length` is at most [`MAX_PAYLOAD`]; every caller's own bound guarantees it.
#[must_use]
pub fn control(kind: Kind, flags: u8, length: usize) -> [u8; HEADER] {
    debug_assert!(length <= MAX_PAYLOAD);
    let [v0, v1] = kind.version.to_be_bytes();
    let [t0, t1] = kind.number.to_be_bytes();
    let [_, l0, l1, l2] = (length as u32).to_be_bytes();
    [v0, v1, t0, t1, flags, l0, l1, l2]
}

/// The header of a DATA frame with `length` bytes of payload, at most [`MAX_PAYLOAD`].
#[must_use]
pub fn data(stream: StreamId, fin: bool, length: usize) -> [u8; HEADER] {
    debug_assert!(length <= MAX_PAYLOAD);
    let [i0, i1, i2, i3] = stream.get().to_be_bytes();
    let [_, l0, l1, l2] = (length as u32).to_be_bytes();
    [i0, i1, i2, i3, if fin { FLAG_FIN } else { 0 }, l0, l1, l2]
}
