//! One connection: frames in, events out; commands in, frames out.

mod extensions;
mod receive;
mod sockets;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::codec::Decoder;
use crate::error::{ConnectionError, OpenError, StreamClosed};
use crate::flow::Flow;
use crate::frame::{
    Control, Extensions, HeadTooLarge, MAX_PAYLOAD, Ping, Reason, ReplyHead, RequestHead,
    RstStream, SocketsCode, SynReply, SynStream, WindowUpdate, head,
};
use crate::ids::{Priority, StreamId, StreamMap};
use crate::keepalive::{KeepAlive, KeepAliveConfig, Verdict};
use crate::outbox::{Outbox, Transmit};
use crate::sniff::Sniffer;
use crate::stream::{RecvWindow, State, Stream};
use extensions::Agreement;

/// The role of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Opens streams for requests; their ids are odd.
    Client,
    /// Answers them, and opens streams to the client's ports; their ids are even.
    Gateway,
}

/// A peer is near when a round trip takes at most this long: on this machine or its network.
const NEAR: Duration = Duration::from_millis(5);

/// Limits and timers of a connection.
#[derive(Clone, Debug)]
pub struct Config {
    /// PINGs; `None` sends none of its own.
    pub keepalive: Option<KeepAliveConfig>,
    /// Streams open at once. Each may hold a head of 16 KiB and a queue of
    /// [`Connection::SEND_QUEUE`] bytes.
    pub max_streams: usize,
    /// Extensions to use with a peer that supports them too (docs/protocol/extensions.md). A
    /// gateway announces it behind a client's first frame; a client only answers, so that no other
    /// gateway ever sees the announcement.
    pub extensions: Extensions,
}

impl Default for Config {
    /// No PINGs. 4 096 streams: more than any client was seen to open, and at most 64 MiB of heads
    /// from a malicious peer.
    fn default() -> Self {
        Self { keepalive: None, max_streams: 4096, extensions: Extensions::ALL }
    }
}

/// An event from the wire.
#[derive(Debug)]
pub enum Event {
    /// A request (gateway).
    Request {
        /// Its stream.
        id: StreamId,
        /// The request.
        head: RequestHead,
        /// Whether it has no body.
        end: bool,
    },
    /// The head of a response (client).
    Reply {
        /// Its stream.
        id: StreamId,
        /// The answer.
        head: ReplyHead,
        /// Whether it has no body.
        end: bool,
    },
    /// A piece of a body.
    Data {
        /// Its stream.
        id: StreamId,
        /// The piece; empty only at the end.
        bytes: Bytes,
        /// Whether it is the last.
        end: bool,
    },
    /// The gateway requests a connection to a port of ours: accept or refuse it (client).
    SocketsRequest {
        /// Its stream.
        id: StreamId,
        /// The port, as the client's configuration numbers them.
        port: u16,
    },
    /// The client has answered such a request; with any code but OK the stream is over (gateway).
    SocketsReply {
        /// Its stream.
        id: StreamId,
        /// The answer.
        code: SocketsCode,
    },
    /// The stream was reset by the peer, or by us after a protocol error of the peer.
    Reset {
        /// The stream.
        id: StreamId,
        /// Why.
        reason: Reason,
    },
    /// The peer answered our PING.
    Pong {
        /// From our PING to its echo.
        rtt: Duration,
    },
    /// The application has closed a connection that requests have named (gateway).
    ConnectionEnded {
        /// Its number, see [`RequestHead::connection`].
        id: u32,
    },
    /// The gateway drains: no new streams are opened, and the connection ends after the open ones
    /// (client).
    GoAway,
    /// A frame that belongs to no stream.
    Control(Control),
}

/// The protocol's state for one TLS session.
#[derive(Debug)]
pub struct Connection {
    role: Role,
    max_streams: usize,
    /// The limit of streams that we open: our own, and the peer's if it was announced.
    max_opened: usize,
    sniffer: Sniffer,
    decoder: Decoder,
    streams: StreamMap<Stream>,
    outbox: Outbox,
    keepalive: KeepAlive,
    last_frame: Option<Instant>,
    events: VecDeque<Event>,
    /// One beyond the highest id of requests so far, or the next to open.
    next_odd: u32,
    /// The same of reverse sockets.
    next_even: u32,
    draining: bool,
    agreement: Agreement,
    /// The peer accepts FIN on the head of a response.
    ends_on_head: bool,
    /// A round trip was shorter than [`NEAR`] once.
    near: bool,
    /// What the peer allows on a fresh stream, once both ends have announced windows.
    peer_window: Option<u32>,
    /// The total size of our windows.
    flow: Flow,
    /// Payload sent so far.
    sent: u64,
    /// Memory in use for bodies that wait to be sent, all streams together.
    queued: usize,
    /// What `queued` may be before streams have to share one frame each.
    queue_limit: usize,
}

impl Connection {
    /// The capacity of an empty stream queue: four full frames, one socket write.
    pub const SEND_QUEUE: usize = 4 * MAX_PAYLOAD;

    /// Memory for bodies that wait to be sent, all streams together, before each stream is held to
    /// one piece: 64 full queues. More queues than that are full only when the peer does not read.
    pub const SEND_QUEUES: usize = 64 * Self::SEND_QUEUE;

    /// A fresh connection; `now` starts its keep-alive.
    #[must_use]
    pub fn new(role: Role, config: &Config, now: Instant) -> Self {
        let first_ping = if role == Role::Client { 1 } else { 2 };
        Self {
            role,
            max_streams: config.max_streams,
            max_opened: config.max_streams,
            sniffer: Sniffer::default(),
            decoder: Decoder::default(),
            streams: StreamMap::default(),
            outbox: Outbox::default(),
            keepalive: KeepAlive::new(config.keepalive, first_ping, now),
            last_frame: None,
            events: VecDeque::new(),
            next_odd: 1,
            next_even: 2,
            draining: false,
            agreement: Agreement::new(config.extensions),
            ends_on_head: false,
            peer_window: None,
            near: false,
            flow: Flow::new(),
            sent: 0,
            queued: 0,
            queue_limit: Self::SEND_QUEUES,
        }
    }

    // --- commands -------------------------------------------------------------

    /// Opens a stream with a request; `end` when it has no body.
    ///
    /// # Errors
    /// [`OpenError`]; nothing has been queued then.
    pub fn open(&mut self, head: RequestHead, end: bool) -> Result<StreamId, OpenError> {
        debug_assert_eq!(self.role, Role::Client);
        let id = self.next_own_id()?;
        let (priority, windows) = (head.priority(), self.peer_window);
        let block = head.into_block(self.agreement.has(Extensions::CONNECTIONS));
        let fixed = SynStream::encode_fixed(id, end, priority, block.len());
        self.outbox.push_control(Transmit::new(Some(id), &fixed, block));
        self.insert(id, State::opened(end), priority).keep_windows(windows);
        Ok(id)
    }

    /// The id of a stream that we open.
    fn next_own_id(&mut self) -> Result<StreamId, OpenError> {
        if self.draining {
            return Err(OpenError::Draining);
        }
        if !self.can_open() {
            return Err(OpenError::TooManyStreams);
        }
        let next = match self.role {
            Role::Client => &mut self.next_odd,
            Role::Gateway => &mut self.next_even,
        };
        match StreamId::new(*next) {
            Some(id) if id.get() == *next => {
                *next += 2;
                Ok(id)
            }
            _ => Err(OpenError::Exhausted),
        }
    }

    /// From now on FIN of a response without a body is on its head (gateway).
    pub fn end_on_head(&mut self) {
        self.ends_on_head = true;
    }

    /// Sends a response's head, once; `end` when no body follows (gateway).
    ///
    /// FIN is set on the head when the peer uses windows, which only ours do, or when it is known
    /// to accept it there ([`Connection::end_on_head`]). The reference client's Python layer does
    /// not and would wait indefinitely (wire spec 3.2); its Android layer fails on an empty DATA at
    /// the end.
    ///
    /// # Errors
    /// [`StreamClosed`] when the stream is gone or already answered.
    pub fn reply(&mut self, id: StreamId, head: ReplyHead, end: bool) -> Result<(), StreamClosed> {
        let stream = self.streams.get_mut(&id).filter(|_| id.is_odd()).ok_or(StreamClosed)?;
        let fin = end && (self.peer_window.is_some() || self.ends_on_head);
        stream.state.send_head(fin).map_err(|_| StreamClosed)?;
        let over = stream.state.is_closed();
        let stop = fin && stream.unwanted;
        let status = head.status();
        let block = head.into_block(self.agreement.has(Extensions::REASON));
        let fixed = SynReply::encode_fixed(id, fin, status, block.len());
        self.outbox.push_control(Transmit::new(Some(id), &fixed, block));
        if end && !fin {
            return self.finish(id);
        }
        if over || stop {
            self.remove(id);
        }
        if stop && !over {
            self.push_rst(id, Reason::CANCEL);
        }
        Ok(())
    }

    /// Queues a piece of a body. It is cut into frames when it is written. The caller respects
    /// [`Connection::send_capacity`]; one piece may exceed it.
    ///
    /// # Errors
    /// [`StreamClosed`] when the stream is gone or our half has ended.
    pub fn send(&mut self, id: StreamId, bytes: Bytes) -> Result<(), StreamClosed> {
        self.enqueue(id, bytes, false)
    }

    /// Ends our half of the stream; FIN is set on the last queued piece.
    ///
    /// # Errors
    /// [`StreamClosed`] when the stream is gone or our half has ended.
    pub fn finish(&mut self, id: StreamId) -> Result<(), StreamClosed> {
        self.enqueue(id, Bytes::new(), true)
    }

    fn enqueue(&mut self, id: StreamId, bytes: Bytes, end: bool) -> Result<(), StreamClosed> {
        let stream = self.streams.get_mut(&id).ok_or(StreamClosed)?;
        stream.state.send_data(end).map_err(|_| StreamClosed)?;
        if stream.queue.is_empty() {
            stream.rested(self.sent);
        }
        let before = stream.queue.kept();
        stream.queue.push(bytes);
        self.queued = self.queued - before + stream.queue.kept();
        if end {
            stream.queue.finish();
        }
        self.push_turn(id);
        Ok(())
    }

    /// Reports that the reader has taken bytes of this stream's body. Returns whether a
    /// WINDOW_UPDATE was queued.
    pub fn taken(&mut self, id: StreamId, bytes: usize) -> bool {
        let Some(stream) = self.streams.get_mut(&id) else {
            return false;
        };
        stream.unread = stream.unread.saturating_sub(bytes as u64);
        let Some(window) = stream.recv_window.as_mut().filter(|_| !stream.state.is_received())
        else {
            return false;
        };
        if !window.take(bytes as u32) {
            return false;
        }
        let target = self.flow.used_up(&mut window.round);
        let Some(bytes) = window.grant(target, &mut self.flow.growth) else {
            return false;
        };
        self.push_frame(&WindowUpdate { id, bytes }.encode());
        true
    }

    /// Bytes that may still be queued on this stream; 0 for a stream that has ended. When all
    /// queues together are full, a stream with an empty queue still has capacity: it may be the
    /// only one that the peer reads.
    #[must_use]
    pub fn send_capacity(&self, id: StreamId) -> usize {
        let Some(stream) = self.streams.get(&id) else {
            return 0;
        };
        match stream.queue.bytes() {
            1.. if self.queued >= self.queue_limit => 0,
            queued => Self::SEND_QUEUE.saturating_sub(queued),
        }
    }

    /// Memory in use for all frames and bodies that wait to be sent.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued + self.outbox.control_size()
    }

    /// Limits [`Connection::queued`] for now; [`Connection::SEND_QUEUES`] is the ordinary limit.
    pub fn limit_queued(&mut self, limit: usize) {
        self.queue_limit = limit;
    }

    /// Resets a stream. Only RST_STREAM is still sent for it, and not even that when we opened it
    /// and its first frame was not written. Unknown streams are ignored.
    pub fn reset(&mut self, id: StreamId, reason: Reason) {
        let Some(stream) = self.remove(id) else {
            return;
        };
        let head_unsent = self.outbox.forget(id, stream.priority, stream.waiting);
        let ours = id.is_odd() == (self.role == Role::Client);
        if head_unsent && ours {
            return;
        }
        // The reference client does not know RST_STREAM for a socket: the port would stay in use
        // until it connects again. It understands FIN (wire spec 3.11).
        let socket = self.role == Role::Gateway && ours;
        if socket && self.peer_window.is_none() && !stream.state.is_sent() {
            let end = head::data(id, true, 0);
            self.outbox.push_control(Transmit::new(Some(id), &end, Bytes::new()));
        }
        self.push_rst(id, reason);
    }

    /// Stops receiving while our half continues: further DATA is discarded, and once our end is
    /// written, RST_STREAM asks the peer to stop. A reference client that has closed the stream
    /// ignores it (wire spec 4). Unknown streams are ignored.
    pub fn stop_receiving(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.unwanted = true;
        if stream.state.is_sent() && stream.queue.is_empty() {
            // Not `reset`: the response's head may still be queued, and must be sent first.
            self.remove(id);
            self.push_rst(id, Reason::CANCEL);
        }
    }

    /// Sends a frame that belongs to no stream.
    ///
    /// # Errors
    /// [`HeadTooLarge`] when it does not fit into one frame.
    pub fn control(&mut self, control: &Control) -> Result<(), HeadTooLarge> {
        let bytes = control.encode()?;
        self.outbox.push_control(Transmit::new(None, &[], bytes.into()));
        Ok(())
    }

    /// Sends a PING now, for use after a resume or a change of network.
    pub fn ping(&mut self, now: Instant) {
        let verdict = self.keepalive.ping_now(now);
        self.push_ping(verdict);
    }

    /// Opens no new streams; open ones continue. A gateway sends GOAWAY to a client that supports
    /// it, which then opens no more streams. Requests of other clients are still accepted, because
    /// the only refusal is RST_STREAM, which reference clients treat as a failure.
    pub fn drain(&mut self) {
        self.draining = true;
        if self.role == Role::Gateway {
            self.go_away();
        }
    }

    /// All streams have ended and have been written, and no more are expected.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.draining && self.streams.is_empty() && self.outbox.is_empty() && !self.awaits_go_away()
    }

    /// Whether both ends use windows, from the next stream on.
    #[must_use]
    pub fn has_windows(&self) -> bool {
        self.peer_window.is_some()
    }

    /// Queued control frames.
    #[must_use]
    pub fn heads_waiting(&self) -> usize {
        self.outbox.control_len()
    }

    /// Whether the peer has ever answered within 5 ms.
    #[must_use]
    pub fn is_near(&self) -> bool {
        self.near
    }

    /// Streams that may be open at once.
    #[must_use]
    pub fn max_streams(&self) -> usize {
        self.max_streams
    }

    /// When the last complete frame was received. A peer that sends one has accepted the
    /// connection.
    #[must_use]
    pub fn last_frame(&self) -> Option<Instant> {
        self.last_frame
    }

    /// Whether the limits permit another stream.
    #[must_use]
    pub fn can_open(&self) -> bool {
        self.free_streams() > 0
    }

    /// How many more streams the limits permit.
    #[must_use]
    pub fn free_streams(&self) -> usize {
        self.max_opened.saturating_sub(self.streams.len())
    }

    /// Streams open now.
    #[must_use]
    pub fn stream_count(&self) -> usize {
        self.streams.len()
    }

    // --- wire and time in -----------------------------------------------------

    /// Takes bytes from the wire, cut anywhere.
    ///
    /// # Errors
    /// [`ConnectionError`]: the connection is over; feed it nothing more.
    pub fn handle_input(&mut self, input: &[u8], now: Instant) -> Result<(), ConnectionError> {
        self.handle_frames(input, &mut { usize::MAX }, now).map(drop)
    }

    /// Processes input, at most `frames` frames, and returns how many bytes were taken; `frames` is
    /// reduced by the frames found. Work is per frame, so a peer that sends frames of one byte is
    /// bounded by frames, not bytes.
    ///
    /// # Errors
    /// As [`Connection::handle_input`].
    pub fn handle_frames(
        &mut self,
        input: &[u8],
        frames: &mut usize,
        now: Instant,
    ) -> Result<usize, ConnectionError> {
        self.sniffer.check(self.role, input)?;
        if !input.is_empty() {
            self.keepalive.received(now);
        }
        // Frames borrow from the decoder while the rest of `self` changes.
        let mut decoder = std::mem::take(&mut self.decoder);
        let mut rest = input;
        let outcome = loop {
            if *frames == 0 {
                break Ok(());
            }
            match decoder.next(&mut rest) {
                Ok(None) => break Ok(()),
                Ok(Some(raw)) => {
                    self.last_frame = Some(now);
                    *frames -= 1;
                    if let Err(error) = self.handle_frame(raw, now) {
                        break Err(error);
                    }
                }
                Err(error) => break Err(error),
            }
        };
        self.decoder = decoder;
        if self.flow.wants_probe(now) {
            let id = self.keepalive.take_id();
            self.flow.probe(id, now);
            self.push_frame(&Ping { id }.encode());
        }
        outcome.map(|()| input.len() - rest.len())
    }

    /// Processes timers that are due at `now`.
    ///
    /// # Errors
    /// [`ConnectionError::Dead`] when the peer has not answered.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ConnectionError> {
        match self.keepalive.handle_timeout(now) {
            Verdict::Dead => Err(ConnectionError::Dead),
            verdict => {
                self.push_ping(verdict);
                Ok(())
            }
        }
    }

    // --- wire, events and deadlines out ---------------------------------------

    /// The next frame to write, if any.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        if let Some(frame) = self.outbox.pop_control() {
            return Some(frame);
        }
        let id = self.outbox.pop_turn()?;
        let stream = self.streams.get_mut(&id)?;
        stream.waiting = false;
        let limit =
            stream.send_window.map_or(MAX_PAYLOAD, |window| MAX_PAYLOAD.min(window as usize));
        let before = stream.queue.kept();
        let (payload, end) = stream.queue.pop(limit)?;
        self.queued = self.queued - before + stream.queue.kept();
        if let Some(window) = &mut stream.send_window {
            *window -= payload.len() as u32;
        }
        self.sent += payload.len() as u64;
        stream.sends(payload.len(), self.sent);
        if !stream.queue.is_empty() {
            self.push_turn(id);
        } else if stream.state.is_closed() {
            self.remove(id);
        } else if end && stream.unwanted {
            self.remove(id);
            self.push_rst(id, Reason::CANCEL);
        }
        Some(Transmit::new(Some(id), &head::data(id, end, payload.len()), payload))
    }

    /// The next event, if any.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Connection::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.keepalive.poll_timeout()
    }

    fn insert(&mut self, id: StreamId, state: State, priority: Priority) -> &mut Stream {
        self.streams.entry(id).insert_entry(Stream::new(state, priority)).into_mut()
    }

    /// Records an id that the peer has used.
    fn seen(&mut self, id: StreamId) {
        let next = if id.is_odd() { &mut self.next_odd } else { &mut self.next_even };
        *next = (*next).max(id.get() + 1);
    }

    fn remove(&mut self, id: StreamId) -> Option<Stream> {
        let stream = self.streams.remove(&id)?;
        self.queued -= stream.queue.kept();
        self.flow.growth += stream.recv_window.as_ref().map_or(0, RecvWindow::grown);
        Some(stream)
    }

    /// Schedules a stream when it has something to send and may send it.
    fn push_turn(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.may_send() && !std::mem::replace(&mut stream.waiting, true) {
            self.outbox.push_turn(id, stream.priority, stream.is_fresh());
        }
    }

    fn measured(&mut self, rtt: Duration) {
        self.near |= rtt < NEAR;
    }

    /// Queues a short frame that is its own fixed part.
    fn push_frame(&mut self, frame: &[u8]) {
        self.outbox.push_control(Transmit::new(None, frame, Bytes::new()));
    }

    fn push_rst(&mut self, id: StreamId, reason: Reason) {
        self.push_frame(&RstStream { id, reason }.encode());
    }

    fn push_ping(&mut self, verdict: Verdict) {
        if let Verdict::Ping(id) = verdict {
            self.push_frame(&Ping { id }.encode());
        }
    }
}
