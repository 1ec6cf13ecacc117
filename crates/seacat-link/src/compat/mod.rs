//! The transport for peers of the reference era, through OpenSSL.
//!
//! The published reference client offers one cipher suite, ECDHE-RSA-AES256-SHA384 with CBC
//! (0xC028, wire spec 0), which rustls does not have. This backend knows that suite beside those
//! that are safer, and always prefers the safer ones. What it does not do is decide whom to
//! believe: OpenSSL builds the chain, and the same judge as for rustls says yes or no to it
//! before the handshake goes on.

mod config;
mod error;
mod session;

pub use config::{ClientConfig, Identity, ServerConfig};
pub use session::Session;

/// The suites we know, by IANA's names, the ones we like best first: TLS 1.3, then 1.2 with an
/// AEAD, then the one of the reference era.
pub const SUITES: [&str; 10] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    REFERENCE_SUITE,
];

/// The only suite of the reference client, 0xC028. Encrypt-then-MAC (RFC 7366) takes the worst
/// from it where the peer knows that too; OpenSSL offers it by itself.
pub const REFERENCE_SUITE: &str = "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384";
