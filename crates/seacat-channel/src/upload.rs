//! The body of a request, on its way into a stream.

use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use seacat_link::SendHalf;
use seacat_proto::Bytes;

/// Why a request's own body could not be read to its end.
pub type BodyError = Box<dyn Error + Send + Sync>;

/// A request's body, handed over piece by piece as the gateway takes it.
pub trait RequestBody: Send + 'static {
    /// The next piece; `None` when it was the last.
    fn poll_chunk(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>>;

    /// Whether nothing more is certain to come. The end of a body that knows it travels with its last
    /// piece, and not behind it.
    fn is_ended(&self) -> bool {
        false
    }
}

/// For requests without a body.
pub enum NoBody {}

impl RequestBody for NoBody {
    fn poll_chunk(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        match *self {}
    }
}

/// What of a body is kept until the reply comes, so that a request that was refused can be sent
/// again: what a fresh stream's window lets through before the gateway has agreed to anything
/// (docs/extensions.md), and what may wait in the stream's own queue.
const KEPT: usize = 128 * 1024;

/// The same for all requests together, whatever the number of channels: enough for a hundred uploads.
/// Beyond it, a body that was begun cannot be sent again.
const KEPT_IN_ALL: usize = 16 * 1024 * 1024;

/// The bytes that are kept now.
static KEPT_NOW: AtomicUsize = AtomicUsize::new(0);

/// How much of a body there is, for another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// Nothing of it has been taken.
    Whole,
    /// It has been begun, and all of that is kept.
    Kept,
    /// Some of it cannot be had again.
    Gone,
}

/// A request's body on its way into a stream.
pub(crate) struct Upload<B> {
    body: Pin<Box<B>>,
    state: Body,
    /// What has been taken of the body.
    kept: Kept,
    /// How many of the kept pieces this attempt has sent.
    sent: usize,
    /// The body has ended.
    ended: bool,
    /// Everything is sent, or the gateway wants no more of it.
    pub(crate) over: bool,
}

/// Pieces of a body, counted in [`KEPT_NOW`].
#[derive(Default)]
struct Kept {
    pieces: Vec<Bytes>,
    bytes: usize,
}

impl Kept {
    /// Keeps a piece if there is room for it.
    fn push(&mut self, piece: &Bytes) -> bool {
        let all = KEPT_NOW.fetch_add(piece.len(), Ordering::Relaxed) + piece.len();
        self.bytes += piece.len();
        if self.bytes > KEPT || all > KEPT_IN_ALL {
            self.clear();
            return false;
        }
        self.pieces.push(piece.clone());
        true
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        KEPT_NOW.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl<B: RequestBody> Upload<B> {
    pub(crate) fn new(body: B) -> Self {
        Self {
            body: Box::pin(body),
            state: Body::Whole,
            kept: Kept::default(),
            sent: 0,
            ended: false,
            over: false,
        }
    }

    /// What another attempt can be made with.
    pub(crate) fn state(&self) -> Body {
        self.state
    }

    /// Sends as long as there is room in the stream and something in the body. An error is the
    /// body's: a stream that is over ends the upload, and its other half tells why.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        send: &mut SendHalf,
    ) -> Poll<Result<(), BodyError>> {
        while !self.over {
            if ready!(send.poll_ready(cx)).is_err() {
                self.over = true;
                break;
            }
            let chunk = ready!(self.poll_chunk(cx))?;
            let mut sent = chunk.map_or(Ok(()), |chunk| send.send(chunk));
            let ended = self.ended && self.sent == self.kept.pieces.len();
            if ended {
                sent = sent.and_then(|()| send.finish());
            }
            self.over = ended || sent.is_err();
        }
        Poll::Ready(Ok(()))
    }

    /// The next piece for this attempt: a kept one, or one of the body.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        if let Some(piece) = self.kept.pieces.get(self.sent) {
            self.sent += 1;
            return Poll::Ready(Ok(Some(piece.clone())));
        }
        if self.ended {
            return Poll::Ready(Ok(None));
        }
        let chunk = ready!(self.body.as_mut().poll_chunk(cx)).transpose()?;
        self.ended = chunk.is_none() || self.body.is_ended();
        if self.state == Body::Whole {
            self.state = Body::Kept;
        }
        if let (Body::Kept, Some(piece)) = (self.state, &chunk) {
            if self.kept.push(piece) {
                self.sent += 1;
            } else {
                self.state = Body::Gone;
                self.sent = 0;
            }
        }
        Poll::Ready(Ok(chunk))
    }

    /// The gateway has answered: there will be no other attempt, and what has been sent is not
    /// needed any more.
    pub(crate) fn settle(&mut self) {
        if self.sent == self.kept.pieces.len() {
            self.state = Body::Gone;
            self.kept.clear();
            self.sent = 0;
        }
    }

    /// Sends the rest. A body that fails resets the stream.
    pub(crate) async fn finish(mut self, mut send: SendHalf) {
        if let Err(error) = poll_fn(|cx| self.poll(cx, &mut send)).await {
            tracing::debug!(%error, "a request's body failed after the reply had come");
        }
    }

    /// Ready for another stream; only of use while nothing is gone.
    pub(crate) fn restart(&mut self) {
        self.sent = 0;
        self.over = false;
    }
}
