//! A client's request body on its way to a back end.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use seacat_http1_client::{Body, BoxError};
use seacat_link::{RecvHalf, StreamError};
use tokio::time::timeout;

/// A client's request body on its way to a back end. Clones are handles of the same one.
#[derive(Clone)]
pub(crate) struct Upload(Arc<Mutex<Uploading>>);

struct Uploading {
    body: RecvHalf,
    /// A piece that was read before the exchange began.
    first: Option<Bytes>,
    /// Bytes that are still expected by Content-Length.
    left: Option<u64>,
}

/// Why a request's body ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    #[error("the body is longer than its Content-Length")]
    TooLong,
    #[error("the body is shorter than its Content-Length")]
    TooShort,
    #[error(transparent)]
    Stream(#[from] StreamError),
}

impl Upload {
    /// How long FIN may take after the last byte. Then the stream is reset.
    const LATE_END: Duration = Duration::from_secs(10);

    pub(crate) fn new(body: RecvHalf, first: Option<Bytes>, length: Option<u64>) -> Self {
        Self(Arc::new(Mutex::new(Uploading { body, first, left: length })))
    }

    /// Whether the whole body has been read.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().is_end()
    }

    /// Waits for FIN after the last byte of the body, because it may come in a frame of its own.
    /// Dropping the stream earlier would reset it although the client has sent everything.
    pub(crate) async fn end(&self) {
        let end = poll_fn(|cx| self.lock().body.poll_data(cx));
        // The outcome does not matter: the exchange is complete for this client.
        let _ = timeout(Self::LATE_END, end).await;
    }

    fn lock(&self) -> MutexGuard<'_, Uploading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Uploading {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UploadError>>> {
        let piece = match self.first.take() {
            Some(first) => Some(Ok(first)),
            None => ready!(self.body.poll_data(cx)),
        };
        Poll::Ready(match (piece, &mut self.left) {
            (Some(Ok(bytes)), Some(left)) => match left.checked_sub(bytes.len() as u64) {
                Some(rest) => {
                    *left = rest;
                    Some(Ok(bytes))
                }
                None => Some(Err(UploadError::TooLong)),
            },
            (None, Some(1..)) => Some(Err(UploadError::TooShort)),
            (piece, _) => piece.map(|it| it.map_err(UploadError::Stream)),
        })
    }

    fn is_end(&self) -> bool {
        match self.left {
            Some(left) => left == 0,
            None => self.first.is_none() && self.body.is_ended(),
        }
    }
}

impl Body for Upload {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        let piece = ready!(self.lock().poll_piece(cx));
        Poll::Ready(piece.map(|piece| Ok(piece?)))
    }

    fn is_ended(&self) -> bool {
        self.is_over()
    }
}
