//! Conversion of heads between SeaCat and HTTP/1.1.
//!
//! SeaCat heads contain end-to-end fields and no framing: FIN ends a body. HTTP/1.1 towards the
//! back end needs framing and has hop-by-hop fields, listed in [`seacat_http1::hop_by_hop`]. The
//! spelling of names is preserved in both directions.

mod names;
mod request;
mod response;

pub(crate) use names::Names;
pub(crate) use request::{Follows, Outgoing, to_backend};
pub(crate) use response::to_client;

use seacat_http1::hop_by_hop::is_hop_by_hop;
use seacat_http1::is;

/// Whether neither HTTP itself nor the gateway uses a field of this name.
pub(crate) fn is_free(name: &[u8]) -> bool {
    !is_hop_by_hop(name) && !["content-length", "host"].iter().any(|known| is(name, known))
}
