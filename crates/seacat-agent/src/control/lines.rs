//! Lines of JSON with a limit on their length. They may hold a password or a key, so nothing of them stays in memory.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::{Zeroize as _, Zeroizing};

use super::{Envelope, VERSION, Version};

/// The longest line. A status is below 4 KiB; a request line carries a path of up to 16 KiB, which
/// JSON may write as six characters a byte.
pub(super) const MAX_LINE: usize = 128 * 1024;

/// What most lines fit in.
const FIRST_BUFFER: usize = 1024;

/// A stream of lines in both directions.
#[derive(Debug)]
pub(super) struct Lines<S> {
    stream: S,
    /// What has been read and not taken yet, and room for more.
    buffer: Zeroizing<Vec<u8>>,
    filled: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Lines<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, buffer: Zeroizing::default(), filled: 0 }
    }

    /// Reads one line; `None` at the end of the stream.
    pub(super) async fn read<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let mut searched = 0;
        loop {
            let unread = &self.buffer[..self.filled];
            if let Some(at) = unread[searched..].iter().position(|&byte| byte == b'\n') {
                let length = searched + at + 1;
                let understood = parse(&unread[..length]);
                self.wipe(length);
                return understood.map(Some);
            }
            searched = self.filled;
            if searched == MAX_LINE {
                return Err(invalid("a line is too long"));
            }
            if self.fill().await? == 0 {
                return if searched == 0 { Ok(None) } else { Err(invalid("a line is cut off")) };
            }
        }
    }

    /// Resolves when the other side has closed its end; whatever it says meanwhile is an error.
    pub(super) async fn left(&mut self) -> io::Result<()> {
        if self.filled == 0 && self.fill().await? == 0 {
            return Ok(());
        }
        Err(invalid("a watching client only listens"))
    }

    /// Reads once into the buffer; how much. Nothing is lost when it is given up.
    async fn fill(&mut self) -> io::Result<usize> {
        if self.filled == self.buffer.len() {
            let length = (2 * self.filled).clamp(FIRST_BUFFER, MAX_LINE);
            enlarge(&mut self.buffer, length);
            self.buffer.resize(length, 0);
        }
        let read = self.stream.read(&mut self.buffer[self.filled..]).await?;
        self.filled += read;
        Ok(read)
    }

    /// Takes the first bytes out of the buffer.
    fn wipe(&mut self, length: usize) {
        self.buffer.copy_within(length..self.filled, 0);
        self.buffer[self.filled - length..self.filled].zeroize();
        self.filled -= length;
    }

    /// Writes one line.
    pub(super) async fn write(&mut self, body: &impl Serialize) -> io::Result<()> {
        let mut line = Line::default();
        serde_json::to_writer(&mut line, &Envelope { v: VERSION, body })?;
        io::Write::write_all(&mut line, b"\n")?;
        self.stream.write_all(&line.0).await?;
        self.stream.flush().await
    }
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> io::Result<T> {
    let Version { v } = serde_json::from_slice(line).map_err(|e| invalid(&e.to_string()))?;
    if v != VERSION {
        return Err(invalid(&format!(
            "the other side speaks version {v} of the control protocol, this one version {VERSION}: \
             restart the older program"
        )));
    }
    let envelope: Envelope<T> =
        serde_json::from_slice(line).map_err(|e| invalid(&e.to_string()))?;
    Ok(envelope.body)
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// A line that is being written.
#[derive(Default)]
struct Line(Zeroizing<Vec<u8>>);

impl io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            enlarge(&mut self.0, needed.next_power_of_two().max(FIRST_BUFFER));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes room for so many bytes. A vector that grows by itself leaves its old place as it is.
fn enlarge(buffer: &mut Zeroizing<Vec<u8>>, capacity: usize) {
    let mut larger = Zeroizing::new(Vec::with_capacity(capacity));
    larger.extend_from_slice(buffer);
    *buffer = larger;
}
