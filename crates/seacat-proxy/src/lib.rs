//! An HTTP/1.1 proxy on loopback in front of a SeaCat channel.
//!
//! ```text
//!   client ─► server ─┬─► policy   may it be served, and where does it go?
//!                     ├─► forward ─┬─► channel
//!                     │            └─► direct
//!                     └─► pages, fault
//! ```
//!
//! * One HTTP/1 server for every kind of request, `server`. What it reads and writes is defined in
//!   `seacat-http1`: a request can be understood in one way only.
//! * A response's body owns its exchange: when a client disconnects, its stream is reset.
//! * Errors become HTTP in one place, `fault`, from one table, [`error_table`].
//! * Who may use a port (which web pages, which local users) is `policy`.
//! * Which program has sent a request is looked up in `programs`, when a client asks or it failed.
//!
//! Client trailers are dropped: the wire has no place for them.

mod access;
mod config;
mod errors;
mod fault;
mod forward;
mod minutes;
mod pages;
mod policy;
mod programs;
mod request_code;
mod response;
mod server;
#[cfg(target_os = "linux")]
mod sock_diag;

pub use access::{AccessLine, AccessLog, Answerer, Route};
pub use config::{Credentials, DEFAULT_PORT, Limits, MappedPort, ProxyConfig};
pub use errors::{Code, ErrorCode, error_table};
pub use minutes::{DAY, Minute};
pub use policy::origin::{InvalidOrigin, Origin};
pub use policy::routes::{Action, InvalidPattern, Pattern, Routes};
pub use policy::users::Users;
#[cfg(target_os = "linux")]
pub use programs::process_with_socket;
pub use programs::{Looking, Program, Programs};
pub use request_code::{InvalidRequestCode, RequestCode};
pub use server::{BindError, Drained, Handle, Proxy, is_port_taken};
