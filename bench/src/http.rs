//! The HTTP/1.1 that a load generator needs: requests as bytes, responses with Content-Length.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use memchr::memmem;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::networks::Network;

/// The host of every request. Our gateway has it as `bench`; the other proxies forward it
/// unchanged.
pub(crate) const HOST: &str = "bench.seacat";
/// How long a body may stall before the transfer fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// The address of a load, and the form of its requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// The network that the load generator has to run in; `None`: the machine's own.
    pub(crate) network: Option<Network>,
    /// Absolute-form, as to a proxy; otherwise origin-form, as to a server or a byte tunnel.
    pub(crate) absolute: bool,
}

impl Target {
    /// A request's bytes; `length` is the length of the body that follows.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        keep_alive: bool,
        length: Option<u64>,
    ) -> Vec<u8> {
        let prefix = if self.absolute { format!("http://{HOST}") } else { String::new() };
        let mut text = format!(
            "{method} {prefix}{path} HTTP/1.1\r\nHost: {HOST}\r\n\
             User-Agent: seacat-bench\r\nAccept: */*\r\n"
        );
        if !keep_alive {
            text += "Connection: close\r\n";
        }
        if let Some(length) = length {
            text += &format!("Content-Length: {length}\r\n");
        }
        text += "\r\n";
        text.into_bytes()
    }
}

/// One client connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Box<[u8]>,
    filled: usize,
}

/// The head of an answer that was read.
#[derive(Clone, Copy, Debug)]
struct Head {
    status: u16,
    /// Of the head itself, with its empty line.
    size: usize,
    /// Of the body, as declared.
    length: u64,
}

impl Connection {
    /// Connects. `buffer`: bytes read at once; `receive`: the kernel's receive buffer.
    pub(crate) async fn open(
        address: SocketAddr,
        buffer: usize,
        receive: Option<u32>,
    ) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if let Some(receive) = receive {
            socket.set_recv_buffer_size(receive)?;
        }
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; buffer].into_boxed_slice(), filled: 0 })
    }

    /// Writes bytes of a request.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads a whole response and passes its body to `sink` piece by piece.
    ///
    /// # Errors
    /// The socket's error; also when the status is not 200 or there is no length.
    pub(crate) async fn receive(&mut self, sink: impl FnMut(&[u8])) -> io::Result<u64> {
        let length = self.begin().await?;
        self.rest(length, sink).await?;
        Ok(length)
    }

    /// Reads the head of an answer and returns the length of the body. Bytes of the body that were
    /// read stay in the buffer for [`Connection::rest`].
    pub(crate) async fn begin(&mut self) -> io::Result<u64> {
        let head = loop {
            if let Some(head) = parse(&self.buffer[..self.filled])? {
                break head;
            }
            if self.filled == self.buffer.len() {
                return Err(io::Error::other("a head larger than the buffer"));
            }
            let n = self.stream.read(&mut self.buffer[self.filled..]).await?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.filled += n;
        };
        if head.status != 200 {
            return Err(io::Error::other(format!("status {}", head.status)));
        }
        self.buffer.copy_within(head.size..self.filled, 0);
        self.filled -= head.size;
        Ok(head.length)
    }

    /// Reads the remaining `left` bytes of a body.
    pub(crate) async fn rest(&mut self, left: u64, mut sink: impl FnMut(&[u8])) -> io::Result<()> {
        let mut left = left;
        loop {
            if self.filled as u64 > left {
                return Err(io::Error::other("more bytes than were declared"));
            }
            sink(&self.buffer[..self.filled]);
            left -= self.filled as u64;
            self.filled = 0;
            if left == 0 {
                return Ok(());
            }
            let read = self.stream.read(&mut self.buffer);
            self.filled = match tokio::time::timeout(PATIENCE, read).await {
                Ok(Ok(0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => read?,
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            };
        }
    }
}

/// The head at the start of `bytes`, once all of it is there.
fn parse(bytes: &[u8]) -> io::Result<Option<Head>> {
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
        return Ok(None);
    };
    let wrong = || io::Error::other("not an answer with a declared length");
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| wrong())?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|s| s.parse().ok()).ok_or_else(wrong)?;
    let length = declared_length(lines).ok_or_else(wrong)?;
    let size = end + 4;
    Ok(Some(Head { status, size, length }))
}

/// The value of Content-Length among the lines of a head.
pub(crate) fn declared_length<'a>(lines: impl Iterator<Item = &'a str>) -> Option<u64> {
    field(lines, "content-length")?.parse().ok()
}

/// The first value of a field among the lines of a head.
pub(crate) fn field<'a>(mut lines: impl Iterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    lines.find_map(|line| {
        let (n, value) = line.split_once(':')?;
        n.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_head_only_when_it_is_whole() {
        let head = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 5\r\nVia: x\r\n\r\n";
        for cut in 0..head.len() {
            assert!(parse(&head[..cut]).unwrap().is_none());
        }
        let found = parse(&[head, &b"hello"[..]].concat()).unwrap().unwrap();
        assert_eq!((found.status, found.size, found.length), (200, head.len(), 5));
        assert!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn asks_proxies_and_servers_in_their_own_form() {
        let ask = |absolute| {
            let address = SocketAddr::from(([127, 0, 0, 1], 1));
            let target = Target { address, network: None, absolute };
            let bytes = target.request("GET", "/k", absolute, None);
            String::from_utf8(bytes).unwrap()
        };
        assert!(ask(true).starts_with("GET http://bench.seacat/k HTTP/1.1\r\nHost: bench.seacat"));
        assert!(ask(false).starts_with("GET /k HTTP/1.1\r\n"));
        assert!(ask(false).contains("\r\nConnection: close\r\n"));
    }
}
