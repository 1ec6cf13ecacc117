//! One live SeaCat connection over TLS.
//!
//! [`seacat_proto::Connection`] knows the protocol, a [`Session`] knows TLS, tokio knows the
//! socket; this crate makes them one thing that a program can hold, for both ends of the
//! wire. It does for SeaCat what `quinn` does for `quinn-proto`.
//!
//! ```text
//!   SendHalf / RecvHalf ──wishes──► Shared { Connection, slots } ◄──bytes── Driver ◄─► Records
//!           ▲                              │ events                           (TLS + TCP)
//!           └────────── wake ──────────────┘
//! ```
//!
//! * One frame is one TLS record; many records go out in one socket write.
//! * Dropping a half-finished half resets its stream: cancellation is ownership.
//! * When the connection ends, for whatever reason, every stream is told at once.

mod budget;
mod closed;
#[cfg(feature = "compat")]
pub mod compat;
pub mod descriptors;
mod driver;
mod duplex;
mod half;
mod handshake;
mod inbox;
mod link;
mod records;
mod session;
mod shared;
mod socket;
mod spool;
mod throttle;
mod tunnel;

pub use budget::{Budget, BudgetLimits, Class, Division, Peer, Permit, Resource, Share};
pub use closed::{Closed, StreamError};
pub use driver::Driver;
pub use duplex::Duplex;
pub use half::{RecvHalf, SendHalf};
pub use handshake::{handshake, handshake_client, handshake_server};
pub use link::{Health, Incoming, Link, LinkConfig, News, Request};
pub use session::{ClientTls, ServerTls, Session};
pub use socket::{ConnectError, SocketRequest};
pub use throttle::Throttle;
pub use tunnel::{Carried, TunnelError, tunnel};
