//! SOCKETS: the gateway asks the client for a connection to a local port (wire spec 3.11).

use super::{Kind, Malformed, take_array};
use crate::StreamId;

/// The gateway's wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketsRequest {
    /// The stream the bytes will use; even from every gateway seen.
    pub id: StreamId,
    /// [`SocketsRequest::CONNECT`] is the only known command.
    pub command: u8,
    /// [`SocketsRequest::CONFIGURED_PORT`] is the only known address type.
    pub address_type: u8,
    /// The configured port that is meant.
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
    pub fn encode(&self) -> Vec<u8> {
        let rest = (self.command, self.address_type, self.port);
        encode(Kind::SOCKETS_REQUEST, self.id, rest)
    }
}

/// The client's answer, with codes in the style of SOCKS5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketsReply {
    /// The request's stream.
    pub id: StreamId,
    /// One of the constants.
    pub code: u8,
}

impl SocketsReply {
    /// The local connect has begun.
    pub const OK: u8 = 0;
    /// General failure.
    pub const FAILED: u8 = 1;
    /// That port is not configured.
    pub const NOT_CONFIGURED: u8 = 2;
    /// That port already has its connection.
    pub const IN_USE: u8 = 5;
    /// Command not supported.
    pub const COMMAND_UNSUPPORTED: u8 = 7;
    /// Address type not supported.
    pub const ADDRESS_UNSUPPORTED: u8 = 8;
    /// The address type of every reply seen.
    const ADDRESS_TYPE: u8 = 0x01;

    /// Reads a body of this type; address type and port carry nothing.
    ///
    /// # Errors
    /// [`Malformed`] when it is too short or names stream 0.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let (body, _) = take_array::<8>(body, "SOCKETS_REPLY is too short")?;
        Ok(Self { id: stream_id(body)?, code: body[4] })
    }

    /// Writes the whole frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(Kind::SOCKETS_REPLY, self.id, (self.code, Self::ADDRESS_TYPE, 0))
    }
}

fn stream_id(body: &[u8; 8]) -> Result<StreamId, Malformed> {
    let id = u32::from_be_bytes([body[0], body[1], body[2], body[3]]);
    StreamId::new(id).ok_or(Malformed("SOCKETS on stream 0"))
}

fn encode(kind: Kind, id: StreamId, (first, second, port): (u8, u8, u16)) -> Vec<u8> {
    let head = super::head::control(kind, 0, 8);
    [&head[..], &id.get().to_be_bytes(), &[first, second], &port.to_be_bytes()].concat()
}
