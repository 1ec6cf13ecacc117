//! One live SeaCat connection over TLS.
//!
//! [`seacat_proto::Connection`] implements the protocol, a [`Session`] TLS, tokio the socket. This
//! crate combines them to a connection with handles, for both roles, as `quinn` does for
//! `quinn-proto`.
//!
//! ```text
//!   SendHalf / RecvHalf ─commands─► Shared { Connection, slots } ◄──bytes── Driver ◄─► Records
//!           ▲                              │ events                           (TLS + TCP)
//!           └────────── wake ──────────────┘
//! ```
//!
//! * One frame is one TLS record; many records go out in one socket write.
//! * Dropping an unfinished half resets its stream: cancellation is by drop.
//! * When the connection ends, for whatever reason, every stream fails at once.

mod budget;
mod closed;
#[cfg(feature = "compat")]
pub mod compat;
pub mod descriptors;
mod driver;
mod duplex;
mod fingerprint;
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
pub use fingerprint::Fingerprint;
pub use half::{RecvHalf, SendHalf};
pub use handshake::{handshake, handshake_client, handshake_server};
pub use link::{Health, Incoming, IncomingEvent, Link, LinkConfig, Request};
pub use session::{ClientTls, ServerTls, Session};
pub use socket::{ConnectError, SocketRequest};
pub use throttle::Throttle;
pub use tunnel::{Carried, TunnelError, tunnel};
