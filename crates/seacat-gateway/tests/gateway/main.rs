//! The whole gateway over real TLS on loopback: a SeaCat client in front, small origins behind.

#![allow(clippy::unwrap_used, reason = "a scenario that cannot go on fails")]

mod answer_rows;
mod answers;
mod connections;
mod enroll;
mod kept;
mod logins;
mod program;
mod reference;
mod requests;
mod support;
mod tls;
mod tunnels;
