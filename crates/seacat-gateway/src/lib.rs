//! A small, real SeaCat gateway.
//!
//! Clients have one TLS connection each and open a stream for every request; each stream names a
//! host, and the gateway forwards it to the back end that is configured for that host.
//!
//! ```text
//!   client ══TLS══► server ─► connection ─► exchange ─┬─► backend ──HTTP/1.1──► back end
//!                   accept    one client    one       ├─► tunnel ◄──bytes──► (CONNECT, Upgrade)
//!                                           request   └─► builtin
//! ```
//!
//! | module | contents |
//! |---|---|
//! | [`config`] | the configuration file |
//! | [`pki`] | certificates and TLS settings |
//! | `head` | conversion of heads: fields, framing, the two names of a host |
//! | `exchange` | one request and its response |
//! | `backend` | connections to back ends: idle, bound to a login, or new |
//! | `fault` | error responses of the gateway |
//! | [`enroll`] | enrolment of clients and their records |
//! | `identity` | the identity of a client |
//! | `slots` | limits on client connections, and which are closed to admit others |
//! | `reverse` | ports of this machine that are forwarded to ports of clients |
//! | [`embedded`] | a gateway inside another program |
//!
//! A response is read from its back end only while its stream's queue has space: a client that
//! reads slowly slows down its own back end and nothing else.

mod backend;
pub mod builtin;
mod client_id;
pub mod config;
mod connection;
pub mod embedded;
pub mod enroll;
mod exchange;
mod fault;
mod head;
mod identity;
pub mod pki;
mod reverse;
mod server;
mod slots;
mod text;

pub use client_id::{ClientId, ClientName, NotAClient};
pub use config::{Config, ConfigError};
pub use embedded::Demo;
pub use identity::IdentityFields;
pub use server::{Counter, Gateway, Stats, Stopped};
