//! Handling of received frames.

use std::time::Instant;

use bytes::Bytes;

use super::{Connection, Event, Role};
use crate::error::{ConnectionError, DecodeError};
use crate::frame::{
    Extensions, Frame, Ping, RawFrame, Reason, RstStream, SynReply, SynStream, WindowUpdate,
};
use crate::ids::StreamId;
use crate::stream::{Refused, State};

/// Answers that may be queued for a peer that does not read them, beyond two for each stream. A
/// peer that causes more (PINGs, frames for unknown streams) is flooding.
const MAX_OWED: usize = 1024;

impl Connection {
    pub(super) fn handle_frame(
        &mut self,
        raw: RawFrame<'_>,
        now: Instant,
    ) -> Result<(), ConnectionError> {
        if self.role == Role::Gateway {
            // Not earlier: an HTTPS client would receive it before its response.
            self.announce(now);
        }
        if !self.understands(raw.head) {
            return Ok(());
        }
        match Frame::decode(raw) {
            Ok(Frame::Data { id, fin, payload }) => self.on_data(id, fin, payload),
            Ok(Frame::SynStream(frame)) => self.on_syn_stream(frame),
            Ok(Frame::SynReply(frame)) => self.on_syn_reply(frame),
            Ok(Frame::RstStream(frame)) => self.on_rst_stream(frame),
            Ok(Frame::Ping(ping)) => self.on_ping(ping, now),
            Ok(Frame::Announcement(frame)) => self.on_announcement(frame, now),
            Ok(Frame::ConnectionEnded(frame)) => self.on_connection_ended(frame),
            Ok(Frame::GoAway(_)) => self.on_go_away(),
            Ok(Frame::WindowUpdate(frame)) => self.on_window_update(frame),
            Ok(Frame::SocketsRequest(frame)) => self.on_sockets_request(frame),
            Ok(Frame::SocketsReply(frame)) => self.on_sockets_reply(frame),
            Ok(Frame::Control(control)) => self.events.push_back(Event::Control(control)),
            Err(DecodeError::BadHead { id, .. }) => self.fail(id, Reason::PROTOCOL_ERROR),
            Err(DecodeError::Malformed(why)) => return Err(why.into()),
        }
        if self.outbox.control_len() > MAX_OWED + 2 * self.max_streams {
            return Err(ConnectionError::Flood);
        }
        Ok(())
    }

    fn on_syn_stream(&mut self, SynStream { id, fin, mut head }: SynStream) {
        if self.role == Role::Client {
            return self.push_rst(id, Reason::REFUSED_STREAM);
        }
        if !id.is_odd() {
            return self.push_rst(id, Reason::PROTOCOL_ERROR);
        }
        if self.streams.contains_key(&id) {
            return self.fail(id, Reason::PROTOCOL_ERROR);
        }
        // Any odd id that is not in use is taken: reference clients neither start at 1
        // on every connection nor promise to rise (wire spec 1.4, 4).
        self.seen(id);
        if self.streams.len() >= self.max_streams {
            return self.push_rst(id, Reason::REFUSED_STREAM);
        }
        if !self.agreement.has(Extensions::CONNECTIONS) {
            head.forget_connection();
        }
        let windows = self.peer_window;
        self.insert(id, State::accepted(fin), head.priority()).keep_windows(windows);
        self.events.push_back(Event::Request { id, head, end: fin });
    }

    fn on_syn_reply(&mut self, SynReply { id, fin, mut head }: SynReply) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return self.on_unknown(id);
        };
        if !id.is_odd() {
            return self.fail(id, Reason::PROTOCOL_ERROR); // reverse sockets have no head
        }
        // An interim response is not the response (wire spec 3.2); 101 is final.
        if matches!(head.status(), 100 | 102..=199) && !fin {
            return;
        }
        if !self.agreement.has(Extensions::REASON) {
            head.forget_reason();
        }
        match stream.state.recv_head(fin) {
            Ok(()) => {
                self.forget_if_over(id);
                self.events.push_back(Event::Reply { id, head, end: fin });
            }
            Err(Refused::AfterEnd) => self.fail(id, Reason::STREAM_ALREADY_CLOSED),
            Err(_) => self.fail(id, Reason::PROTOCOL_ERROR),
        }
    }

    fn on_data(&mut self, id: StreamId, fin: bool, payload: &[u8]) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return self.on_unknown(id);
        };
        let unwanted = stream.unwanted;
        let length = payload.len() as u32;
        self.flow.receive(payload.len());
        if stream.recv_window.as_mut().is_some_and(|window| !window.receive(length)) {
            return self.fail(id, Reason::FLOW_CONTROL_ERROR);
        }
        match stream.state.recv_data(fin) {
            Ok(()) => {
                self.forget_if_over(id);
                if !unwanted && (fin || !payload.is_empty()) {
                    // It is removed when this was its end.
                    if let Some(stream) = self.streams.get_mut(&id) {
                        stream.unread += u64::from(length);
                    }
                    let bytes = Bytes::copy_from_slice(payload);
                    self.events.push_back(Event::Data { id, bytes, end: fin });
                }
            }
            Err(Refused::AfterEnd) => self.fail(id, Reason::STREAM_ALREADY_CLOSED),
            Err(_) => self.fail(id, Reason::PROTOCOL_ERROR),
        }
    }

    fn on_rst_stream(&mut self, RstStream { id, reason }: RstStream) {
        if let Some(stream) = self.remove(id) {
            self.outbox.forget(id, stream.priority, stream.waiting);
            self.events.push_back(Event::Reset { id, reason });
        }
    }

    fn on_ping(&mut self, ping: Ping, now: Instant) {
        let ours = (ping.id % 2 == 1) == (self.role == Role::Client);
        if !ours {
            self.push_frame(&ping.encode());
        } else if let Some(rtt) = self.flow.pong(ping.id, now) {
            // Not an event: PINGs of the program are reported separately.
            self.measured(rtt);
        } else if let Some(rtt) = self.keepalive.pong(ping.id, now) {
            self.measured(rtt);
            self.events.push_back(Event::Pong { rtt });
        }
    }

    fn on_window_update(&mut self, WindowUpdate { id, bytes }: WindowUpdate) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if let Some(window) = &mut stream.send_window {
            *window = window.saturating_add(bytes).min(StreamId::MAX);
            self.push_turn(id);
        }
    }

    /// A frame for an unknown stream. For a stream that has ended it is late and ignored; for one
    /// that never existed it is answered as the Android layer does.
    fn on_unknown(&mut self, id: StreamId) {
        let next = if id.is_odd() { self.next_odd } else { self.next_even };
        if id.get() >= next {
            self.push_rst(id, Reason::INVALID_STREAM);
        }
    }

    /// Resets a stream after a protocol error of the peer.
    pub(super) fn fail(&mut self, id: StreamId, reason: Reason) {
        if let Some(stream) = self.remove(id) {
            self.outbox.forget(id, stream.priority, stream.waiting);
            self.events.push_back(Event::Reset { id, reason });
        }
        self.push_rst(id, reason);
    }

    fn forget_if_over(&mut self, id: StreamId) {
        if self.streams.get(&id).is_some_and(|s| s.state.is_closed() && s.queue.is_empty()) {
            self.remove(id);
        }
    }
}
