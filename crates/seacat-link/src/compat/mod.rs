//! The transport for peers of the reference era, through OpenSSL.
//!
//! The published reference client offers one cipher suite, ECDHE-RSA-AES256-SHA384 with CBC
//! (0xC028, wire spec 0), which rustls does not have. This backend offers that suite in addition to
//! more secure ones, and always prefers the latter. Certificates are verified by the same verifiers
//! as with rustls: OpenSSL only builds the chain.

mod config;
mod error;
mod session;

pub use config::{ClientConfig, Identity, ServerConfig};
pub use session::Session;

/// The supported suites by IANA's names, in order of preference: TLS 1.3, then 1.2 with an AEAD,
/// then the one of the reference era.
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

/// The only suite of the reference client, 0xC028. Encrypt-then-MAC (RFC 7366) removes its main
/// weakness if the peer supports it; OpenSSL offers it automatically.
pub const REFERENCE_SUITE: &str = "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384";
