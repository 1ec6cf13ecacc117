//! How connections and streams end.

use std::io;
use std::sync::Arc;

use seacat_proto::{ConnectionError, OpenError, Reason, StreamClosed};

/// How a connection ended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Closed {
    /// We ended it.
    #[error("we closed the connection")]
    Local,
    /// The peer sent close_notify.
    #[error("the peer closed the connection")]
    Peer,
    /// The peer closed TCP without close_notify.
    #[error("the connection was cut off")]
    Truncated,
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Io(Arc<io::Error>),
    /// TLS failed, or the peer sent an alert.
    #[error("TLS failed: {0}")]
    Tls(rustls::Error),
    /// The peer broke the protocol, speaks another one, or does not answer.
    #[error(transparent)]
    Protocol(#[from] ConnectionError),
}

impl From<io::Error> for Closed {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

/// Why an operation on a stream failed, or how the stream ended early.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StreamError {
    /// The peer reset it, or broke its rules.
    #[error("the stream was reset: {0}")]
    Reset(Reason),
    /// The whole connection is gone.
    #[error("the connection is gone: {0}")]
    Lost(#[source] Closed),
    /// Our own side has ended it already.
    #[error("the stream is closed")]
    Closed,
    /// The connection takes nothing new: it drains, or its stream ids are used up.
    #[error("the connection takes no new streams")]
    Draining,
    /// The limit of open streams is reached.
    #[error("too many streams are open")]
    TooManyStreams,
    /// Its reader is so far behind that the waiting bytes exceed the limits.
    #[error("the stream was given up: its reader is too far behind")]
    Stalled,
}

impl From<StreamClosed> for StreamError {
    fn from(_: StreamClosed) -> Self {
        Self::Closed
    }
}

impl From<OpenError> for StreamError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::TooManyStreams => Self::TooManyStreams,
            OpenError::Draining | OpenError::Exhausted => Self::Draining,
        }
    }
}
