//! rustls at both ends, which means TLS 1.3.

use seacat_link::{ClientTls, ServerTls};

use crate::pki::Pki;

#[path = "scenarios.rs"]
mod scenarios;

pub(crate) fn tls() -> (ClientTls, ServerTls) {
    (Pki::get().rustls_client().into(), Pki::get().rustls_server().into())
}

/// The same with TLS 1.3.
pub(crate) fn tls_13() -> (ClientTls, ServerTls) {
    tls()
}

/// How many encrypted records end the client's part of a handshake of TLS 1.3: the Finished.
pub(crate) const LAST_FLIGHT: usize = 1;

/// How long the record is that holds so much: one byte of type and a tag of 16 come to it.
pub(crate) fn sealed(length: usize) -> usize {
    length + 17
}
