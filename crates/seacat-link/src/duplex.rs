//! A stream as a socket: for tunnels.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use seacat_proto::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::tunnel::tunnel_counted;
use crate::{Carried, RecvHalf, SendHalf, StreamError, TunnelError};

/// Both halves of a stream as one [`AsyncRead`] and [`AsyncWrite`].
///
/// Shutting it down is FIN; dropping it before both ends is RST_STREAM.
pub struct Duplex {
    send: SendHalf,
    recv: RecvHalf,
    /// The part of the last frame that did not fit into the reader's buffer.
    rest: Bytes,
    finished: bool,
}

impl Duplex {
    /// Joins the halves of one stream, after its head has been answered.
    #[must_use]
    pub fn new(send: SendHalf, recv: RecvHalf) -> Self {
        Self { send, recv, rest: Bytes::new(), finished: false }
    }

    /// Forwards bytes between the stream and a socket until both directions have ended. `early`:
    /// bytes of the socket that were read already.
    ///
    /// # Errors
    /// [`TunnelError`]; the socket is closed in any case, with a reset if the stream ended early.
    pub async fn carry(
        mut self,
        tcp: TcpStream,
        early: Bytes,
        carried: &Carried,
    ) -> Result<(), TunnelError> {
        tunnel_counted(tcp, early, &mut self.send, self.recv, carried).await
    }
}

impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> Self {
        Self::new(io::ErrorKind::ConnectionReset, error)
    }
}

impl AsyncRead for Duplex {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            match ready!(self.recv.poll_data(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(bytes) => self.rest = bytes?,
            }
        }
        let count = buf.remaining().min(self.rest.len());
        buf.put_slice(&self.rest.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.send.poll_ready(cx))?;
        self.send.send(Bytes::copy_from_slice(buf))?;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.finished, true) {
            self.send.finish()?;
        }
        Poll::Ready(Ok(()))
    }
}
