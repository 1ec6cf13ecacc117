//! Bodies on their way: from the client into the channel, and back.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use seacat_channel::{BodyError, ReplyBody, RequestBody};

use crate::access::Record;
use crate::errors::Code;
use crate::reply::of_broken_body;

/// After an answer's last byte, how long its end (an empty DATA with FIN) may take before the
/// stream is reset all the same.
const LATE_END: Duration = Duration::from_secs(10);

/// The body is larger than [`Limits::body`](crate::Limits::body).
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the request body is larger than the limit")]
pub(crate) struct BodyTooLarge;

/// A request's body as hyper hands it out, if it has one, counted and limited; trailers are
/// dropped, the wire has none. It asks for `100-continue` by being polled.
#[derive(Debug)]
pub(crate) struct FromClient {
    incoming: Option<Incoming>,
    passed: Arc<AtomicU64>,
    limit: u64,
}

impl FromClient {
    /// `passed` counts the bytes; more than `limit` is an error.
    ///
    /// # Errors
    /// The length the client announced is over the limit.
    pub(crate) fn new(
        incoming: Incoming,
        passed: Arc<AtomicU64>,
        limit: Option<u64>,
    ) -> Result<Self, BodyTooLarge> {
        let limit = limit.unwrap_or(u64::MAX);
        if incoming.size_hint().lower() > limit {
            return Err(BodyTooLarge);
        }
        Ok(FromClient { incoming: Some(incoming), passed, limit })
    }

    /// No body, for hyper's other end.
    pub(crate) fn nothing() -> Self {
        FromClient { incoming: None, passed: Arc::default(), limit: 0 }
    }
}

impl RequestBody for FromClient {
    fn poll_chunk(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            let Some(incoming) = &mut self.incoming else {
                return Poll::Ready(None);
            };
            let Some(frame) = ready!(Pin::new(incoming).poll_frame(cx)) else {
                return Poll::Ready(None);
            };
            let Ok(data) = frame?.into_data() else {
                continue;
            };
            let length = data.len() as u64;
            let before = self.passed.fetch_add(length, Ordering::Relaxed);
            if before + length > self.limit {
                return Poll::Ready(Some(Err(BodyTooLarge.into())));
            }
            return Poll::Ready(Some(Ok(data)));
        }
    }

    fn is_ended(&self) -> bool {
        self.is_end_stream()
    }
}

/// For the direct route, where hyper is the other end too.
impl Body for FromClient {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.poll_chunk(cx).map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// Where the bytes of an answer come from.
pub(crate) enum Source {
    /// From here: our own pages and errors, or nothing at all.
    Own(Bytes),
    /// From the gateway. It owns the exchange: dropped, it resets the stream.
    Gateway(ReplyBody),
    /// From a server dialled directly.
    Direct(Incoming),
}

/// An answer's body as hyper takes it. Owns the request's [`Record`] (but not for a tunnel, which
/// goes on).
pub(crate) struct ToClient {
    source: Source,
    /// How many bytes the Content-Length still promises.
    left: Option<u64>,
    /// The source has come to its end, or has failed and said so.
    over: bool,
    record: Option<Record>,
}

impl ToClient {
    pub(crate) fn new(source: Source, length: Option<u64>, record: Record) -> Self {
        let length =
            if let Source::Own(bytes) = &source { Some(bytes.len() as u64) } else { length };
        ToClient { source, left: length, over: false, record: Some(record) }
    }

    /// An answer that has no body whatever its fields say: to HEAD, 204, 304 (RFC 9110
    /// section 6.4.1). What the source has is waited for in the background.
    pub(crate) fn empty(source: Source, record: Record) -> Self {
        finish_later(source);
        ToClient::own(Some(record))
    }

    /// The answer that opens a tunnel.
    pub(crate) fn nothing() -> Self {
        ToClient::own(None)
    }

    fn own(record: Option<Record>) -> Self {
        ToClient { source: Source::Own(Bytes::new()), left: Some(0), over: true, record }
    }

    /// Whether it has no body whatever its fields say.
    pub(crate) fn is_bodiless(&self) -> bool {
        self.over && self.left == Some(0)
    }

    /// How many bytes are to come, if that was promised.
    pub(crate) fn left(&self) -> Option<u64> {
        self.left
    }

    fn note(&mut self, change: impl FnOnce(&mut Record)) {
        if let Some(record) = &mut self.record {
            change(record);
        }
    }

    fn is_complete(&self) -> bool {
        let own = matches!(self.source, Source::Own(_));
        own || self.over || self.left == Some(0) || self.is_end_stream()
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        match &mut self.source {
            Source::Own(bytes) => {
                Poll::Ready(Some(Ok(std::mem::take(bytes))).filter(|_| self.left != Some(0)))
            }
            Source::Gateway(body) => {
                let data = ready!(body.poll_data(cx));
                if let Some(Err(error)) = &data {
                    let code = of_broken_body(error);
                    self.note(|record| record.failed(code));
                }
                Poll::Ready(data.map(|data| Ok(data?)))
            }
            Source::Direct(body) => loop {
                match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                    None => return Poll::Ready(None),
                    Some(Ok(frame)) => {
                        // Trailers are dropped here too.
                        let Ok(data) = frame.into_data() else {
                            continue;
                        };
                        return Poll::Ready(Some(Ok(data)));
                    }
                    Some(Err(error)) => {
                        self.note(|record| record.failed(Code::Lost));
                        return Poll::Ready(Some(Err(error.into())));
                    }
                }
            },
        }
    }
}

impl Body for ToClient {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(data) = ready!(self.poll_source(cx)) else {
            self.over = true;
            // An answer shorter than promised: hyper sees it too and cuts the connection.
            if self.left.is_some_and(|left| left > 0) {
                self.note(|record| record.failed(Code::BadReply));
            }
            return Poll::Ready(None);
        };
        let data = data.inspect_err(|_| self.over = true)?;
        let length = data.len() as u64;
        self.note(|record| record.down(length));
        self.left = self.left.map(|left| left.saturating_sub(length));
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Own(_) => self.left == Some(0),
            Source::Gateway(body) => body.is_ended(),
            Source::Direct(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for ToClient {
    fn drop(&mut self) {
        if self.is_complete() {
            finish_later(std::mem::replace(&mut self.source, Source::Own(Bytes::new())));
        } else {
            self.note(Record::cut_short);
        }
    }
}

/// Everything promised has come, but perhaps not the end of the stream: dropping it now would
/// send a pointless reset. (hyper lets go of a body with the last byte of its Content-Length.)
fn finish_later(source: Source) {
    if let Source::Gateway(mut body) = source
        && !body.is_ended()
    {
        tokio::spawn(async move {
            // Bytes beyond the promise are not waited for.
            let end =
                async { while matches!(body.data().await, Some(Ok(data)) if data.is_empty()) {} };
            let _ = tokio::time::timeout(LATE_END, end).await;
        });
    }
}
