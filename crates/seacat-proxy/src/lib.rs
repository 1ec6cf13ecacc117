//! An HTTP/1.1 proxy on loopback in front of a SeaCat channel.
//!
//! ```text
//!                 ┌─► plain (head, respond) ──────────────┐
//!   client ─► listener                                      ├─► service ─► forward ─► channel
//!                 └─► gated (gate: strict, head) ─► hyper ──┘      │  target, routes,  └► direct
//!                                                     ▲            │  headers, pages, reply
//!                                                     └─── body ───┘
//! ```
//!
//! * A request without a body takes the short way, [`plain`]; hyper does the others.
//! * What hyper reads has passed the [`gate`](gate::Gate), and what takes the short way the same
//!   strict reading: it can be understood in one way only.
//! * An answer's body owns its exchange: a client that goes away resets its stream.
//! * Who may use a port (which web pages, which local users) is `policy`.
//! * Errors become HTTP in one place, `reply`, from one table, [`error_table`].
//! * Both ways hand the service the same values, `message`; hyper's maps end at `service`'s border.
//! * Fields are a flat list, `fields`, and travel by one table of hop-by-hop rules, `headers`.
//!
//! Client trailers are dropped: the wire has no place for them.

mod access;
mod activity;
mod auth;
mod body;
mod config;
mod direct;
mod errors;
mod fields;
mod forward;
mod gate;
#[cfg(test)]
mod gate_tests;
mod gated;
mod head;
mod headers;
mod listener;
mod message;
mod pages;
mod plain;
mod policy;
mod ports;
mod reply;
mod respond;
mod routes;
mod service;
mod syntax;
mod target;
mod tunnel;

pub use access::{AccessLine, AccessLog, Route};
pub use config::{Credentials, DEFAULT_PORT, Limits, MappedPort, ProxyConfig};
pub use errors::{Code, ErrorCode, error_table};
pub use listener::{Drained, Proxy, Reins};
pub use policy::origin::{InvalidOrigin, Origin};
pub use policy::users::Users;
pub use ports::BindError;
pub use routes::{Action, InvalidPattern, Pattern, Routes};
