//! Two ends of a connection over real TLS on loopback. Every story is told with every backend.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test
#![allow(clippy::duplicate_mod, reason = "the same scenarios, with another TLS")]

#[cfg(feature = "compat")]
mod compat;
mod modern;
mod pki;
