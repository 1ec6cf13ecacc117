//! Enrolment: clients ask for certificates and get them, or not.
//!
//! ```text
//!   connection ─CSR, CERT_QUERY─► desk ─► registrar ─► policy      what is right
//!                                             │  └───► ca          makes certificates
//!                                             ▼
//!   seacat-gateway approve … ────────────► store ─► a folder, or PostgreSQL
//!                                             │
//!   a TLS handshake ──────────────────────► revoked                what was taken back
//! ```
//!
//! A client is sent no answer before what it says is durable.

mod ca;
#[cfg(test)]
mod crash_tests;
mod desk;
mod platform;
mod policy;
mod record;
mod registrar;
mod request;
mod revoked;
mod store;

pub use ca::ClientCa;
pub(crate) use desk::Desk;
pub use policy::{Mode, Policy};
pub(crate) use record::NotListed;
pub use record::{Pointless, Record, State};
pub(crate) use registrar::{Registrar, Shown};
pub use request::About;
pub use revoked::Revoked;
pub(crate) use store::Watch;
#[cfg(feature = "postgres")]
pub use store::{InvalidDatabase, Postgres};
pub use store::{Store, StoreError, WishError};
