//! The SeaCat wire protocol, both roles, without I/O.
//!
//! Bytes in, bytes out. There is no socket, task, clock or TLS in this crate: time is an argument,
//! so every sequence of events can be replayed. A [`Connection`] is driven like this:
//!
//! ```text
//! commands open / reply / connect / accept / refuse / send / finish / reset / control / ping
//! wire in  handle_input(bytes, now)        time in   handle_timeout(now)
//! wire out poll_transmit()                 events    poll_event()
//! when to wake                             poll_timeout()
//! ```
//!
//! Call one method, take all events and transmits, query the next deadline, wait. It never blocks,
//! never panics on input and bounds every allocation that a peer controls.
//!
//! Section numbers refer to the project's wire specification.

mod backlog;
mod codec;
mod connection;
mod error;
mod flow;
pub mod frame;
mod ids;
mod keepalive;
mod outbox;
mod pieces;
mod sniff;
mod stream;

pub use bytes::Bytes;

pub use backlog::Backlog;
pub use codec::Decoder;
pub use connection::{Config, Connection, Event, Role};
pub use error::{ConnectionError, DecodeError, OpenError, StreamClosed};
pub use frame::{
    Control, Extensions, HeadTooLarge, MAX_FRAME, MAX_PAYLOAD, Reason, ReplyHead, RequestHead,
    RequestHeadBuilder, SocketsCode,
};
pub use ids::{Priority, StreamHash, StreamId, StreamMap};
pub use keepalive::KeepAliveConfig;
pub use outbox::Transmit;
pub use pieces::Pieces;
