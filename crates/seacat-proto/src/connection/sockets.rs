//! Reverse sockets: streams that the gateway opens to a port of the client (wire spec 3.11).
//!
//! ```text
//!   gateway                                  client
//!   connect(port) ──SOCKETS_REQUEST──► checked here ──► Event::SocketsRequest
//!        ◄────────────SOCKETS_REPLY────────  accept(id) or refuse(id, code)
//!   Event::SocketsReply, then DATA both ways, as on any stream
//! ```
//!
//! Their ids are even, so they never collide with those of requests. Nothing is sent on one before
//! its SOCKETS_REPLY. Whether it has windows is decided by that frame too, because after it both
//! ends know what the other has announced (docs/protocol/extensions.md).

use super::{Connection, Event, Role};
use crate::error::{OpenError, StreamClosed};
use crate::frame::{Reason, SocketsCode, SocketsReply, SocketsRequest};
use crate::ids::{Priority, StreamId};
use crate::outbox::Transmit;
use crate::stream::State;
use bytes::Bytes;

impl Connection {
    /// Requests a connection to the client's port of this number (gateway).
    ///
    /// # Errors
    /// [`OpenError`]; nothing has been queued then.
    pub fn connect(&mut self, port: u16) -> Result<StreamId, OpenError> {
        debug_assert_eq!(self.role, Role::Gateway);
        let id = self.next_own_id()?;
        let (command, address_type) = (SocketsRequest::CONNECT, SocketsRequest::CONFIGURED_PORT);
        let frame = SocketsRequest { id, command, address_type, port }.encode();
        self.outbox.push_control(Transmit::new(Some(id), &frame, Bytes::new()));
        self.insert(id, State::asked(), Priority::DEFAULT);
        Ok(id)
    }

    /// Grants a requested connection (client).
    ///
    /// # Errors
    /// [`StreamClosed`] when the stream is gone or was granted already.
    pub fn accept(&mut self, id: StreamId) -> Result<(), StreamClosed> {
        let windows = self.peer_window;
        let stream = self.streams.get_mut(&id).filter(|_| !id.is_odd()).ok_or(StreamClosed)?;
        stream.state.send_head(false).map_err(|_| StreamClosed)?;
        stream.keep_windows(windows);
        self.push_sockets_reply(id, SocketsCode::OK);
        Ok(())
    }

    /// Declines a requested connection (client). Unknown streams are ignored.
    pub fn refuse(&mut self, id: StreamId, code: SocketsCode) {
        if let Some(stream) = self.remove(id) {
            self.outbox.forget(id, stream.priority, stream.waiting);
            self.push_sockets_reply(id, code);
        }
    }

    /// The checks and their order are the reference client's: address type, command, port. The port
    /// is checked by the program, which has the list.
    pub(super) fn on_sockets_request(&mut self, request: SocketsRequest) {
        let SocketsRequest { id, command, address_type, port } = request;
        if self.role == Role::Gateway {
            return; // clients do not send this; ignored like any unknown frame
        }
        if address_type != SocketsRequest::CONFIGURED_PORT {
            return self.push_sockets_reply(id, SocketsCode::ADDRESS_UNSUPPORTED);
        }
        if command != SocketsRequest::CONNECT {
            return self.push_sockets_reply(id, SocketsCode::COMMAND_UNSUPPORTED);
        }
        if id.is_odd() {
            // It could be the id of one of our requests. The reference client accepts it
            // nevertheless.
            return self.push_sockets_reply(id, SocketsCode::FAILED);
        }
        if self.streams.contains_key(&id) {
            return self.fail(id, Reason::PROTOCOL_ERROR);
        }
        self.seen(id);
        if self.draining || self.streams.len() >= self.max_streams {
            return self.push_sockets_reply(id, SocketsCode::FAILED);
        }
        self.insert(id, State::accepted(false), Priority::DEFAULT);
        self.events.push_back(Event::SocketsRequest { id, port });
    }

    pub(super) fn on_sockets_reply(&mut self, SocketsReply { id, code }: SocketsReply) {
        let Some(stream) = self.streams.get_mut(&id).filter(|_| !id.is_odd()) else {
            return; // late, or an answer to nothing
        };
        if self.role == Role::Client || stream.state.connected().is_err() {
            return self.fail(id, Reason::PROTOCOL_ERROR);
        }
        if code == SocketsCode::OK {
            stream.keep_windows(self.peer_window);
        } else {
            self.remove(id);
        }
        self.events.push_back(Event::SocketsReply { id, code });
    }

    fn push_sockets_reply(&mut self, id: StreamId, code: SocketsCode) {
        let frame = SocketsReply { id, code }.encode();
        self.outbox.push_control(Transmit::new(Some(id), &frame, Bytes::new()));
    }
}
