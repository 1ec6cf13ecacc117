//! The SeaCat wire protocol, both roles, and nothing else.
//!
//! Bytes in, bytes out. There is no socket, task, clock or TLS in this crate: time is an
//! argument, so every history can be replayed. A [`Connection`] is driven like this:
//!
//! ```text
//! wishes   open / reply / connect / accept / refuse / send / finish / reset / control / ping
//! wire in  handle_input(bytes, now)        time in   handle_timeout(now)
//! wire out poll_transmit()                 news      poll_event()
//! when to wake                             poll_timeout()
//! ```
//!
//! Change one thing, take all events and transmits, ask for the next deadline, wait for
//! one thing. It never blocks, never panics on input and never allocates without a bound
//! on what a peer controls.
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
