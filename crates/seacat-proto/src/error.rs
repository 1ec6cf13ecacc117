//! Errors by scope: of a connection (reconnect), of a stream (fail one request), of a call (fix the
//! caller).

use crate::StreamId;
use crate::frame::Malformed;

/// Why a frame could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Nothing of the frame can be trusted.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Only the strings are broken; the stream they belong to is known.
    #[error("head of stream {id}: {why}")]
    BadHead {
        /// The stream to reset.
        id: StreamId,
        /// What is wrong.
        why: Malformed,
    },
}

/// Why the whole connection has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// The peer announced a frame beyond the limit (wire spec 2.2).
    #[error("the peer sent a frame of {0} bytes, beyond the limit")]
    FrameTooLarge(usize),
    /// The peer sent a frame that cannot be one.
    #[error("the peer sent a {0}")]
    Malformed(#[from] Malformed),
    /// The first bytes are an HTTP answer: an HTTPS server, not a gateway (wire spec 7).
    #[error("the peer is an HTTPS server, not a SeaCat gateway")]
    HttpServer,
    /// The first bytes are an HTTP request: an HTTPS client, not a SeaCat client (wire spec 7).
    #[error("the peer is an HTTPS client, not a SeaCat client")]
    HttpClient,
    /// Nothing was received after two PINGs.
    #[error("the peer does not answer")]
    Dead,
    /// The peer makes us answer more than it reads.
    #[error("the peer floods us with frames that need an answer")]
    Flood,
}

/// Why a stream could not be opened. None of the request has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The configured number of streams is open.
    #[error("too many streams are open")]
    TooManyStreams,
    /// The connection accepts no new streams.
    #[error("the connection is draining")]
    Draining,
    /// All stream ids of this connection are used up; connect again (wire spec 4).
    #[error("the stream ids of this connection are used up")]
    Exhausted,
}

/// An operation on a stream that has ended, or whose own half has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream is closed")]
pub struct StreamClosed;
