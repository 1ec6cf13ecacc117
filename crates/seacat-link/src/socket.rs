//! Reverse sockets: streams to a port of the client (wire spec 3.11).

use std::future::poll_fn;

use seacat_proto::SocketsCode;

use crate::{Link, RecvHalf, SendHalf, StreamError};

/// A connection to a port of ours that the gateway asks for (client). Dropped without an answer,
/// its stream is reset.
pub struct SocketRequest {
    /// The port, as our configuration numbers them.
    pub port: u16,
    pub(crate) send: SendHalf,
    pub(crate) recv: RecvHalf,
}

impl SocketRequest {
    /// Lets the bytes run.
    ///
    /// # Errors
    /// [`StreamError`] when the stream is over.
    pub fn accept(self) -> Result<(SendHalf, RecvHalf), StreamError> {
        self.send.accept()?;
        Ok((self.send, self.recv))
    }

    /// Says why there will be no connection.
    pub fn refuse(self, code: SocketsCode) {
        self.send.refuse(code);
    }

    /// Waits until the gateway has lost interest.
    pub async fn gone(&mut self) -> StreamError {
        self.send.gone().await
    }
}

/// Why the client gives us no connection to its port.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConnectError {
    /// It said so.
    #[error("the client refuses the connection: {0}")]
    Refused(SocketsCode),
    /// The stream ended first.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

impl Link {
    /// Asks the client for a connection to its port of this number (gateway only). Dropping the
    /// future takes the wish back.
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
