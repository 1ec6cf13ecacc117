//! Who may use a port on this computer. A loopback port is open to every program of every user, and
//! to every web page in every browser, so each is checked:
//!
//! * [`origin`]: which web pages may send requests, for each request;
//! * [`users`]: which local users may connect, once for each connection.

pub(crate) mod origin;
pub(crate) mod users;
