//! Enrolment: clients request certificates.
//!
//! ```text
//!   connection ─CSR, CERT_QUERY─► session ─► registrar ─► policy      what is right
//!                                             │  └───► ca          makes certificates
//!                                             ▼
//!   seacat-gateway approve … ────────────► store ─► a folder, or PostgreSQL
//!                                             │
//!   a TLS handshake ──────────────────────► revoked                what was taken back
//! ```
//!
//! An answer is sent only after the change it reports is durable.

mod ca;
#[cfg(test)]
mod crash_tests;
mod platform;
mod policy;
mod record;
mod registrar;
mod request;
mod revoked;
mod session;
mod store;

pub use ca::ClientCa;
pub use policy::{Mode, Policy};
pub(crate) use record::NotListed;
pub use record::{NotApplicable, Record, State};
pub(crate) use registrar::{PresentedCertificate, Registrar};
pub use request::About;
pub use revoked::Revoked;
pub(crate) use session::EnrollmentSession;
pub(crate) use store::Watch;
pub use store::{AdminError, Store, StoreError};
#[cfg(feature = "postgres")]
pub use store::{InvalidDatabase, Postgres};
