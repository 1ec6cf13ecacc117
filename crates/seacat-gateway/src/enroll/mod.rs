//! Enrolment: clients ask for certificates and get them, or not.
//!
//! ```text
//!   connection ─CSR, CERT_QUERY─► desk ─► registrar ─► policy      what is right
//!                                             │  └───► ca          makes certificates
//!                                             ▼
//!   seacat-gateway approve … ────────────► store ─► disk           one file a client
//!                                             │
//!   a TLS handshake ──────────────────────► revoked                what was taken back
//! ```
//!
//! The rule of the house: nothing is said to a client before it is on the disk for good.

mod ca;
#[cfg(test)]
mod crash_tests;
mod desk;
mod disk;
mod policy;
mod record;
mod registrar;
mod request;
mod revoked;
mod store;
mod watch;

pub use ca::ClientCa;
pub(crate) use desk::Desk;
pub use policy::{Mode, Policy};
pub(crate) use record::NotListed;
pub use record::{Pointless, Record, State};
pub(crate) use registrar::{Registrar, Shown};
pub use request::About;
pub use revoked::Revoked;
pub use store::{Store, StoreError, WishError};
pub(crate) use watch::Watch;
