//! A socket and what was read from it beyond the last message.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::net::TcpStream;

use crate::timer::{InactivityTimer, Party};

/// Read at a time at first: a response of an ordinary page.
const FIRST_READ: usize = 8 * 1024;
/// Read at a time from a server that has much to say: eight frames of SeaCat, so that none of
/// them is a rest.
const LARGEST_READ: usize = 8 * 16_376;

/// A connection between two exchanges.
#[derive(Debug)]
pub struct Connection {
    pub(crate) tcp: TcpStream,
    pub(crate) input: BytesMut,
    pub(crate) timer: InactivityTimer<Party>,
    read: usize,
}

impl Connection {
    /// A connection on a fresh socket.
    #[must_use]
    pub fn new(tcp: TcpStream) -> Self {
        Self { tcp, input: BytesMut::new(), timer: InactivityTimer::default(), read: FIRST_READ }
    }

    /// Whether the server, as far as it is known without waiting, has kept the connection open
    /// and silent since the last response.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let silent = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
        self.input.is_empty() && self.tcp.try_read(&mut [0]).is_err_and(silent)
    }

    /// The socket, and what was read beyond the last head: after a switch of protocols.
    #[must_use]
    pub fn into_parts(self) -> (TcpStream, Bytes) {
        (self.tcp, self.input.freeze())
    }

    /// An idle connection has no buffer.
    pub(crate) fn rest(&mut self) {
        self.input = BytesMut::new();
        self.read = FIRST_READ;
    }

    /// Reads more; 0 at the connection's end.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.tcp.poll_read_ready(cx))?;
            if self.input.capacity() - self.input.len() < self.read / 2 {
                self.input.reserve(self.read);
            }
            let room = self.input.capacity() - self.input.len();
            match self.tcp.try_read_buf(&mut self.input) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(length) => {
                    if length == room {
                        self.read = LARGEST_READ.min(self.read * 4);
                    }
                    return Poll::Ready(Ok(length));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}
