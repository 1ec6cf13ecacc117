//! The socket of a client with the [`Gate`] in it: what hyper reads has passed the gate.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::errors::Code;
use crate::gate::{Gate, Passed};
use crate::head::Reject;

/// What hyper gets in place of a refused head, to have a request to answer. The service knows
/// it by [`Passed::Rejected`], never by its text: a client may send the same bytes.
const SUBSTITUTE: &[u8] = b"GET / HTTP/1.1\r\nHost: rejected\r\nConnection: close\r\n\r\n";
/// How much is read at once beside an incomplete head. Lives on the stack.
const READ_MORE: usize = 4096;
/// After an answer that ends the connection early, the client gets this long to notice and
/// close, so that the kernel does not throw our answer away with a reset (RFC 9112 section 9.6).
const LINGER: Duration = Duration::from_secs(1);
/// And this many bytes are thrown away meanwhile; more is a client that will not stop.
const LINGER_BYTES: usize = 1 << 20;

/// What the gate tells the service about the requests of one connection.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// One per head that hyper has been given, in order. Bounded by hyper's read buffer.
    passed: VecDeque<Passed>,
    body_fault: Option<Reject>,
}

impl Notes {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A plain value: still good after a panic elsewhere.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the gate says of the next request. Call it once for each.
    pub(crate) fn next(&self) -> Passed {
        // hyper has no request the gate has not let through; if it ever did, refuse it.
        self.lock().passed.pop_front().unwrap_or(Passed::Rejected(Reject {
            code: Code::BadRequest,
            what: "The request was not recognised.",
        }))
    }

    /// Why the body of the current request was cut off, if the gate did that.
    pub(crate) fn body_fault(&self) -> Option<Reject> {
        self.lock().body_fault
    }
}

/// A client's socket behind the gate.
#[derive(Debug)]
pub(crate) struct Gated<S> {
    socket: S,
    gate: Gate,
    notes: Arc<Notes>,
    /// Read and not yet passed; the first `clear` of them may pass. Empty, and without memory
    /// of its own, unless part of a head is waiting for the rest.
    held: Vec<u8>,
    clear: usize,
    stopped: Option<Stopped>,
    head_timeout: Duration,
    /// Runs while part of a head is held.
    head_timer: Option<Pin<Box<Sleep>>>,
    linger: Option<Linger>,
}

/// Why nothing is read any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stopped {
    /// A head was refused; hyper has its substitute and is left waiting.
    BadHead,
    /// A body was broken; hyper is told so.
    BadBody,
}

#[derive(Debug)]
struct Linger {
    until: Pin<Box<Sleep>>,
    bytes: usize,
}

impl<S> Gated<S> {
    /// Puts a gate in front of a socket from which `held` was read. `head_timeout` runs from the
    /// first byte of a head.
    pub(crate) fn new(socket: S, held: Vec<u8>, notes: Arc<Notes>, head_timeout: Duration) -> Self {
        Gated {
            socket,
            gate: Gate::new(),
            notes,
            held,
            clear: 0,
            stopped: None,
            head_timeout,
            head_timer: None,
            linger: None,
        }
    }

    /// The bare socket and what has been read from it beyond what passed, for a tunnel.
    pub(crate) fn into_inner(self) -> (S, Vec<u8>) {
        (self.socket, self.held)
    }

    fn inspect_held(&mut self) -> Result<usize, Reject> {
        let mut notes = self.notes.lock();
        self.gate.inspect(&self.held, |passed| notes.passed.push_back(passed))
    }

    /// Takes over the bytes hyper's buffer has from `before` on; puts back what may not pass.
    fn inspect_fresh(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> Result<usize, Reject> {
        let mut notes = self.notes.lock();
        let fresh = &buf.filled()[before..];
        let clear = self.gate.inspect(fresh, |passed| notes.passed.push_back(passed));
        let pass = *clear.as_ref().unwrap_or(&0);
        if clear.is_ok() {
            self.held.extend_from_slice(&fresh[pass..]);
        }
        buf.set_filled(before + pass);
        clear
    }

    /// Stops reading for good.
    fn stop(&mut self, reject: Reject) {
        self.head_timer = None;
        let mut notes = self.notes.lock();
        if self.gate.between_messages() {
            notes.passed.push_back(Passed::Rejected(reject));
            self.held = SUBSTITUTE.to_vec();
            self.clear = SUBSTITUTE.len();
            self.stopped = Some(Stopped::BadHead);
        } else {
            notes.body_fault = Some(reject);
            self.held = Vec::new();
            self.stopped = Some(Stopped::BadBody);
        }
    }

    /// Hands out what of the held bytes is clear.
    fn pass_held(&mut self, buf: &mut ReadBuf<'_>) {
        let n = self.clear.min(buf.remaining());
        buf.put_slice(&self.held[..n]);
        self.held.drain(..n);
        self.clear -= n;
        if self.held.is_empty() {
            self.held = Vec::new();
        }
    }
}

impl<S: AsyncRead + Unpin> Gated<S> {
    /// Reads more beside the held bytes. `false`: the client has closed.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut room = [0; READ_MORE];
        let mut more = ReadBuf::new(&mut room);
        match Pin::new(&mut self.socket).poll_read(cx, &mut more)? {
            Poll::Ready(()) => {
                self.held.extend_from_slice(more.filled());
                Poll::Ready(Ok(!more.filled().is_empty()))
            }
            Poll::Pending => {
                if self.gate.owes_head(&self.held) {
                    let limit = self.head_timeout;
                    let timer = self.head_timer.get_or_insert_with(|| Box::pin(sleep(limit)));
                    ready!(timer.as_mut().poll(cx));
                    self.stop(Reject {
                        code: Code::HeadTimeout,
                        what: "The client sent a part of a head and then stopped.",
                    });
                    return Poll::Ready(Ok(true));
                }
                Poll::Pending
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gated<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.clear > 0 {
                this.pass_held(buf);
                return Poll::Ready(Ok(()));
            }
            match this.stopped {
                // Not end of file: that would cost the request before this one its answer.
                Some(Stopped::BadHead) => return Poll::Pending,
                Some(Stopped::BadBody) => {
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
                None => {}
            }
            let clear = if this.held.is_empty() {
                let before = buf.filled().len();
                ready!(Pin::new(&mut this.socket).poll_read(cx, buf))?;
                if buf.filled().len() == before {
                    return Poll::Ready(Ok(()));
                }
                match this.inspect_fresh(buf, before) {
                    Ok(0) => continue,
                    Ok(_) => return Poll::Ready(Ok(())),
                    Err(reject) => Err(reject),
                }
            } else {
                this.inspect_held()
            };
            match clear {
                Ok(0) => {
                    if !ready!(this.poll_more(cx))? {
                        return Poll::Ready(Ok(()));
                    }
                }
                Ok(clear) => {
                    this.clear = clear;
                    this.head_timer = None;
                }
                Err(reject) => this.stop(reject),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gated<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    /// Closes our direction; when the client has not said all it had to say, also waits a
    /// moment for it to close its own.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.socket).poll_shutdown(cx))?;
        }
        if this.stopped.is_none() && this.gate.between_messages() && this.held.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let linger = this
            .linger
            .get_or_insert_with(|| Linger { until: Box::pin(sleep(LINGER)), bytes: LINGER_BYTES });
        let mut room = [0; READ_MORE];
        loop {
            if linger.bytes == 0 || linger.until.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut thrown_away = ReadBuf::new(&mut room);
            match ready!(Pin::new(&mut this.socket).poll_read(cx, &mut thrown_away)) {
                Ok(()) if !thrown_away.filled().is_empty() => {
                    linger.bytes = linger.bytes.saturating_sub(thrown_away.filled().len());
                }
                // Closed or reset: there is nobody left to wait for.
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}
