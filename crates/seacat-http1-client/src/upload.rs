//! A request on its way out: its head, then its body in the framing that the head announced.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use seacat_http1::encode::{CHUNK_END, LAST_CHUNK, chunk_size};
use tokio::net::TcpStream;

use crate::error::{BoxError, Error};

/// The body of a request, handed over piece by piece as the server takes it.
pub trait Body {
    /// The next piece; `None` behind the last.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>>;

    /// Whether the last piece has certainly been handed over. The end then travels with it.
    fn is_ended(&self) -> bool {
        false
    }
}

/// For requests without a body.
#[derive(Debug)]
pub enum NoBody {}

impl Body for NoBody {
    fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        match *self {}
    }
}

/// Beyond this many bytes that wait to be written, no more of the body is asked for.
const ENOUGH: usize = 64 * 1024;
/// Pieces written in one system call.
const SLICES: usize = 16;

/// What is left of a request.
#[derive(Debug)]
pub(crate) struct Upload<B> {
    /// What is still to be asked for; `None` when all has been handed over, or is wanted no more.
    body: Option<B>,
    chunked: bool,
    queue: VecDeque<Bytes>,
    queued: usize,
    /// The server took no more.
    refused: Option<io::Error>,
}

impl<B: Body> Upload<B> {
    pub(crate) fn new(head: Bytes, body: Option<B>, chunked: bool) -> Self {
        let queued = head.len();
        Self { body, chunked, queue: VecDeque::from([head]), queued, refused: None }
    }

    /// Everything has been written.
    pub(crate) fn is_complete(&self) -> bool {
        self.body.is_none() && self.queue.is_empty() && self.refused.is_none()
    }

    /// The caller has to act: nothing is left to write, and the body has more.
    pub(crate) fn is_hungry(&self) -> bool {
        self.body.is_some() && self.queue.is_empty()
    }

    /// Why the server took no more, if it did not.
    pub(crate) fn take_refusal(&mut self) -> Option<io::Error> {
        self.refused.take()
    }

    /// Writes what is ready. Returns whether anything was written. A write error is not reported
    /// yet: the response may have been received nevertheless.
    pub(crate) fn poll(&mut self, tcp: &TcpStream, cx: &mut Context<'_>) -> Result<bool, Error> {
        let mut wrote = false;
        loop {
            self.fill(cx)?;
            if self.queue.is_empty() {
                return Ok(wrote);
            }
            match self.poll_write(tcp, cx) {
                Poll::Pending => return Ok(wrote),
                Poll::Ready(Ok(written)) => {
                    self.advance(written);
                    wrote = true;
                }
                Poll::Ready(Err(error)) => {
                    self.queue.clear();
                    self.queued = 0;
                    self.body = None;
                    self.refused = Some(error);
                    return Ok(wrote);
                }
            }
        }
    }

    fn fill(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        while self.queued < ENOUGH
            && let Some(body) = &mut self.body
        {
            let Poll::Ready(piece) = body.poll_piece(cx) else {
                return Ok(());
            };
            let over = piece.is_none() || body.is_ended();
            if let Some(piece) = piece {
                self.push_piece(piece.map_err(Error::Upload)?);
            }
            if over {
                self.body = None;
                if self.chunked {
                    self.push(Bytes::from_static(LAST_CHUNK));
                }
            }
        }
        Ok(())
    }

    fn push_piece(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        if self.chunked {
            self.push(chunk_size(piece.len()));
        }
        self.push(piece);
        if self.chunked {
            self.push(Bytes::from_static(CHUNK_END));
        }
    }

    fn push(&mut self, bytes: Bytes) {
        self.queued += bytes.len();
        self.queue.push_back(bytes);
    }

    fn poll_write(&self, tcp: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        for (slice, bytes) in slices.iter_mut().zip(&self.queue) {
            *slice = IoSlice::new(bytes);
        }
        let slices = &slices[..self.queue.len().min(SLICES)];
        loop {
            ready!(tcp.poll_write_ready(cx))?;
            match tcp.try_write_vectored(slices) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }

    fn advance(&mut self, mut written: usize) {
        self.queued -= written;
        while let Some(front) = self.queue.front_mut() {
            if written < front.len() {
                return front.advance(written);
            }
            written -= front.len();
            self.queue.pop_front();
        }
    }
}
