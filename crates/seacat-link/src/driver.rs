//! The task that reads the socket, and writes what was not written early (see
//! `State::write_early`).

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use seacat_proto::{ConnectionError, Role};
use tokio::time::{Sleep, sleep_until, timeout};

use crate::records::{Received, Records};
use crate::shared::Shared;
use crate::{Closed, IncomingEvent};

/// Plaintext taken per poll before the driver yields. On a single-threaded runtime the streams'
/// tasks could not empty their inboxes otherwise.
const RECEIVE_BUDGET: usize = 256 * 1024;

/// Frames taken per poll: the budget in frames of 256 bytes, some hundred microseconds of work. So
/// a peer that cuts its body into single bytes does not delay the others more.
const FRAME_BUDGET: usize = 1024;

/// How long an orderly close may take (wire spec 1.3: the reference client waits 2 s too).
const GOODBYE: Duration = Duration::from_secs(2);

/// How long the peer may send nothing after we have written something, until that is reported.
/// Longer than any usual round trip, and short for a user who waits.
const SILENCE: Duration = Duration::from_secs(1);

/// Moves bytes between the socket and the streams until the connection is closed, and returns how
/// it ended. Spawn it or await it; dropping it closes the connection without close_notify.
#[must_use = "a connection makes no progress until its driver is polled"]
pub struct Driver {
    inner: Pin<Box<dyn Future<Output = Closed> + Send>>,
}

impl Driver {
    pub(crate) fn new(shared: Shared, http_answer: &'static [u8]) -> Self {
        let pump = Pump {
            _end: End(shared.clone()),
            shared,
            timer: None,
            silence: None,
            blocked_at: None,
        };
        Self { inner: Box::pin(pump.run(http_answer)) }
    }
}

impl Future for Driver {
    type Output = Closed;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Closed> {
        self.inner.as_mut().poll(cx)
    }
}

/// Closes the socket and ends every stream when the driver ends, even by being dropped.
struct End(Shared);

impl Drop for End {
    fn drop(&mut self) {
        drop(self.0.lock().records.take());
        self.0.close(Closed::Local);
    }
}

struct Pump {
    shared: Shared,
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
    /// Fires when the silence may have lasted too long. It is not reset with every frame.
    silence: Option<Pin<Box<Sleep>>>,
    /// Bytes written when the socket became full.
    blocked_at: Option<u64>,
    _end: End,
}

impl Pump {
    async fn run(mut self, http_answer: &'static [u8]) -> Closed {
        let (mut records, closed) = poll_fn(|cx| self.poll_closed(cx)).await;
        self.shared.close(closed.clone());
        say_goodbye(&mut records, &closed, http_answer).await;
        closed
    }

    /// One poll: handle input, handle timeouts, write output.
    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<(Box<Records>, Closed)> {
        let mut state = self.shared.lock();
        state.register_driver(cx);
        let Some(mut records) = state.records.take() else {
            // Unreachable: the socket is taken only by the closing handshake, after the last call
            // of this.
            return Poll::Pending;
        };
        drop(state);
        let outcome = self
            .receive(&mut records, cx)
            .and_then(|()| self.pass_time(cx))
            .and_then(|()| self.transmit(&mut records, cx));
        self.watch_silence(records.bytes_out, cx);
        let mut state = self.shared.lock();
        state.count_queued();
        state.wake_stream_waiters();
        (state.bytes_in, state.bytes_out) = (records.bytes_in, records.bytes_out);
        let drained = state.connection.is_drained() && records.is_idle();
        match outcome {
            Err(closed) => Poll::Ready((records, closed)),
            Ok(()) if state.closing || drained => Poll::Ready((records, Closed::Local)),
            Ok(()) => {
                state.records = Some(records);
                Poll::Pending
            }
        }
    }

    fn receive(&self, records: &mut Records, cx: &mut Context<'_>) -> Result<(), Closed> {
        if self.shared.lock().poll_spools(cx).is_pending() {
            return Ok(());
        }
        let mut bytes_taken = 0;
        let mut frames = FRAME_BUDGET;
        while bytes_taken < RECEIVE_BUDGET && frames > 0 {
            match records.poll_receive(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(closed)) => return Err(closed),
                Poll::Ready(Ok(Received::End { clean: true })) => return Err(Closed::Peer),
                Poll::Ready(Ok(Received::End { clean: false })) => return Err(Closed::Truncated),
                Poll::Ready(Ok(Received::Some)) => {}
            }
            let now = Instant::now();
            records.with_plaintext(|bytes| {
                let taken = self.shared.handle_input(bytes, &mut frames, now)?;
                bytes_taken += taken;
                Ok::<_, ConnectionError>(taken)
            })?;
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    fn pass_time(&mut self, cx: &mut Context<'_>) -> Result<(), Closed> {
        let mut state = self.shared.lock();
        loop {
            let Some(due) = state.connection.poll_timeout() else {
                self.timer = None;
                return Ok(());
            };
            if self.timer.as_ref().is_none_or(|(at, _)| *at != due) {
                self.timer = Some((due, Box::pin(sleep_until(due.into()))));
            }
            let Some((_, sleep)) = &mut self.timer else {
                return Ok(());
            };
            if sleep.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
            self.timer = None;
            state.connection.handle_timeout(Instant::now())?;
        }
    }

    /// Reports a peer that sends nothing although we have written to it. The timer is not reset by
    /// each frame, only when it fires: a busy connection sets one timer per second.
    fn watch_silence(&mut self, written: u64, cx: &mut Context<'_>) {
        if self.shared.role() != Role::Client {
            return;
        }
        let mut state = self.shared.lock();
        // The kernel accepts more only after the peer's kernel has acknowledged something.
        if self.blocked_at.take_if(|before| written > *before).is_some() {
            state.frame_received();
        }
        if std::mem::take(&mut state.wrote) {
            state.unanswered_since.get_or_insert_with(Instant::now);
        }
        let Some(since) = state.unanswered_since.filter(|_| state.connection.stream_count() > 0)
        else {
            return;
        };
        loop {
            let end = || Box::pin(sleep_until((since + SILENCE).into()));
            if self.silence.get_or_insert_with(end).as_mut().poll(cx).is_pending() {
                return;
            }
            self.silence = None;
            if since.elapsed() >= SILENCE {
                state.unanswered_since = None;
                return state.push_event(IncomingEvent::Unanswered);
            }
        }
    }

    fn transmit(&mut self, records: &mut Records, cx: &mut Context<'_>) -> Result<(), Closed> {
        loop {
            let more = self.shared.lock().fill(records)?;
            match records.poll_flush(cx) {
                Poll::Ready(Ok(())) if more => {}
                Poll::Ready(outcome) => return Ok(outcome?),
                Poll::Pending => {
                    self.blocked_at.get_or_insert(records.bytes_out);
                    return Ok(());
                }
            }
        }
    }
}

/// Closes TLS and TCP in order, as far as the peer cooperates.
async fn say_goodbye(records: &mut Records, closed: &Closed, http_answer: &'static [u8]) {
    let stranger = matches!(closed, Closed::Protocol(ConnectionError::HttpClient));
    if stranger && records.seal([http_answer, b""]).is_err() {
        return;
    }
    match closed {
        Closed::Truncated | Closed::Io(_) | Closed::Protocol(ConnectionError::Dead) => return,
        // After a TLS error the session has queued the alert.
        Closed::Tls(_) => {}
        _ => records.close_notify(),
    }
    let goodbye = async {
        if poll_fn(|cx| records.poll_flush(cx)).await.is_ok() {
            records.linger().await;
        }
    };
    // A timeout needs no action.
    let _ = timeout(GOODBYE, goodbye).await;
}
