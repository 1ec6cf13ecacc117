//! Reverse sockets: streams to a port of the client (wire spec 3.11).

use std::future::poll_fn;

use seacat_proto::SocketsCode;

use crate::{Link, RecvHalf, SendHalf, StreamError};

/// The gateway's request for a connection to a port of ours (client). Dropping it without an answer
/// resets its stream.
pub struct SocketRequest {
    /// The port, as our configuration numbers them.
    pub port: u16,
    pub(crate) send: SendHalf,
    pub(crate) recv: RecvHalf,
}

impl SocketRequest {
    /// Grants the connection.
    ///
    /// # Errors
    /// [`StreamError`] when the stream is over.
    pub fn accept(self) -> Result<(SendHalf, RecvHalf), StreamError> {
        self.send.accept()?;
        Ok((self.send, self.recv))
    }

    /// Declines the connection.
    pub fn refuse(self, code: SocketsCode) {
        self.send.refuse(code);
    }

    /// Waits until the gateway withdraws the request.
    pub async fn gone(&mut self) -> StreamError {
        self.send.gone().await
    }
}

/// Why there is no connection to the client's port.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConnectError {
    /// It has refused.
    #[error("the client refuses the connection: {0}")]
    Refused(SocketsCode),
    /// The stream ended first.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

impl Link {
    /// Requests a connection to the client's port of this number (gateway only). Dropping the
    /// future withdraws the request.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(&self, port: u16) -> Result<(SendHalf, RecvHalf), ConnectError> {
        let (send, mut recv) = self.shared.connect(port)?;
        match poll_fn(|cx| recv.poll_socket(cx)).await? {
            SocketsCode::OK => Ok((send, recv)),
            code => Err(ConnectError::Refused(code)),
        }
    }
}
