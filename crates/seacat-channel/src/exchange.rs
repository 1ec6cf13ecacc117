//! One request, one reply: waiting for the channel, sending the body, sending again when that is
//! safe.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use seacat_link::{Closed, Duplex, Link, RecvHalf, SendHalf, StreamError};
use seacat_proto::{Bytes, Reason, ReplyHead, RequestHead};
use tokio::time::timeout_at;

use crate::Channel;
use crate::availability::Availability;
use crate::driver::now;
use crate::failure::Failure;
use crate::task::Task;
use crate::upload::{Body, BodyError, NoBody, RequestBody, Upload};

/// Whether a request may be sent again although the gateway may have seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Its method is idempotent (RFC 9110 section 9.2.2).
    Idempotent,
    /// It must never be processed twice.
    Never,
}

/// A reply, with its body still to come.
pub struct Reply {
    /// Status and fields.
    pub head: ReplyHead,
    /// The body. Dropped before its end, it resets the stream.
    pub body: ReplyBody,
    /// When things happened.
    pub timings: Timings,
}

/// A reply's body. While it is there, what is left of the request's body is sent; dropped before
/// its end, it resets the stream.
pub struct ReplyBody {
    recv: RecvHalf,
    /// The rest of the request's body, if it was not over when the reply came.
    _upload: Option<Task<()>>,
}

impl ReplyBody {
    /// Ready with the next piece of the body, `None` at its end.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StreamError>>> {
        self.recv.poll_data(cx)
    }

    /// Waits for the next piece of the body, `None` at its end.
    pub async fn data(&mut self) -> Option<Result<Bytes, StreamError>> {
        self.recv.data().await
    }

    /// The end has come and everything before it has been taken.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.recv.is_ended()
    }
}

/// What a request for a tunnel led to.
pub enum Tunnel {
    /// Bytes flow both ways. Dropped, the stream is reset.
    Open(ReplyHead, Duplex, Timings),
    /// The gateway answered something else.
    Refused(Reply),
}

/// When things happened to an exchange.
#[derive(Clone, Copy, Debug)]
pub struct Timings {
    /// The request was handed to the channel.
    pub arrived: Instant,
    /// There was a connection for it (the last one, if it was sent twice).
    pub sent: Instant,
    /// It was sent twice.
    pub resent: bool,
}

impl Timings {
    /// How long the request waited for a connection, a lost first attempt included.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.sent.saturating_duration_since(self.arrived)
    }
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// There was no connection within [`ChannelConfig::wait`](crate::ChannelConfig::wait), or there
    /// is none to wait for. Nothing of the request was processed, or it may safely be repeated.
    #[error("not connected to a gateway{}", because(why.as_ref()))]
    NotConnected {
        /// The last failure; `None` when the channel is off or has not failed yet.
        why: Option<Failure>,
        /// When asking again makes sense; `None` when a human must act first.
        retry_after: Option<Duration>,
    },
    /// The connection was lost when the gateway may already have processed the request.
    #[error("the connection was lost before the reply: {cause}")]
    Lost {
        /// How the connection ended.
        cause: Closed,
        /// Whether anything of the request's body was on its way.
        sent_body: bool,
    },
    /// The gateway reset the stream before it had replied.
    #[error("the gateway gave the request up: {0}")]
    Reset(Reason),
    /// As many streams are open on the connection as it may have.
    #[error("too many requests are under way")]
    Busy,
    /// The channel takes nothing new.
    #[error("the channel is shutting down")]
    Draining,
    /// The request's own body failed.
    #[error("the request's body could not be read: {0}")]
    Body(BodyError),
    /// The reply makes no sense as one.
    #[error("the gateway's reply has the status {0}, which is not one")]
    BadReply(u16),
}

fn because(why: Option<&Failure>) -> String {
    why.map(|why| format!(": {why}")).unwrap_or_default()
}

/// A stream on which the reply's head has arrived.
struct Answered {
    head: ReplyHead,
    send: SendHalf,
    recv: RecvHalf,
    timings: Timings,
}

impl Channel {
    /// Sends a request and waits for the head of its reply.
    ///
    /// Waits for a connection first, up to [`ChannelConfig::wait`](crate::ChannelConfig::wait).
    /// The body is sent while waiting for the reply, and goes on being sent when the reply has
    /// come first. A request that the gateway certainly has not processed (it refused the stream, or
    /// the connection was lost before anything of it was written) is sent again on another
    /// connection, if its body can be had again: see `upload.rs`. One that it may have processed is
    /// sent again once if `replay` allows it and nothing of its body has been taken. Dropping the
    /// future resets the stream.
    ///
    /// # Errors
    /// [`ExchangeError`].
    #[expect(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
    pub fn exchange<B: RequestBody>(
        &self,
        head: RequestHead,
        body: Option<B>,
        replay: Replay,
    ) -> impl Future<Output = Result<Reply, ExchangeError>> {
        async move {
            let mut upload = body.map(Upload::new);
            let bare = upload.is_none();
            let answered = self.attempt_all(head, bare, &mut upload, replay).await?;
            let Answered { head, send, recv, timings } = answered;
            let rest = upload.filter(|upload| !upload.over);
            let upload = rest.map(|mut rest| {
                rest.settle();
                Task::spawn(rest.finish(send))
            });
            Ok(Reply { head, body: ReplyBody { recv, _upload: upload }, timings })
        }
    }

    /// Sends a request whose stream becomes a tunnel if `ok` accepts the status of the reply
    /// (2xx for CONNECT, 101 for Upgrade).
    ///
    /// # Errors
    /// [`ExchangeError`].
    pub async fn tunnel(
        &self,
        head: RequestHead,
        ok: fn(u16) -> bool,
    ) -> Result<Tunnel, ExchangeError> {
        let no_upload = &mut None::<Upload<NoBody>>;
        let answered = self.attempt_all(head, false, no_upload, Replay::Never).await?;
        let Answered { head, mut send, recv, timings } = answered;
        if ok(head.status()) {
            return Ok(Tunnel::Open(head, Duplex::new(send, recv), timings));
        }
        // Nothing will be said on it. If the stream is over already, so much the better.
        let _ = send.finish();
        Ok(Tunnel::Refused(Reply { head, body: ReplyBody { recv, _upload: None }, timings }))
    }

    /// Reports that the application has closed the connection that requests have named by this
    /// number (docs/protocol/extensions.md). Without a connection to the gateway there is nothing to end.
    pub fn end_connection(&self, id: u32) {
        if let Availability::Open { link, .. } = &*self.availability().borrow() {
            link.end_connection(id);
        }
    }

    /// The retry rule.
    #[expect(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
    fn attempt_all<B: RequestBody>(
        &self,
        head: RequestHead,
        bare: bool,
        upload: &mut Option<Upload<B>>,
        replay: Replay,
    ) -> impl Future<Output = Result<Answered, ExchangeError>> {
        async move {
            let arrived = now();
            let mut after = 0;
            let mut tries = Tries::default();
            loop {
                let (send, mut recv, generation) =
                    self.open(&head, bare, replay, &mut after).await?;
                if bare && replay == Replay::Idempotent {
                    recv.allow_repeat();
                }
                let sent = now();
                let (send, recv, outcome) = attempt(send, recv, upload).await;
                let error = match outcome {
                    Ok(head) if !(100..=999).contains(&head.status()) => {
                        return Err(ExchangeError::BadReply(head.status()));
                    }
                    Ok(head) => {
                        self.note_denial(&head);
                        let timings = Timings { arrived, sent, resent: tries.resent() };
                        return Ok(Answered { head, send, recv, timings });
                    }
                    Err(AttemptError::Body(error)) => return Err(ExchangeError::Body(error)),
                    Err(AttemptError::Stream(error)) => error,
                };
                let body = upload.as_ref().map_or(Body::Whole, Upload::state);
                let loss = Loss::of(&error, recv.started());
                if !tries.allow(loss, body, replay) {
                    return Err(verdict(error, body != Body::Whole));
                }
                tracing::debug!(%error, "sending a request again");
                if let Some(upload) = upload {
                    upload.restart();
                }
                after = generation;
                if loss == Some(Loss::Refused) {
                    self.exhausted(generation);
                }
            }
        }
    }

    /// A stream on a connection newer than `after`. A connection that turns out to be of no use
    /// any more is skipped: nothing has been sent on it.
    #[expect(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
    fn open(
        &self,
        head: &RequestHead,
        bare: bool,
        replay: Replay,
        after: &mut u64,
    ) -> impl Future<Output = Result<(SendHalf, RecvHalf, u64), ExchangeError>> {
        async move {
            let deadline = now() + self.wait();
            loop {
                let seen = match &*self.availability().borrow() {
                    // A request in front of a pause asks for its end.
                    availability if availability.pauses() => None,
                    availability => availability.look(*after, replay, deadline),
                };
                let (link, generation) = match seen {
                    Some(seen) => seen?,
                    // Boxed: what waits for a reply is to be small, there may be thousands.
                    None => Box::pin(self.enter(*after, replay, deadline)).await?,
                };
                match link.open(head.clone(), bare) {
                    Ok((send, recv)) => return Ok((send, recv, generation)),
                    Err(StreamError::TooManyStreams) => {
                        // Boxed, as above.
                        let ready = Box::pin(timeout_at(deadline.into(), link.ready()));
                        ready.await.map_err(|_| ExchangeError::Busy)?;
                    }
                    Err(error) => {
                        tracing::debug!(%error, generation, "a connection takes nothing new");
                        *after = generation;
                        if matches!(error, StreamError::Draining) {
                            self.exhausted(generation);
                        }
                    }
                }
            }
        }
    }

    /// Waits for a connection newer than `after`.
    async fn enter(
        &self,
        after: u64,
        replay: Replay,
        deadline: Instant,
    ) -> Result<(Link, u64), ExchangeError> {
        let mut availability = self.availability().clone();
        loop {
            let seen = {
                let availability = availability.borrow_and_update();
                if availability.pauses() {
                    self.demand();
                } else if availability.is_doubtful(replay) {
                    self.doubt();
                }
                availability.look(after, replay, deadline)
            };
            if let Some(seen) = seen {
                return seen;
            }
            match timeout_at(deadline.into(), availability.changed()).await {
                Ok(Ok(())) => {}
                // The driver is gone.
                Ok(Err(_)) => return Err(ExchangeError::Draining),
                Err(_) => return Err(availability.borrow().closed()),
            }
        }
    }
}

/// What a failed attempt says about the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The gateway refused the stream, which says that it did not begin (RFC 9113 section 8.7).
    Refused,
    /// Nothing of it was written to the connection.
    Unwritten,
    /// The gateway may have processed it.
    Unknown,
}

impl Loss {
    /// `None` where another attempt would meet the same.
    pub(crate) fn of(error: &StreamError, started: bool) -> Option<Self> {
        match error {
            StreamError::Reset(Reason::REFUSED_STREAM) => Some(Self::Refused),
            StreamError::Lost(_) if !started => Some(Self::Unwritten),
            StreamError::Lost(_) => Some(Self::Unknown),
            _ => None,
        }
    }
}

/// The attempts of one request.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    unprocessed: u8,
    unknown: u8,
}

impl Tries {
    /// Connections in a row that may refuse a request. A gateway that refuses one for what it is
    /// must not cost everyone their connection again and again.
    const UNPROCESSED: u8 = 3;
    /// Attempts that the gateway may have processed, beyond the first.
    const UNKNOWN: u8 = 1;

    fn resent(&self) -> bool {
        self.unprocessed + self.unknown > 0
    }

    /// Whether the request may be sent again after this.
    pub(crate) fn allow(&mut self, loss: Option<Loss>, body: Body, replay: Replay) -> bool {
        match loss {
            Some(Loss::Refused | Loss::Unwritten) => {
                self.unprocessed += 1;
                body != Body::Gone && self.unprocessed <= Self::UNPROCESSED
            }
            Some(Loss::Unknown) => {
                self.unknown += 1;
                let repeatable = body == Body::Whole && replay == Replay::Idempotent;
                repeatable && self.unknown <= Self::UNKNOWN
            }
            None => false,
        }
    }
}

fn verdict(error: StreamError, sent_body: bool) -> ExchangeError {
    match error {
        StreamError::Reset(reason) => ExchangeError::Reset(reason),
        StreamError::Lost(cause) => ExchangeError::Lost { cause, sent_body },
        StreamError::TooManyStreams => ExchangeError::Busy,
        StreamError::Draining | StreamError::Closed | StreamError::Stalled => {
            ExchangeError::Lost { cause: Closed::Local, sent_body }
        }
    }
}

enum AttemptError {
    Body(BodyError),
    Stream(StreamError),
}

/// Sends what there is of a body until the reply's head is there.
#[expect(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
fn attempt<B: RequestBody>(
    mut send: SendHalf,
    mut recv: RecvHalf,
    upload: &mut Option<Upload<B>>,
) -> impl Future<Output = (SendHalf, RecvHalf, Result<ReplyHead, AttemptError>)> {
    async move {
        let outcome = poll_fn(|cx| {
            if let Some(upload) = upload
                && let Poll::Ready(Err(error)) = upload.poll(cx, &mut send)
            {
                return Poll::Ready(Err(AttemptError::Body(error)));
            }
            recv.poll_reply(cx).map_err(AttemptError::Stream)
        })
        .await;
        (send, recv, outcome)
    }
}
