//! The state shared by the driver and the handles of one connection, under one lock.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::io;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use seacat_proto::{
    Bytes, Connection, ConnectionError, Event, OpenError, Reason, ReplyHead, RequestHead, Role,
    SocketsCode, StreamId, StreamMap,
};

use crate::budget::Share;
use crate::inbox::{Held, Inbox};
use crate::records::Records;
use crate::{
    Closed, IncomingEvent, RecvHalf, Request, SendHalf, SocketRequest, StreamError, Throttle,
};

/// Control frames that may wait for the program to take them.
const EVENT_LIMIT: usize = 256;

/// Flush without waiting for the driver once this many control frames are queued: a quarter of the
/// open streams, clamped to this range. On one thread the driver is polled after all ready tasks,
/// so requests would be sent in one batch, and each end would be idle while the other processes it
/// (docs/performance-diary.md). Not on a connection with a long round trip, where one packet more
/// may cost a round trip.
const BUNCH: RangeInclusive<usize> = 4..=8;

/// Frames after which their events are dispatched, so that the event queue is short for any frame
/// size.
const EVENT_BATCH: usize = 64;

/// Memory of a connection beside its streams: 64 KiB to read into, TLS, and its task. 100 KB were
/// measured for an idle one.
const CONNECTION_COST: u64 = 96 * 1024;

/// Memory of a request at a gateway, beside its bodies: its task, and the buffers of its back-end
/// connection. 5 KB were measured for a waiting one.
const REQUEST_COST: u64 = 8 * 1024;

/// Copies of a head in memory while it is served: as received, as fields of the other protocol, and
/// as sent. 50 KB were measured for a head of 15 KiB.
const HEAD_COPIES: u64 = 3;

static STALLED: Throttle = Throttle::new();
static REFUSED: Throttle = Throttle::new();

/// The handles' view of one stream.
#[derive(Default)]
pub(crate) struct Slot {
    /// The response's head, until it is taken.
    pub(crate) reply: Option<ReplyHead>,
    /// The client's answer to our SOCKETS_REQUEST, until it is taken.
    pub(crate) socket: Option<SocketsCode>,
    pub(crate) inbox: Inbox,
    /// The peer's half has ended; the inbox may still hold bytes.
    pub(crate) ended: bool,
    /// The stream ended early.
    pub(crate) error: Option<StreamError>,
    /// Its SYN_STREAM has been handed to the socket.
    pub(crate) started: bool,
    /// Its request may be sent again elsewhere.
    pub(crate) repeatable: bool,
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
    /// Memory that it is charged for beside its inbox.
    cost: u64,
    /// Halves that are still held.
    halves: u8,
}

impl Slot {
    fn new() -> Self {
        Self { halves: 2, ..Self::default() }
    }

    fn wake(&mut self) {
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }
}

/// The shared state.
pub(crate) struct State {
    pub(crate) connection: Connection,
    /// The socket, present between two polls of the driver.
    pub(crate) records: Option<Box<Records>>,
    pub(crate) slots: StreamMap<Slot>,
    held: Held,
    /// What was last charged for [`Connection::queued`].
    queued: u64,
    /// A stream for which so much waits for the disk that nothing more is read meanwhile.
    behind: Option<StreamId>,
    pub(crate) events: VecDeque<IncomingEvent>,
    pub(crate) event_reader: Option<Waker>,
    /// Callers that wait for the stream limit, longest first.
    pub(crate) stream_waiters: VecDeque<Waker>,
    /// Whether [`Incoming`](crate::Incoming) is still held.
    pub(crate) events_wanted: bool,
    driver: Option<Waker>,
    /// The next frame is to be reported with [`IncomingEvent::FrameReceived`].
    pub(crate) reports_frame: bool,
    /// A frame of a stream has been written since the driver last looked.
    pub(crate) wrote: bool,
    /// Since when something that we wrote is unanswered.
    pub(crate) unanswered_since: Option<Instant>,
    /// A close was requested.
    pub(crate) closing: bool,
    pub(crate) closed: Option<Closed>,
    pub(crate) rtt: Option<Duration>,
    pub(crate) last_pong: Option<Instant>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

/// A counted reference to the state.
#[derive(Clone)]
pub(crate) struct Shared {
    role: Role,
    state: Arc<Mutex<State>>,
}

impl Shared {
    pub(crate) fn new(role: Role, connection: Connection, records: Records, share: Share) -> Self {
        let mut held = Held::new(share);
        held.memory.add(CONNECTION_COST);
        let state = State {
            connection,
            records: Some(Box::new(records)),
            slots: StreamMap::default(),
            held,
            queued: 0,
            behind: None,
            events: VecDeque::new(),
            event_reader: None,
            stream_waiters: VecDeque::new(),
            events_wanted: true,
            driver: None,
            reports_frame: role == Role::Client,
            wrote: false,
            unanswered_since: None,
            closing: false,
            closed: None,
            rtt: None,
            last_pong: None,
            bytes_in: 0,
            bytes_out: 0,
        };
        Self { role, state: Arc::new(Mutex::new(state)) }
    }

    /// No code panics in the middle of a change under the lock, so the state of a poisoned lock is
    /// consistent.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Opens a stream with a request and hands out its two halves.
    pub(crate) fn open(
        &self,
        head: RequestHead,
        end: bool,
    ) -> Result<(SendHalf, RecvHalf), StreamError> {
        self.open_with(end, |connection| connection.open(head, end))
    }

    /// Opens a stream to a port of the client.
    pub(crate) fn connect(&self, port: u16) -> Result<(SendHalf, RecvHalf), StreamError> {
        self.open_with(false, |connection| connection.connect(port))
    }

    fn open_with(
        &self,
        end: bool,
        open: impl FnOnce(&mut Connection) -> Result<StreamId, OpenError>,
    ) -> Result<(SendHalf, RecvHalf), StreamError> {
        let mut state = self.lock();
        if let Some(closed) = &state.closed {
            return Err(StreamError::Lost(closed.clone()));
        }
        let id = match open(&mut state.connection) {
            Ok(id) => id,
            Err(error) => {
                if error == OpenError::Exhausted {
                    // Open streams may finish; then the channel reconnects.
                    state.connection.drain();
                    state.wake_driver();
                }
                return Err(error.into());
            }
        };
        state.slots.insert(id, Slot::new());
        state.wake_driver();
        state.write_early();
        drop(state);
        Ok((SendHalf::new(self.clone(), id, end), RecvHalf::new(self.clone(), id)))
    }

    /// Processes input, at most `frames` frames, and dispatches the events. Returns how many bytes
    /// were taken; `frames` is reduced by the frames found.
    pub(crate) fn handle_input(
        &self,
        bytes: &[u8],
        frames: &mut usize,
        now: Instant,
    ) -> Result<usize, ConnectionError> {
        let mut state = self.lock();
        let before = state.connection.last_frame();
        let mut taken = 0;
        while taken < bytes.len() && *frames > 0 {
            let mut batch = EVENT_BATCH.min(*frames);
            *frames -= batch;
            let outcome = state.connection.handle_frames(&bytes[taken..], &mut batch, now);
            *frames += batch;
            while let Some(event) = state.connection.poll_event() {
                self.dispatch(&mut state, event, now);
            }
            taken += outcome?;
            if state.behind.is_some() {
                *frames = 0;
            }
        }
        if state.connection.last_frame() != before {
            state.frame_received();
        }
        if state.events.len() > state.connection.max_streams() + EVENT_LIMIT {
            return Err(ConnectionError::Flood);
        }
        Ok(taken)
    }

    fn dispatch(&self, state: &mut State, event: Event, now: Instant) {
        match event {
            Event::Data { id, bytes, end } => state.receive(id, bytes, end),
            Event::Reply { id, head, end } => {
                let Some(slot) = state.slots.get_mut(&id) else {
                    return;
                };
                slot.cost += head.size() as u64;
                state.held.memory.add(head.size() as u64);
                slot.reply = Some(head);
                slot.ended |= end;
                slot.reader.take().into_iter().for_each(Waker::wake);
            }
            Event::Reset { id, reason } => {
                if let Some(slot) = state.slots.get_mut(&id) {
                    slot.error.get_or_insert(StreamError::Reset(reason));
                    slot.wake();
                }
            }
            Event::Request { id, head, end } => self.accept(state, id, head, end),
            Event::SocketsRequest { id, port } => self.ask(state, id, port),
            Event::SocketsReply { id, code } => {
                let Some(slot) = state.slots.get_mut(&id) else {
                    return;
                };
                slot.socket = Some(code);
                if code != SocketsCode::OK {
                    slot.error.get_or_insert(StreamError::Closed);
                }
                slot.wake();
            }
            Event::Control(control) => state.push_event(IncomingEvent::Control(control)),
            Event::ConnectionEnded { id } => {
                state.push_event(IncomingEvent::ConnectionEnded { id });
            }
            Event::GoAway => state.push_event(IncomingEvent::GoAway),
            Event::Pong { rtt } => {
                (state.rtt, state.last_pong) = (Some(rtt), Some(now));
                state.push_event(IncomingEvent::Pong { rtt });
            }
        }
    }

    fn accept(&self, state: &mut State, id: StreamId, head: RequestHead, end: bool) {
        // `Incoming` may be dropped, or handles of the id's previous stream may still be held.
        if !state.events_wanted || state.slots.contains_key(&id) {
            return state.connection.reset(id, Reason::REFUSED_STREAM);
        }
        let cost = REQUEST_COST + HEAD_COPIES * head.size() as u64;
        if !state.held.memory.try_add(cost) {
            if let Some(more) = REFUSED.pass() {
                let used = state.held.memory.used();
                tracing::warn!(%id, used, more, "refused a request: its client uses its share of memory");
            }
            return state.connection.reset(id, Reason::REFUSED_STREAM);
        }
        state.slots.insert(id, Slot { ended: end, started: true, cost, ..Slot::new() });
        let reply = SendHalf::new(self.clone(), id, false);
        let body = RecvHalf::new(self.clone(), id);
        state.push_event(IncomingEvent::Request(Request { head, end, reply, body }));
    }

    /// Passes on the gateway's SOCKETS_REQUEST.
    fn ask(&self, state: &mut State, id: StreamId, port: u16) {
        if !state.events_wanted || state.slots.contains_key(&id) {
            return state.connection.refuse(id, SocketsCode::FAILED);
        }
        state.slots.insert(id, Slot { started: true, ..Slot::new() });
        let send = SendHalf::new(self.clone(), id, false);
        let recv = RecvHalf::new(self.clone(), id);
        state.push_event(IncomingEvent::Socket(SocketRequest { port, send, recv }));
    }

    /// See [`Link::abandon`](crate::Link::abandon).
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        let State { connection, slots, .. } = &mut *state;
        for (id, slot) in slots {
            let waits = slot.reply.is_none() && slot.error.is_none() && !slot.ended;
            if waits && (slot.repeatable || !slot.started) {
                connection.reset(*id, Reason::CANCEL);
                let silent = Closed::Protocol(ConnectionError::Dead);
                slot.error = Some(StreamError::Lost(silent));
                slot.wake();
            }
        }
        state.wake_driver();
    }

    /// Ends everything: every stream fails and every waiter is woken.
    pub(crate) fn close(&self, closed: Closed) {
        let mut state = self.lock();
        if state.closed.is_some() {
            return;
        }
        for slot in state.slots.values_mut() {
            // A stream that was received to its end stays readable.
            if !slot.ended {
                slot.error.get_or_insert(StreamError::Lost(closed.clone()));
            }
            slot.wake();
        }
        state.closed = Some(closed);
        let reader = state.event_reader.take();
        state.stream_waiters.drain(..).for_each(Waker::wake);
        // Requests that were not taken end with their connection. Dropping their halves locks
        // again.
        let untaken = std::mem::take(&mut state.events);
        drop(state);
        drop(untaken);
        reader.into_iter().for_each(Waker::wake);
    }
}

impl State {
    pub(crate) fn wake_driver(&mut self) {
        self.driver.take().into_iter().for_each(Waker::wake);
    }

    /// Wakes as many callers as streams may be opened.
    pub(crate) fn wake_stream_waiters(&mut self) {
        let free = self.connection.free_streams().min(self.stream_waiters.len());
        self.stream_waiters.drain(..free).for_each(Waker::wake);
    }

    pub(crate) fn register_driver(&mut self, cx: &Context<'_>) {
        register(&mut self.driver, cx);
    }

    /// Seals frames while there is space, and wakes the streams whose frames were sealed. Returns
    /// whether there may be more.
    pub(crate) fn fill(&mut self, records: &mut Records) -> io::Result<bool> {
        while records.has_capacity() {
            let Some(frame) = self.connection.poll_transmit() else {
                return Ok(false);
            };
            records.seal(frame.parts())?;
            let Some(slot) = frame.stream.and_then(|id| self.slots.get_mut(&id)) else {
                continue;
            };
            slot.started = true;
            self.wrote = true;
            slot.writer.take().into_iter().for_each(Waker::wake);
        }
        Ok(true)
    }

    /// Writes without the driver if enough heads are queued for the peer to start with. The driver
    /// has been woken and continues from here.
    pub(crate) fn write_early(&mut self) {
        let bunch = (self.connection.stream_count() / 4).clamp(*BUNCH.start(), *BUNCH.end());
        if self.connection.heads_waiting() < bunch || !self.connection.is_near() {
            return;
        }
        if let Some(mut records) = self.records.take() {
            let filled = self.fill(&mut records).map(drop);
            records.flush_now(filled);
            self.records = Some(records);
        }
    }

    /// A frame was received: the peer is reachable.
    pub(crate) fn frame_received(&mut self) {
        self.wrote = false;
        self.unanswered_since = None;
        if std::mem::take(&mut self.reports_frame) {
            self.push_event(IncomingEvent::FrameReceived);
        }
    }

    pub(crate) fn push_event(&mut self, event: IncomingEvent) {
        if self.events_wanted {
            self.events.push_back(event);
            self.event_reader.take().into_iter().for_each(Waker::wake);
        }
    }

    /// Whether a stream can still be written to.
    pub(crate) fn check(&self, id: StreamId) -> Result<(), StreamError> {
        let slot = self.slots.get(&id).ok_or(StreamError::Closed)?;
        match (&slot.error, &self.closed) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(closed)) => Err(StreamError::Lost(closed.clone())),
            (None, None) => Ok(()),
        }
    }

    /// Resets a stream at the request of its handle. What was received to its end stays readable.
    pub(crate) fn give_up(&mut self, id: StreamId, reason: Reason) {
        self.connection.reset(id, reason);
        if let Some(slot) = self.slots.get_mut(&id).filter(|slot| !slot.ended) {
            slot.error.get_or_insert(StreamError::Closed);
            slot.wake();
        }
    }

    /// Declines a reverse socket.
    pub(crate) fn refuse(&mut self, id: StreamId, code: SocketsCode) {
        self.connection.refuse(id, code);
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.error.get_or_insert(StreamError::Closed);
        }
        self.wake_driver();
    }

    fn receive(&mut self, id: StreamId, bytes: Bytes, end: bool) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        if let Err(bytes) = slot.inbox.push(bytes, &mut self.held) {
            if self.give_up_larger(id) {
                return self.receive(id, bytes, end);
            }
            return self.give_up_stalled(id, &io::ErrorKind::QuotaExceeded.into());
        }
        slot.ended |= end;
        if slot.inbox.is_behind() {
            self.behind = Some(id);
        }
        slot.reader.take().into_iter().for_each(Waker::wake);
    }

    /// Ready with the next piece of a body, `None` when there is none now.
    pub(crate) fn poll_data(&mut self, id: StreamId, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(slot) = self.slots.get_mut(&id) else {
            return Poll::Ready(None);
        };
        match slot.inbox.poll_pop(cx, &mut self.held) {
            Poll::Pending => {
                // The driver may be the task that finds the disk ready.
                register(&mut slot.reader, cx);
                Poll::Pending
            }
            Poll::Ready(Ok(bytes)) => {
                if self.behind == Some(id) {
                    self.wake_driver();
                }
                let Some(bytes) = bytes else {
                    return Poll::Ready(None);
                };
                if self.connection.taken(id, bytes.len()) {
                    self.wake_driver();
                }
                Poll::Ready(Some(bytes))
            }
            Poll::Ready(Err(error)) => {
                self.give_up_stalled(id, &error);
                Poll::Ready(None)
            }
        }
    }

    /// Ready when no stream's disk is behind.
    pub(crate) fn poll_spools(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(id) = self.behind else {
            return Poll::Ready(());
        };
        if let Some(slot) = self.slots.get_mut(&id) {
            let caught_up = ready!(slot.inbox.poll_caught_up(cx));
            slot.reader.take().into_iter().for_each(Waker::wake);
            if let Err(error) = caught_up {
                self.give_up_stalled(id, &error);
            }
        }
        self.behind = None;
        Poll::Ready(())
    }

    /// Charges the queues. A client whose share is used up gets one piece per stream at a time from
    /// here on.
    pub(crate) fn count_queued(&mut self) {
        let queued = self.connection.queued() as u64;
        let before = std::mem::replace(&mut self.queued, queued);
        let fits = self.held.memory.replace(before, queued);
        let limit = if fits { Connection::SEND_QUEUES } else { 0 };
        self.connection.limit_queued(limit);
    }

    /// When there is no space for one stream's bytes, resets the stream of the connection that uses
    /// most, if that is another.
    fn give_up_larger(&mut self, id: StreamId) -> bool {
        let own = self.slots.get(&id).map_or(0, |slot| slot.inbox.bytes());
        let largest = self.slots.iter().max_by_key(|(_, slot)| slot.inbox.bytes());
        let Some((&largest, slot)) = largest else {
            return false;
        };
        let larger = slot.inbox.bytes() > own;
        if larger {
            self.give_up_stalled(largest, &io::ErrorKind::QuotaExceeded.into());
        }
        larger
    }

    /// Resets a stream whose waiting bytes exceed the limits. Other streams are not affected.
    fn give_up_stalled(&mut self, id: StreamId, error: &io::Error) {
        if let Some(more) = STALLED.pass() {
            tracing::warn!(%id, %error, more, "gave up a stream whose reader is too far behind");
        }
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.inbox.clear(&mut self.held);
            slot.ended = false;
            slot.error = Some(StreamError::Stalled);
        }
        self.give_up(id, Reason::CANCEL);
        self.wake_driver();
    }

    /// The receiving half was dropped.
    pub(crate) fn drop_reader(&mut self, id: StreamId) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.inbox.clear(&mut self.held);
        }
        if self.behind == Some(id) {
            // The job that would have woken it is no longer awaited.
            self.wake_driver();
        }
        self.drop_half(id);
    }

    /// One half was dropped.
    pub(crate) fn drop_half(&mut self, id: StreamId) {
        if let Entry::Occupied(mut slot) = self.slots.entry(id) {
            slot.get_mut().halves -= 1;
            if slot.get().halves == 0 {
                let slot = slot.remove();
                self.held.memory.sub(slot.cost);
            }
        }
    }
}

/// Stores the waker.
pub(crate) fn register(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *place = Some(cx.waker().clone()),
    }
}
