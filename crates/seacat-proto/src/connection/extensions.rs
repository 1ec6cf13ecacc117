//! Negotiation of the protocol extensions (docs/protocol/extensions.md).
//!
//! ```text
//!   gateway: EXTENSIONS (I can) ──►          behind the client's first valid frame
//!                               ◄── client: EXTENSIONS (from here on; never unasked)
//!   gateway: EXTENSIONS (from here on) ──►
//! ```
//!
//! The second and the third frame name what both know. A peer of the reference era answers nothing,
//! so nothing is agreed, and it never gets another frame or field of an extension.

use std::time::Instant;

use bytes::Bytes;

use super::{Connection, Event, Role};
use crate::frame::{Announcement, ConnectionEnded, Extensions, FrameHead, GoAway, Kind};
use crate::outbox::Transmit;
use crate::stream::{INITIAL_WINDOW, Stream};

/// The state of the negotiation.
#[derive(Debug)]
pub(super) struct Agreement {
    own: Extensions,
    agreed: Extensions,
    /// When we announced ours.
    announced: Option<Instant>,
    /// We have sent GOAWAY.
    left: bool,
    /// The peer has sent GOAWAY.
    peer_left: bool,
}

impl Agreement {
    pub(super) fn new(own: Extensions) -> Self {
        let agreed = Extensions::NONE;
        Self { own, agreed, announced: None, left: false, peer_left: false }
    }

    pub(super) fn has(&self, extension: Extensions) -> bool {
        self.agreed.contains(extension)
    }
}

impl Connection {
    /// What both ends use, from the next frame on. Nothing until both have announced it.
    #[must_use]
    pub fn extensions(&self) -> Extensions {
        self.agreement.agreed
    }

    /// The application has closed the connection that requests have named with
    /// [`RequestHead::set_connection`](crate::RequestHead::set_connection) (client). Returns
    /// whether a frame was queued: without the extension the gateway does not know the connection.
    pub fn end_connection(&mut self, id: u32) -> bool {
        let agreed = self.agreement.has(Extensions::CONNECTIONS);
        if agreed {
            self.push_frame(&ConnectionEnded { id }.encode());
        }
        agreed
    }

    /// Whether a frame of this kind is understood: frames of an extension that is not agreed are
    /// ignored whatever they contain (wire spec 3.12).
    pub(super) fn understands(&self, head: FrameHead) -> bool {
        let FrameHead::Control { kind, .. } = head else {
            return true;
        };
        match kind {
            Kind::WINDOW_UPDATE => self.agreement.has(Extensions::WINDOWS),
            Kind::GOAWAY => self.agreement.has(Extensions::GOAWAY),
            Kind::CONNECTION_ENDED => {
                self.role == Role::Gateway && self.agreement.has(Extensions::CONNECTIONS)
            }
            _ => true,
        }
    }

    /// Announces our extensions to a client, once.
    pub(super) fn announce(&mut self, now: Instant) {
        let own = self.agreement.own;
        if !own.is_empty() && self.agreement.announced.is_none() {
            self.agreement.announced = Some(now);
            self.push_announcement(own);
        }
    }

    fn push_announcement(&mut self, extensions: Extensions) {
        let windows = extensions.contains(Extensions::WINDOWS);
        let initial_window = if windows { INITIAL_WINDOW } else { 0 };
        let streams = u32::try_from(self.max_streams).unwrap_or(u32::MAX);
        let frame = Announcement { initial_window, extensions, streams }.encode();
        // Longer than what a frame's fixed part may be.
        self.outbox.push_control(Transmit::new(None, &[], Bytes::copy_from_slice(&frame)));
    }

    /// The first announcement of the peer settles what is agreed. On streams that are already open,
    /// windows apply in each direction after the sender's EXTENSIONS: the client's first and the
    /// gateway's second.
    pub(super) fn on_announcement(&mut self, frame: Announcement, now: Instant) {
        let common = frame.extensions.and(self.agreement.own);
        if common.is_empty() {
            return;
        }
        let first = self.agreement.agreed.is_empty();
        if first {
            self.agreement.agreed = common;
            // At least one: a limit of none would make the connection useless.
            let streams = usize::try_from(frame.streams).unwrap_or(usize::MAX).max(1);
            self.max_opened = self.max_opened.min(streams);
            if let Some(asked) = self.agreement.announced.replace(now) {
                self.measured(now.saturating_duration_since(asked));
            }
            self.push_announcement(common);
            if common.contains(Extensions::WINDOWS) {
                let initial = frame.initial_window;
                self.peer_window = Some(initial);
                self.streams.values_mut().for_each(|stream| stream.count_sent(initial));
            }
            if self.draining && self.role == Role::Gateway {
                self.go_away();
            }
        }
        let windows = self.agreement.has(Extensions::WINDOWS);
        if windows && first == (self.role == Role::Gateway) {
            self.streams.values_mut().for_each(Stream::count_received);
        }
    }

    pub(super) fn on_connection_ended(&mut self, ConnectionEnded { id }: ConnectionEnded) {
        self.events.push_back(Event::ConnectionEnded { id });
    }

    /// Sends GOAWAY once, if the peer understands it: a gateway when it drains, a client behind the
    /// last stream that it opens.
    pub(super) fn go_away(&mut self) {
        if self.agreement.has(Extensions::GOAWAY) && !self.agreement.left {
            self.agreement.left = true;
            let next = if self.role == Role::Client { self.next_even } else { self.next_odd };
            self.push_frame(&GoAway { last: next.saturating_sub(2) }.encode());
        }
    }

    pub(super) fn on_go_away(&mut self) {
        let first = !std::mem::replace(&mut self.agreement.peer_left, true);
        if first && self.role == Role::Client {
            self.draining = true;
            self.go_away();
            self.events.push_back(Event::GoAway);
        }
    }

    /// Whether more streams of the peer may be under way to a gateway that drains.
    pub(super) fn awaits_go_away(&self) -> bool {
        self.role == Role::Gateway
            && self.agreement.has(Extensions::GOAWAY)
            && !self.agreement.peer_left
    }
}
