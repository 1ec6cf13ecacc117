//! A small, real SeaCat gateway.
//!
//! Clients hold one TLS connection each and open a stream for every request; each stream names a
//! host, and the gateway passes it on to the back end that is configured for that host.
//!
//! ```text
//!   client ══TLS══► server ─► connection ─► exchange ─┬─► backend ──HTTP/1.1──► back end
//!                   accept    one client    one       ├─► tunnel ◄──bytes──► (CONNECT, Upgrade)
//!                                           request   └─► builtin
//! ```
//!
//! | module | what it knows |
//! |---|---|
//! | [`config`] | what the configuration file may say |
//! | [`pki`] | certificates and TLS settings |
//! | `head` | heads both ways: fields, framing, the two names of a host |
//! | `exchange` | how one request is answered, or not |
//! | `backend` | connections to back ends: kept, bound to a login, or new |
//! | `fault` | answers that say why there is no other |
//! | [`enroll`] | how clients get certificates, and who has one |
//! | `identity` | who makes a request |
//! | `places` | how many connections there may be, for whom, and who gives way |
//! | `reverse` | ports here that lead to ports of clients |
//! | [`embedded`] | a gateway inside another program |
//!
//! There is no flow control on the wire. A reply is therefore read from its back end only while
//! its stream's queue has room: a client that reads slowly slows its own back end and nothing else.

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
mod places;
mod reverse;
mod server;
mod text;

pub use client_id::{ClientId, ClientName, NotAClient};
pub use config::{Config, ConfigError};
pub use embedded::Demo;
pub use identity::IdentityFields;
pub use server::{Counter, Gateway, Stats, Stopped};
