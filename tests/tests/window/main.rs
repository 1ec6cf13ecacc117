//! The real window on a real desktop (Xvfb, a session bus, openbox, xfce4-panel), driven through WebKit's
//! driver over a real `seacat-proxy app`; gateways and origins are processes and sockets of their own.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a scenario fails where it cannot go on, and says what it measured"
)]

mod layout;
mod list;
mod pictures;
mod scenarios;
mod session;
mod shell;
mod truth;
