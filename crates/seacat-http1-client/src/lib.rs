//! One HTTP/1.1 connection to a server (RFC 9112), with the readers of [`seacat_http1`].
//!
//! ```text
//!   dial ──► Connection ──► Exchange::start(connection, request) ──► head() ──► data() …
//!                 ▲                                                               │
//!                 └────────────────── into_idle() ◄───────────────────────────────┘
//! ```
//!
//! * No task of its own: the task that waits for the response moves the request's body along.
//!   Dropping an [`Exchange`] closes the socket at once.
//! * Requests go out as they are given, names keep their spelling, reason phrases arrive.
//! * Every wait has a limit, see [`Limits`], and the work of one turn is bounded.

mod connection;
mod dial;
mod error;
mod exchange;
mod timer;
mod upload;

pub use connection::Connection;
pub use dial::{connect, dial};
pub use error::{BoxError, Error};
pub use exchange::{Exchange, Limits, Request};
pub use timer::InactivityTimer;
pub use upload::{Body, NoBody};
