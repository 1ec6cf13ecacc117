//! Frames, one per file, each with `decode` and `encode`.

pub mod cert;
pub mod characteristics;
pub mod csr;
pub mod extensions;
pub mod head;
pub mod ping;
pub mod rst_stream;
pub mod sockets;
pub mod syn_reply;
pub mod syn_stream;
pub mod text;
pub mod window;

use bytes::Bytes;

pub use cert::{Cert, CertQuery};
pub use characteristics::{Characteristics, CharacteristicsAck};
pub use csr::{Csr, CsrReply};
pub use extensions::{Announcement, ConnectionEnded, Extensions, GoAway};
pub use head::{FLAG_FIN, FrameHead, HEADER, Kind, MAX_FRAME, MAX_PAYLOAD};
pub use ping::Ping;
pub use rst_stream::{Reason, RstStream};
pub use sockets::{SocketsCode, SocketsReply, SocketsRequest};
pub use syn_reply::{ReplyHead, SynReply};
pub use syn_stream::{RequestHead, RequestHeadBuilder, SynStream};
pub use window::WindowUpdate;

use crate::{DecodeError, StreamId};

/// A frame whose body does not have the form its type promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed frame: {0}")]
pub struct Malformed(pub &'static str);

/// A head that would not fit into one frame of [`MAX_FRAME`] bytes.
///
/// The wire has no continuation frames, so such a request or reply cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the head is larger than one frame of {MAX_FRAME} bytes")]
pub struct HeadTooLarge;

/// The fields of a head, in their order on the wire: names and values as bytes,
/// case and duplicates kept.
#[derive(Clone, Debug)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Fields over a block that has been checked by [`check_fields`].
    fn over(block: &'a [u8]) -> Self {
        Self(block)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let name = text::take(&mut self.0).ok()?;
        let value = text::take(&mut self.0).ok()?;
        Some((name, value))
    }
}

/// Validates a block of names and values once, so that [`Fields`] need not.
fn check_fields(mut block: &[u8]) -> Result<(), Malformed> {
    while !block.is_empty() {
        text::take(&mut block)?;
        text::take(&mut block)?;
    }
    Ok(())
}

/// A complete frame in the input: header and borrowed body.
#[derive(Clone, Copy, Debug)]
pub struct RawFrame<'a> {
    /// The decoded header.
    pub head: FrameHead,
    /// Exactly `head.length()` bytes.
    pub body: &'a [u8],
}

/// A control frame that belongs to no stream. The connection passes it to the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// Certificate signing request, client to gateway.
    Csr(Csr),
    /// The answer to the request, gateway to client.
    CsrReply(CsrReply),
    /// Query for the certificate, client to gateway.
    CertQuery(CertQuery),
    /// The certificate or its absence, gateway to client.
    Cert(Cert),
    /// Facts about the client, client to gateway.
    Characteristics(Characteristics),
    /// Acknowledgement that they were stored, gateway to client.
    CharacteristicsAck(CharacteristicsAck),
    /// An unknown control frame. It is never an error (wire spec 3.12).
    Unknown {
        /// Version and type.
        kind: Kind,
        /// Flags as received.
        flags: u8,
        /// Body as received, at most [`MAX_PAYLOAD`] bytes.
        body: Bytes,
    },
}

impl Control {
    /// Writes the whole frame.
    ///
    /// # Errors
    /// [`HeadTooLarge`] when the body does not fit into one frame.
    pub fn encode(&self) -> Result<Vec<u8>, HeadTooLarge> {
        match self {
            Self::Csr(frame) => frame.encode(),
            Self::CsrReply(frame) => Ok(frame.encode()),
            Self::CertQuery(frame) => frame.encode(),
            Self::Cert(frame) => frame.encode(),
            Self::Characteristics(frame) => frame.encode(),
            Self::CharacteristicsAck(frame) => Ok(frame.encode()),
            Self::Unknown { kind, flags, body } => assemble(*kind, *flags, &[body]),
        }
    }
}

/// A decoded frame. DATA borrows its payload; everything else is owned.
#[derive(Clone, Debug)]
pub enum Frame<'a> {
    /// A new stream, client to gateway.
    SynStream(SynStream),
    /// The head of the answer, gateway to client.
    SynReply(SynReply),
    /// A piece of a body.
    Data {
        /// The stream it belongs to.
        id: StreamId,
        /// Whether it is the last piece.
        fin: bool,
        /// The piece itself; may be empty.
        payload: &'a [u8],
    },
    /// Reset of a stream.
    RstStream(RstStream),
    /// A PING or its echo.
    Ping(Ping),
    /// The extensions that the peer knows or uses.
    Announcement(Announcement),
    /// A connection of the application has ended, client to gateway.
    ConnectionEnded(ConnectionEnded),
    /// The peer opens no more streams.
    GoAway(GoAway),
    /// More bytes may be sent on a stream.
    WindowUpdate(WindowUpdate),
    /// A new stream, gateway to client: a connection to one of the client's ports.
    SocketsRequest(SocketsRequest),
    /// Its answer, client to gateway.
    SocketsReply(SocketsReply),
    /// Everything that belongs to no stream.
    Control(Control),
}

impl<'a> Frame<'a> {
    /// Decodes one whole frame.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] when the body does not have the form of its type,
    /// [`DecodeError::BadHead`] when only the strings of a SYN_STREAM or SYN_REPLY are broken:
    /// then the stream's id is known and that stream alone can be reset.
    pub fn decode(raw: RawFrame<'a>) -> Result<Self, DecodeError> {
        let RawFrame { head, body } = raw;
        let (kind, flags) = match head {
            FrameHead::Data { stream, flags, .. } => {
                let id = stream.ok_or(Malformed("DATA on stream 0"))?;
                return Ok(Self::Data { id, fin: flags & FLAG_FIN != 0, payload: body });
            }
            FrameHead::Control { kind, flags, .. } => (kind, flags),
        };
        Ok(match kind {
            Kind::SYN_STREAM => Self::SynStream(SynStream::decode(flags, body)?),
            Kind::SYN_REPLY => Self::SynReply(SynReply::decode(flags, body)?),
            Kind::RST_STREAM => Self::RstStream(RstStream::decode(body)?),
            Kind::PING => Self::Ping(Ping::decode(body)?),
            Kind::CONNECTION_ENDED => Self::ConnectionEnded(ConnectionEnded::decode(body)?),
            Kind::GOAWAY => Self::GoAway(GoAway::decode(body)?),
            Kind::WINDOW_UPDATE => Self::WindowUpdate(WindowUpdate::decode(body)?),
            Kind::SOCKETS_REQUEST => Self::SocketsRequest(SocketsRequest::decode(body)?),
            Kind::SOCKETS_REPLY => Self::SocketsReply(SocketsReply::decode(body)?),
            Kind::EXTENSIONS => match Announcement::decode(body) {
                Some(frame) => Self::Announcement(frame),
                None => Self::Control(decode_control(kind, flags, body)?),
            },
            _ => Self::Control(decode_control(kind, flags, body)?),
        })
    }
}

fn decode_control(kind: Kind, flags: u8, body: &[u8]) -> Result<Control, Malformed> {
    Ok(match kind {
        Kind::CSR => Control::Csr(Csr::decode(flags, body)),
        Kind::CSR_REPLY => Control::CsrReply(CsrReply::decode(flags)),
        Kind::CERT_QUERY => Control::CertQuery(CertQuery::decode(body)?),
        Kind::CERT => Control::Cert(Cert::decode(flags, body)?),
        Kind::CHARACTERISTICS => Control::Characteristics(Characteristics::decode(body)?),
        Kind::CHARACTERISTICS_ACK => Control::CharacteristicsAck(CharacteristicsAck::decode(body)?),
        _ => Control::Unknown { kind, flags, body: Bytes::copy_from_slice(body) },
    })
}

/// A control frame from the parts of its body.
fn assemble(kind: Kind, flags: u8, parts: &[&[u8]]) -> Result<Vec<u8>, HeadTooLarge> {
    let length = parts.iter().map(|part| part.len()).sum();
    if length > MAX_PAYLOAD {
        return Err(HeadTooLarge);
    }
    let mut out = Vec::with_capacity(HEADER + length);
    out.extend_from_slice(&head::control(kind, flags, length));
    for part in parts {
        out.extend_from_slice(part);
    }
    Ok(out)
}

/// The value of a pseudo-field, if the block begins with it, and the rest. Pseudo-fields precede
/// all other fields and are sent only where both ends have announced the extension
/// (docs/protocol/extensions.md).
fn take_pseudo<'a>(block: &mut &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = *block;
    let value = (text::take(&mut rest).ok()? == name).then(|| text::take(&mut rest).ok())??;
    *block = rest;
    Some(value)
}

/// Splits fixed-size fields off the front of a body.
fn take_array<'a, const N: usize>(
    body: &'a [u8],
    what: &'static str,
) -> Result<(&'a [u8; N], &'a [u8]), Malformed> {
    body.split_first_chunk().ok_or(Malformed(what))
}
