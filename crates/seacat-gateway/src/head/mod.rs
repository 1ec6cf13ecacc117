//! Heads: SeaCat to HTTP/1.1 and back.
//!
//! SeaCat heads carry their fields as they are, and no framing: FIN ends a body. HTTP/1.1 towards
//! the back end needs framing, and has fields that concern one connection alone, by the table of
//! [`seacat_http1::hop_by_hop`]. Names keep their spelling in both directions.

mod names;
mod request;
mod response;

pub(crate) use names::Names;
pub(crate) use request::{Follows, Outgoing, to_backend};
pub(crate) use response::to_client;

use seacat_http1::hop_by_hop::is_hop_by_hop;
use seacat_http1::is;

/// Whether HTTP itself and the gateway have no use for a field of this name.
pub(crate) fn is_free(name: &[u8]) -> bool {
    !is_hop_by_hop(name) && !["content-length", "host"].iter().any(|known| is(name, known))
}
