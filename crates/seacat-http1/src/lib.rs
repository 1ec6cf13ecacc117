//! HTTP/1.1 messages (RFC 9112): heads, framing and bodies. Bytes in, bytes out, no I/O.
//!
//! ```text
//!   bytes ──► RequestReader ──► RequestHead  ──► Framing ──┐
//!   bytes ──► ResponseReader ─► ResponseHead ──► Framing ──┴──► BodyDecoder ──► content
//!
//!   head  ──► encode::request_head, encode::response_head ──► bytes
//! ```
//!
//! * Requests are read strictly: a request that two readers could understand differently is
//!   refused, because a request can be smuggled.
//! * Responses are read tolerantly: a gateway writes them anew, so a harmless fault of an old
//!   server is mended. What is still refused carries a [`Violation`] that names the rule.
//! * Field names keep their spelling. They are compared without regard to case.
//! * [`hop_by_hop`] holds the one table of fields that concern a single connection.

mod authority;
mod body;
pub mod encode;
mod fields;
mod framing;
pub mod hop_by_hop;
mod line;
pub mod login;
mod request;
mod response;
pub mod syntax;
mod target;
mod violation;

pub use authority::Authority;
pub use body::{BodyDecoder, Decoded};
pub use fields::{Fields, is};
pub use framing::{Framing, expects_continue, keeps_alive, parse_length};
pub use request::{
    MAX_REQUEST_FIELDS, MAX_REQUEST_HEAD, MAX_REQUEST_LINE, RequestHead, RequestReader,
};
pub use response::{MAX_RESPONSE_HEAD, ResponseHead, ResponseReader};
pub use target::Target;
pub use violation::{Rule, Violation};
