//! SOCKETS: the gateway requests a connection to a port of the client (wire spec 3.11).

use std::fmt;

use super::{HEADER, Kind, Malformed, take_array};
use crate::StreamId;

/// The length of either frame.
const SOCKETS: usize = HEADER + 8;

/// The gateway's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketsRequest {
    /// The stream of the connection; even from every gateway observed.
    pub id: StreamId,
    /// [`SocketsRequest::CONNECT`] is the only known command.
    pub command: u8,
    /// [`SocketsRequest::CONFIGURED_PORT`] is the only known address type.
    pub address_type: u8,
    /// The number of the configured port.
    pub port: u16,
}

impl SocketsRequest {
    /// Connect.
    pub const CONNECT: u8 = 1;
    /// "A configured port".
    pub const CONFIGURED_PORT: u8 = 0xFE;

    /// Reads a body of this type.
    ///
    /// # Errors
    /// [`Malformed`] when it is too short or names stream 0.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let (body, _) = take_array::<8>(body, "SOCKETS_REQUEST is too short")?;
        Ok(Self {
            id: stream_id(body)?,
            command: body[4],
            address_type: body[5],
            port: u16::from_be_bytes([body[6], body[7]]),
        })
    }

    /// Writes the whole frame.
    #[must_use]
    pub fn encode(&self) -> [u8; SOCKETS] {
        let rest = (self.command, self.address_type, self.port);
        encode(Kind::SOCKETS_REQUEST, self.id, rest)
    }
}

/// The client's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketsReply {
    /// The request's stream.
    pub id: StreamId,
    /// The result.
    pub code: SocketsCode,
}

/// The result of a request, in the style of SOCKS5. The wire can carry any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketsCode(pub u8);

impl SocketsCode {
    /// The connection is granted.
    pub const OK: Self = Self(0);
    /// General failure.
    pub const FAILED: Self = Self(1);
    /// That port is not configured.
    pub const NOT_CONFIGURED: Self = Self(2);
    /// That port has its maximum number of connections.
    pub const IN_USE: Self = Self(5);
    /// Command not supported.
    pub const COMMAND_UNSUPPORTED: Self = Self(7);
    /// Address type not supported.
    pub const ADDRESS_UNSUPPORTED: Self = Self(8);

    fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::OK => "ok",
            Self::FAILED => "general failure",
            Self::NOT_CONFIGURED => "port not configured",
            Self::IN_USE => "port in use",
            Self::COMMAND_UNSUPPORTED => "command not supported",
            Self::ADDRESS_UNSUPPORTED => "address type not supported",
            _ => return None,
        })
    }
}

impl fmt::Display for SocketsCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "code {}", self.0),
        }
    }
}

impl SocketsReply {
    /// The address type of every reply seen.
    const ADDRESS_TYPE: u8 = 0x01;

    /// Reads a body of this type; address type and port have no meaning.
    ///
    /// # Errors
    /// [`Malformed`] when it is too short or names stream 0.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let (body, _) = take_array::<8>(body, "SOCKETS_REPLY is too short")?;
        Ok(Self { id: stream_id(body)?, code: SocketsCode(body[4]) })
    }

    /// Writes the whole frame.
    #[must_use]
    pub fn encode(&self) -> [u8; SOCKETS] {
        encode(Kind::SOCKETS_REPLY, self.id, (self.code.0, Self::ADDRESS_TYPE, 0))
    }
}

fn stream_id(body: &[u8; 8]) -> Result<StreamId, Malformed> {
    let id = u32::from_be_bytes([body[0], body[1], body[2], body[3]]);
    StreamId::new(id).ok_or(Malformed("SOCKETS on stream 0"))
}

fn encode(kind: Kind, id: StreamId, (first, second, port): (u8, u8, u16)) -> [u8; SOCKETS] {
    let mut frame = [0; SOCKETS];
    frame[..HEADER].copy_from_slice(&super::head::control(kind, 0, SOCKETS - HEADER));
    frame[HEADER..12].copy_from_slice(&id.get().to_be_bytes());
    (frame[12], frame[13]) = (first, second);
    frame[14..].copy_from_slice(&port.to_be_bytes());
    frame
}
