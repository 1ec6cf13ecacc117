//! A request's body on its way from the client into the channel.
//!
//! The body reads the client's socket, so that nothing is read before the gateway has room for
//! it. It has borrowed the reading side from the connection, which takes it back.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use seacat_channel::{BodyError, RequestBody};
use seacat_http1::{BodyDecoder, Decoded, Framing, RequestHead, expects_continue};
use seacat_http1_client::InactivityTimer;
use seacat_proto::MAX_PAYLOAD;
use tokio::io::AsyncReadExt as _;
use tokio::net::tcp::OwnedReadHalf;

use crate::config::Limits;

/// Bytes read at once from a client that sends a lot: whole frames, and enough to keep a fast local
/// client busy.
const READ: usize = 4 * MAX_PAYLOAD;
/// With less space than this a new buffer is allocated; until then small reads share one.
const LEAST: usize = 4096;

/// The body is larger than [`Limits::body`](crate::Limits::body).
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the request body is larger than the limit")]
pub(crate) struct BodyTooLarge;

/// The client sent nothing for [`Limits::body_pause`], in the middle of its body.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the client stopped in the middle of the request body")]
pub(crate) struct BodyStalled;

/// The connection has taken its reading side back: nothing waits for the body any more.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the response is over before the request")]
struct TakenBack;

/// The reading side of a connection while a body has it.
pub(crate) struct Lent(Mutex<State>);

struct State {
    half: Option<OwnedReadHalf>,
    buffer: BytesMut,
    decoder: BodyDecoder,
    expectation: Expectation,
    /// The connection's task, which waits for the end of the body, or for the body to be wanted.
    waiter: Option<Waker>,
}

/// `Expect: 100-continue`, from the head to the interim response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expectation {
    None,
    /// The client waits.
    Waiting,
    /// The body is needed, and 100 (Continue) has to be sent.
    Wanted,
}

impl Lent {
    pub(crate) fn new(
        half: OwnedReadHalf,
        buffer: BytesMut,
        decoder: BodyDecoder,
        request: &RequestHead,
    ) -> Self {
        // A client that has sent some of its body does not wait.
        let waits = buffer.is_empty() && expects_continue(request.version, &request.fields);
        let expectation = if waits { Expectation::Waiting } else { Expectation::None };
        let half = Some(half);
        Lent(Mutex::new(State { half, buffer, decoder, expectation, waiter: None }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A plain value: still good after a panic elsewhere.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the reading side back, with what was read beyond the body.
    pub(crate) fn take(&self) -> Option<(OwnedReadHalf, BytesMut)> {
        let mut state = self.lock();
        let half = state.half.take()?;
        Some((half, std::mem::take(&mut state.buffer)))
    }

    /// Where the body stands.
    pub(crate) fn decoder(&self) -> BodyDecoder {
        self.lock().decoder.clone()
    }

    /// Ready when the whole body has been read.
    pub(crate) fn poll_ended(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.decoder.is_ended() {
            return Poll::Ready(());
        }
        match &mut state.waiter {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    pub(crate) fn takes_continue(&self) -> bool {
        let mut state = self.lock();
        let wanted = state.expectation == Expectation::Wanted;
        if wanted {
            state.expectation = Expectation::None;
        }
        wanted
    }

    pub(crate) fn waits_for_continue(&self) -> bool {
        self.lock().expectation != Expectation::None
    }
}

impl State {
    fn wake(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            match self.decoder.decode(&mut self.buffer)? {
                Decoded::Data(data) => return Poll::Ready(Some(Ok(data))),
                Decoded::End => return Poll::Ready(None),
                Decoded::More => {}
            }
            if self.expectation == Expectation::Waiting {
                self.expectation = Expectation::Wanted;
                self.wake();
            }
            let Some(half) = &mut self.half else {
                return Poll::Ready(Some(Err(TakenBack.into())));
            };
            if self.buffer.capacity() - self.buffer.len() < LEAST {
                self.buffer.reserve(READ);
            }
            if ready!(pin!(half.read_buf(&mut self.buffer)).poll(cx))? == 0 {
                self.decoder.finish()?;
            }
        }
    }
}

/// A request's body, counted and limited. Trailers are dropped, the wire has none. It asks for
/// `100-continue` by being polled.
pub(crate) struct ClientBody {
    lent: Arc<Lent>,
    length: Option<u64>,
    limit: u64,
    passed: Arc<AtomicU64>,
    /// How long the client may send nothing although something was wanted of it.
    pause_limit: Duration,
    pause: InactivityTimer<()>,
}

impl ClientBody {
    pub(crate) fn new(lent: Arc<Lent>, framing: Framing) -> Self {
        let length = if let Framing::Length(length) = framing { Some(length) } else { None };
        ClientBody {
            lent,
            length,
            limit: u64::MAX,
            passed: Arc::default(),
            pause_limit: Limits::BODY_PAUSE,
            pause: InactivityTimer::default(),
        }
    }

    /// The same, counted by `passed`; what exceeds the limits is an error.
    ///
    /// # Errors
    /// The length the client announced is over the limit.
    pub(crate) fn limited(
        self,
        passed: Arc<AtomicU64>,
        limits: &Limits,
    ) -> Result<Self, BodyTooLarge> {
        let limit = limits.body.unwrap_or(u64::MAX);
        if self.length.is_some_and(|length| length > limit) {
            return Err(BodyTooLarge);
        }
        Ok(ClientBody { passed, limit, pause_limit: limits.body_pause, ..self })
    }
}

impl RequestBody for ClientBody {
    fn poll_chunk(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        let mut state = self.lent.lock();
        let piece = state.poll_piece(cx);
        if state.decoder.is_ended() {
            state.wake();
        }
        drop(state);
        let Poll::Ready(piece) = piece else {
            let limit = self.pause_limit;
            ready!(self.pause.poll(cx, (), limit));
            return Poll::Ready(Some(Err(BodyStalled.into())));
        };
        self.pause.restart();
        let Some(Ok(data)) = piece else { return Poll::Ready(piece) };
        let length = data.len() as u64;
        let before = self.passed.fetch_add(length, Ordering::Relaxed);
        if before + length > self.limit {
            return Poll::Ready(Some(Err(BodyTooLarge.into())));
        }
        Poll::Ready(Some(Ok(data)))
    }

    fn is_ended(&self) -> bool {
        self.lent.lock().decoder.is_ended()
    }
}
