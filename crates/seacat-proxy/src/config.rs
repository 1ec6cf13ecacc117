//! The configuration of a proxy: plain values, filled in by the application.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::policy::origin::Origin;
use crate::policy::routes::Routes;
use crate::policy::users::Users;

/// The default port of a SeaCat proxy.
pub const DEFAULT_PORT: u16 = 3128;

/// Everything [`Proxy::bind`](crate::Proxy::bind) needs.
#[derive(Debug)]
pub struct ProxyConfig {
    /// Where to listen as an HTTP proxy. Port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Listeners that are bound already (by a service manager, or kept over a restart); each is
    /// served as a proxy port.
    pub inherited: Vec<std::net::TcpListener>,
    /// Allow addresses other than loopback in `listen`. Needs `credentials`.
    pub allow_remote: bool,
    /// Demand these of every request to the proxy ports.
    pub credentials: Option<Credentials>,
    /// Which local users are served, where the system names them. Proxy ports with `credentials`
    /// serve every local user who has these.
    pub users: Users,
    /// Ports for one host of the gateway each. Loopback only: they cannot ask for credentials.
    pub mapped: Vec<MappedPort>,
    /// The routes by host.
    pub routes: Routes,
    /// Bounds on what clients may use.
    pub limits: Limits,
}

impl Default for ProxyConfig {
    /// 127.0.0.1 and ::1, port 3128, everything to the gateway.
    fn default() -> Self {
        ProxyConfig {
            listen: vec![
                (Ipv4Addr::LOCALHOST, DEFAULT_PORT).into(),
                (Ipv6Addr::LOCALHOST, DEFAULT_PORT).into(),
            ],
            inherited: Vec::new(),
            allow_remote: false,
            credentials: None,
            users: Users::default(),
            mapped: Vec::new(),
            routes: Routes::default(),
            limits: Limits::default(),
        }
    }
}

/// A user name and a password (Basic, RFC 7617). Not printed by `Debug`.
#[derive(Clone)]
pub struct Credentials {
    /// The user name; it cannot contain a colon.
    pub user: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// A port for applications that take only a base URL: `127.0.0.1:8081 -> host erp`.
#[derive(Debug, Clone)]
pub struct MappedPort {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The host as the gateway names it.
    pub host: String,
    /// The origins of web pages that may send requests to it, beside its own.
    pub allow_origins: Vec<Origin>,
}

/// Bounds on what clients may use. Every one has a default with a reason.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Client connections at once; more get a quick 503. The default, 4096, is far beyond what
    /// applications on one computer open and well below what a process may have of files.
    pub connections: usize,
    /// A request head must be complete this long after its first byte. Default 15 s: a local
    /// client has no network to wait for.
    pub head: Duration,
    /// A connection with nothing to do is closed after one to two times this. Default 2 min,
    /// more than the 60 to 90 s after which common clients close by themselves.
    pub idle: Duration,
    /// The largest request body, in bytes. Default none: bodies are streamed, not stored.
    pub body: Option<u64>,
    /// A client that stops in the middle of a request body is given up after this. Default
    /// [`Limits::BODY_PAUSE`].
    pub body_pause: Duration,
    /// Name resolution and connecting on a direct route, together. Default 10 s, as a request
    /// waits for the channel.
    pub direct_connect: Duration,
}

impl Limits {
    /// Squid's `read_timeout`, and what our gateway grants the body of a response: long enough for uploads
    /// that are made while they are sent.
    pub const BODY_PAUSE: Duration = Duration::from_secs(15 * 60);
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 4096,
            head: Duration::from_secs(15),
            idle: Duration::from_secs(120),
            body: None,
            body_pause: Self::BODY_PAUSE,
            direct_connect: Duration::from_secs(10),
        }
    }
}
