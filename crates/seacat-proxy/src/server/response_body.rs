//! A response's body on its way from the channel or a server to the client.

use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use seacat_channel::{BodyError, ReplyBody};

use crate::access::Record;
use crate::errors::Code;
use crate::fault::of_broken_body;
use crate::forward::direct::DirectExchange;

/// After a response's last byte, how long its end (an empty DATA with FIN) may take before the
/// stream is reset all the same.
const LATE_END: Duration = Duration::from_secs(10);

/// The source of a response's bytes.
pub(crate) enum Source {
    /// From here: our own pages and errors, or nothing at all.
    Own(Bytes),
    /// From the gateway. It owns the exchange: dropped, it resets the stream.
    Gateway(ReplyBody),
    /// From a server dialled directly.
    Direct(Box<DirectExchange>),
}

/// A response's body. Owns the request's [`Record`].
pub(crate) struct ResponseBody {
    source: Source,
    /// How many bytes the Content-Length still promises.
    left: Option<u64>,
    /// The source has ended or failed.
    over: bool,
    record: Option<Record>,
}

impl ResponseBody {
    pub(crate) fn new(source: Source, length: Option<u64>, record: Record) -> Self {
        let length =
            if let Source::Own(bytes) = &source { Some(bytes.len() as u64) } else { length };
        ResponseBody { source, left: length, over: false, record: Some(record) }
    }

    /// A response that has no body whatever its fields say: to HEAD, 204, 304 (RFC 9110
    /// section 6.4.1). What the source has is waited for in the background.
    pub(crate) fn empty(source: Source, record: Record) -> Self {
        finish_later(source);
        let record = Some(record);
        ResponseBody { source: Source::Own(Bytes::new()), left: Some(0), over: true, record }
    }

    /// Whether it has no body whatever its fields say.
    pub(crate) fn is_bodiless(&self) -> bool {
        self.over && self.left == Some(0)
    }

    /// The remaining length, if there is a Content-Length.
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
        own || self.over || self.left == Some(0) || self.is_source_ended()
    }

    /// The next piece; `None` at the end.
    pub(crate) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        let Some(data) = ready!(self.poll_source(cx)) else {
            self.over = true;
            // Shorter than promised: the writer sees it too and cuts the connection.
            if self.left.is_some_and(|left| left > 0) {
                self.note(|record| record.failed(Code::BadReply));
            }
            return Poll::Ready(None);
        };
        let data = data.inspect_err(|_| self.over = true)?;
        let length = data.len() as u64;
        self.note(|record| record.down(length));
        self.left = self.left.map(|left| left.saturating_sub(length));
        Poll::Ready(Some(Ok(data)))
    }

    fn is_source_ended(&self) -> bool {
        match &self.source {
            Source::Own(_) => self.left == Some(0),
            Source::Gateway(body) => body.is_ended(),
            Source::Direct(exchange) => exchange.is_ended(),
        }
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
            Source::Direct(exchange) => {
                let data = ready!(pin!(exchange.data()).poll(cx));
                if let Some(Err(_)) = &data {
                    self.note(|record| record.failed(Code::DirectLost));
                }
                Poll::Ready(data.map(|data| Ok(data?)))
            }
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if self.is_complete() {
            finish_later(std::mem::replace(&mut self.source, Source::Own(Bytes::new())));
        } else {
            self.note(Record::cut_short);
        }
    }
}

/// Waits for FIN after all bytes of the Content-Length: dropping the stream now would send a
/// needless reset. (A body is dropped with the last byte of its Content-Length.)
fn finish_later(source: Source) {
    if let Source::Gateway(mut body) = source
        && !body.is_ended()
    {
        tokio::spawn(async move {
            // Bytes beyond the Content-Length are not awaited.
            let end =
                async { while matches!(body.data().await, Some(Ok(data)) if data.is_empty()) {} };
            let _ = tokio::time::timeout(LATE_END, end).await;
        });
    }
}
