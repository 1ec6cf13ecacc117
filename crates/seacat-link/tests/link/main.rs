//! Two ends of a connection over real TLS on loopback. Every scenario runs with every TLS library.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test
#![allow(clippy::duplicate_mod, reason = "the same scenarios, with another TLS")]

#[cfg(feature = "compat")]
mod compat;
mod modern;
mod pki;
