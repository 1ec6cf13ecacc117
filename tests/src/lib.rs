//! Tests with real clients, servers, TLS and processes.
//!
//! The library starts the processes and waits until each is ready; the scenarios are in `tests/`:
//!
//! ```text
//! client ─► seacat-proxy run ─TLS─► seacat-gateway run ─► nginx | Origin | python3-websockets
//!           (Proxy)                 (Gateway)             (what a scenario needs)
//! ```
//!
//! Nothing here waits by sleeping for a guessed time: [`wait_for`] polls the thing itself. Every
//! process has a scratch folder, a home and ports of its own, and ends when its value is dropped.
//! When a test fails, the output of the processes is printed.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test says what it measured")]
#![allow(
    clippy::unwrap_used,
    reason = "a harness that cannot go on fails the test, and says where"
)]

mod apache;
mod balancer;
mod capture;
mod channel_tls;
mod desktop;
mod dns;
mod gateway;
mod http;
mod installation;
mod kerberos;
mod leak;
mod load;
mod nginx;
mod origin;
mod pki;
mod place;
mod postgres;
mod process;
mod proxy;
mod session;
mod sockets;
mod squid;
mod system;
mod terminal;
mod tray;
mod webdriver;
mod world;

pub use apache::Apache;
pub use balancer::Balancer;
pub use capture::{Capture, tshark};
pub use channel_tls::ChannelTls;
pub use desktop::Desktop;
pub use dns::{Dns, GATEWAY_ZONE, HOST_ZONE};
pub use gateway::{Gateway, Host};
pub use http::{Answer, Client, request};
pub use installation::Installation;
pub use kerberos::Kerberos;
pub use leak::Secrets;
pub use load::{Ending, Kind, Load, RequestRecord, posts_seen};
pub use nginx::{HELLO, Nginx};
pub use origin::{Origin, Seen};
pub use pki::{Day, write_pki};
pub use place::{
    PROGRAMS, binary, clean_command, for_proxy, free_port, identity_folder, is_under_wine,
    node_modules, program_file, program_folder, program_output, python_with_packages, scratch,
    sha256_of, sha256_of_file, target_folder, user_command,
};
pub use postgres::Postgres;
pub use process::{Process, wait_for};
pub use proxy::Proxy;
pub use session::Session;
pub use sockets::established_to;
pub use squid::{SQUID_USER, Squid};
pub use system::{System, USER, succeed};
pub use terminal::Terminal;
pub use tray::{Line, TrayIcon};
pub use webdriver::Window;
pub use world::World;
