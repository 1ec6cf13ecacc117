//! The body of a request, on its way into a stream.

use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
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

/// A request's body on its way into a stream.
pub(crate) struct Upload<B> {
    body: Pin<Box<B>>,
    /// A piece of the body, or its end, has been taken and cannot be had again.
    pub(crate) taken: bool,
    /// Everything is sent, or the gateway wants no more of it.
    pub(crate) over: bool,
}

impl<B: RequestBody> Upload<B> {
    pub(crate) fn new(body: B) -> Self {
        Self { body: Box::pin(body), taken: false, over: false }
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
            let chunk = ready!(self.body.as_mut().poll_chunk(cx));
            self.taken = true;
            let ended = chunk.is_none() || self.body.is_ended();
            let mut sent = match chunk {
                Some(chunk) => send.send(chunk?),
                None => Ok(()),
            };
            if ended {
                sent = sent.and_then(|()| send.finish());
            }
            self.over = ended || sent.is_err();
        }
        Poll::Ready(Ok(()))
    }

    /// Sends the rest. A body that fails resets the stream.
    pub(crate) async fn finish(mut self, mut send: SendHalf) {
        if let Err(error) = poll_fn(|cx| self.poll(cx, &mut send)).await {
            tracing::debug!(%error, "a request's body failed after the reply had come");
        }
    }

    /// Ready for another stream; only of use while nothing has been taken.
    pub(crate) fn restart(&mut self) {
        self.over = false;
    }
}
