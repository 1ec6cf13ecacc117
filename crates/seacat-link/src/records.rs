//! Conversion of frames to TLS records, and the socket.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use crate::{Closed, Session};

/// Ciphertext read at once: four full records. rustls itself would read 4 KiB at a time.
const READ_BUFFER: usize = 64 * 1024;

/// Ciphertext that may wait for the socket. More would only delay small frames behind it; less
/// would cost more writes.
const WRITE_BATCH: usize = 64 * 1024;

/// Unsent bytes that the kernel may buffer. An urgent frame cannot overtake bytes in the kernel, so
/// a longer queue there would only add delay.
const UNSENT: u32 = 64 * 1024;

/// A TLS session and its non-blocking socket.
pub(crate) struct Records {
    tcp: TcpStream,
    session: Session,
    /// Ciphertext that was read and not yet decrypted: `input[start..end]`.
    input: Box<[u8]>,
    start: usize,
    end: usize,
    /// The handshake may have read beyond its end: check before waiting for the socket.
    fresh: bool,
    /// Plaintext is left that has not been taken.
    untaken: bool,
    /// The peer's close_notify was received, perhaps together with its last frames.
    goodbye: bool,
    /// Plaintext sealed since the socket last accepted everything.
    sealed: usize,
    /// The error of an early write, for the next [`Records::poll_flush`].
    failed: Option<io::Error>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

/// The result of reading.
pub(crate) enum Received {
    /// Plaintext may be ready: take it with [`Records::with_plaintext`].
    Some,
    /// The peer has closed its half; `clean`: with close_notify.
    End { clean: bool },
}

impl Records {
    pub(crate) fn new(tcp: TcpStream, session: Session) -> Self {
        let input = vec![0; READ_BUFFER].into_boxed_slice();
        limit_unsent(&tcp);
        let_freed_memory_stay();
        Self {
            tcp,
            session,
            input,
            start: 0,
            end: 0,
            fresh: true,
            untaken: false,
            goodbye: false,
            sealed: 0,
            failed: None,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// Decrypts buffered input, or reads from the socket once if there is none.
    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, Closed>> {
        if self.untaken {
            return Poll::Ready(Ok(Received::Some));
        }
        if !std::mem::take(&mut self.fresh) && self.start == self.end {
            if self.goodbye {
                return Poll::Ready(Ok(Received::End { clean: true }));
            }
            match ready!(self.poll_fill(cx))? {
                0 => return Poll::Ready(Ok(Received::End { clean: false })),
                count => self.bytes_in += count as u64,
            }
        }
        let mut pending = &self.input[self.start..self.end];
        self.goodbye = self.session.receive(&mut pending)?;
        self.start = self.end - pending.len();
        Poll::Ready(Ok(Received::Some))
    }

    /// Reads once. tokio's `poll_read` treats a short read as the end of readiness, which saves a
    /// second read.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(&mut self.input);
        ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut buffer))?;
        let count = buffer.filled().len();
        (self.start, self.end) = (0, count);
        if self.session.is_compat() {
            acknowledge_now(&self.tcp);
        }
        Poll::Ready(Ok(count))
    }

    /// Passes the plaintext that is ready to `take`, in place, until that takes less than it was
    /// given.
    pub(crate) fn with_plaintext<E>(
        &mut self,
        take: impl FnMut(&[u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        self.untaken = self.session.with_plaintext(take)?;
        Ok(())
    }

    /// Whether another frame may be sealed before the socket accepts more.
    pub(crate) fn has_capacity(&self) -> bool {
        self.sealed < WRITE_BATCH
    }

    /// Whether everything sealed has been written.
    pub(crate) fn is_idle(&self) -> bool {
        !self.session.wants_write()
    }

    /// Seals one frame as one record.
    pub(crate) fn seal(&mut self, parts: [&[u8]; 2]) -> io::Result<()> {
        self.session.seal(parts)?;
        self.sealed += parts[0].len() + parts[1].len();
        Ok(())
    }

    /// Writes what is sealed. Pending when the socket is full; then it wakes `cx`.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let written = self.failed.take().map_or_else(|| self.write(), Err);
            match written {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.tcp.poll_write_ready(cx))?;
                }
                written => return Poll::Ready(written),
            }
        }
    }

    /// Writes what the socket accepts now, unless `sealed` or an earlier write failed. An error is
    /// returned by the next [`Records::poll_flush`].
    pub(crate) fn flush_now(&mut self, sealed: io::Result<()>) {
        let failed = sealed.err().or(self.failed.take());
        self.failed = failed.or_else(|| self.write().err());
    }

    fn write(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            self.bytes_out += self.session.write_to(&self.tcp)? as u64;
        }
        self.sealed = 0;
        Ok(())
    }

    /// Queues close_notify behind what is sealed.
    pub(crate) fn close_notify(&mut self) {
        self.session.close_notify();
    }

    /// After close_notify: reads and discards until the peer has closed too, so that a reset does
    /// not destroy our last bytes.
    pub(crate) async fn linger(&mut self) {
        let _ = self.tcp.shutdown().await;
        while let Ok(count) = std::future::poll_fn(|cx| self.poll_fill(cx)).await {
            if count == 0 {
                break;
            }
        }
    }
}

/// Bodies are allocated and freed frame by frame, and glibc gives memory back to the system as soon as
/// 128 KiB are free, only to fetch it again page by page: 118 000 page faults for a GiB. It keeps
/// twice what it has seen freed in one piece, so it is shown one; nothing of it is ever touched.
fn let_freed_memory_stay() {
    const PIECE: usize = 1024 * 1024;
    drop(std::hint::black_box(Vec::<u8>::with_capacity(PIECE)));
}

/// Sends the acknowledgement of what was read without delay. Peers of the reference era do not set
/// TCP_NODELAY: the second frame of an upload waits for it, 40 ms each time (measured). The kernel
/// forgets this after a while.
fn acknowledge_now(tcp: &TcpStream) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    // Only some delay is lost if this cannot be set.
    let _ = socket2::SockRef::from(tcp).set_tcp_quickack(true);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = tcp;
}

/// Limits the kernel's queue of unsent bytes, where the system supports it: elsewhere it is as long
/// as the send buffer.
fn limit_unsent(tcp: &TcpStream) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    // Without it only latency is worse.
    let _ = socket2::SockRef::from(tcp).set_tcp_notsent_lowat(UNSENT);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (tcp, UNSENT);
}
