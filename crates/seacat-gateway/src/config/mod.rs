//! The gateway's configuration: the file, parsed into validated values.
//!
//! The file is TOML. Unknown keys are refused, and every error names the file, the line and what
//! to do about it. Paths in it are relative to the file itself.

mod connect;
mod file;
mod target;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderValue;
use seacat_files::read_text;
use seacat_link::ServerTls;

use crate::builtin::Builtin;
use crate::client_id::ClientName;
#[cfg(feature = "postgres")]
use crate::enroll::Postgres;
use crate::enroll::{ClientCa, Policy, Revoked, Store, StoreError};
use crate::identity::IdentityFields;
pub use connect::Connect;
use file::File;
use target::Origin;

/// Everything a gateway needs to run.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address that clients connect to. Port 0 selects a free one, see
    /// [`crate::Gateway::local_addr`].
    pub listen: SocketAddr,
    /// The certificate, its key and the verification of client certificates.
    pub tls: ServerTls,
    /// Where clients have their identities from.
    pub identities: Identities,
    /// The fields by which back ends receive a client's identity.
    pub identity_fields: IdentityFields,
    /// The hosts a client may name. Names are compared without regard to ASCII case.
    pub hosts: BTreeMap<String, Host>,
    /// Ports of this machine that are forwarded to ports of clients.
    pub reverse: BTreeMap<String, Reverse>,
    /// The limits.
    pub limits: Limits,
    /// Worker threads of the binary's runtime.
    pub threads: usize,
}

/// Where clients have their identities from.
#[derive(Debug, Clone)]
pub enum Identities {
    /// None: all clients are anonymous, whatever certificate they present.
    None,
    /// A certificate issued by `client_ca`, which the TLS settings verify.
    ClientCa,
    /// A certificate issued by this gateway.
    Enroll(Enroll),
}

/// `[enroll]`: what an enrolling gateway needs.
#[derive(Debug, Clone)]
pub struct Enroll {
    /// The rules.
    pub policy: Policy,
    /// Where the clients' records are stored.
    pub state: StateAt,
    /// The CA that signs their certificates.
    pub ca: Arc<ClientCa>,
    /// The revoked certificates, which the TLS handshake refuses.
    pub revoked: Revoked,
}

/// Where the clients' records are stored.
#[derive(Debug, Clone)]
pub enum StateAt {
    /// In a folder, which is created if necessary.
    Folder(PathBuf),
    /// In a PostgreSQL database, which several gateways share.
    #[cfg(feature = "postgres")]
    Postgres(Box<Postgres>),
    /// In memory, until the gateway ends.
    Memory,
}

impl StateAt {
    /// Opens the records.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Panics
    /// For a database, on a thread of a tokio runtime.
    pub fn open(&self) -> Result<Store, StoreError> {
        match self {
            Self::Folder(folder) => Store::open(folder),
            #[cfg(feature = "postgres")]
            Self::Postgres(database) => Store::connect(database),
            Self::Memory => Ok(Store::in_memory()),
        }
    }
}

/// One `[host.NAME]`: what a host name stands for.
#[derive(Debug, Clone)]
pub struct Host {
    /// The server for ordinary requests; `None` when the host accepts CONNECT only.
    pub backend: Option<Backend>,
    /// The targets of CONNECT; `None` refuses it.
    pub connect: Option<Connect>,
    /// How long a back end may take to accept a TCP connection.
    pub connect_timeout: Duration,
    /// Whether it requires an identity. Anonymous clients are answered 403.
    pub identity: bool,
}

/// The server for a host's requests.
#[derive(Debug, Clone)]
pub enum Backend {
    /// An HTTP/1.1 server.
    Http(Upstream),
    /// A page of the gateway itself.
    Builtin(Builtin),
}

/// An HTTP/1.1 back end.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Host and port of the `uri`, as written.
    pub authority: String,
    /// The `Host` field sent to it; `None` sends the one that the application typed.
    pub host_header: Option<HeaderValue>,
    /// How long to wait for the head of the response. The time starts when the client has sent its
    /// whole request.
    pub response_timeout: Duration,
    /// How long either side may pause in the middle of a body.
    pub body_timeout: Duration,
    /// Whether a client may upgrade a request (WebSocket).
    pub upgrade: bool,
    /// Send the client's address to the back end in `X-Forwarded-For`.
    pub x_forwarded_for: bool,
    /// Send the typed host to the back end in `X-Forwarded-Host`, `-Proto` and `-Port`.
    pub x_forwarded_host: bool,
    /// Whether the `Via` of earlier proxies is forwarded. Some servers (nginx, IIS) do not compress
    /// responses to a request that has one.
    pub via: bool,
}

/// One `[reverse.NAME]`: a port of this machine that is forwarded to a port of a client.
#[derive(Debug, Clone)]
pub struct Reverse {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The client that connections are forwarded to while it is connected and identified.
    pub client: ClientName,
    /// The port number in the client's configuration.
    pub port: u16,
}

/// A `host:port` to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// The limits of a gateway, each with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Concurrent client connections whose handshake is done; at most half of them for clients
    /// without an identity, if there are identities. A connection that gets no slot is closed at
    /// once, so its client backs off.
    pub connections: usize,
    /// Bytes of memory for all clients together, see [`seacat_link::Budget`].
    pub memory: u64,
    /// Bytes of temporary files for all clients together: bodies that a slow back end has not read,
    /// from clients without flow control.
    pub spool: u64,
    /// File descriptors for all clients together: their sockets, those to back ends, files.
    pub descriptors: u64,
    /// How long a client without an identity may be idle.
    pub stranger_idle: Duration,
    /// Concurrent streams of one connection. Each may queue 64 KiB of response for a client that
    /// reads slowly, so this bounds a connection's memory. Further streams are refused (RST 3).
    pub streams: usize,
    /// From TCP accepted to TLS established. Bounds clients that connect and send nothing.
    pub handshake_timeout: Duration,
    /// How long active streams may take to end after the gateway was asked to stop.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            memory: 512 * 1024 * 1024,
            spool: 1024 * 1024 * 1024,
            descriptors: seacat_link::descriptors::for_peers(),
            // A client in use reconnects at once; one that is not in use does not hold a slot
            // indefinitely.
            stranger_idle: Duration::from_secs(3600),
            streams: 1024,
            handshake_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

impl Host {
    /// A back end accepts the first SYN or one of the first two retransmissions (1 s + 2 s).
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

    /// A host with this back end and the defaults.
    pub fn new(backend: Backend) -> Self {
        Self {
            backend: Some(backend),
            connect: None,
            connect_timeout: Self::CONNECT_TIMEOUT,
            identity: false,
        }
    }
}

impl Upstream {
    /// What HTTP servers and proxies commonly allow.
    pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
    /// Long enough for answers that are seldom continued (events, logs), as squid's `read_timeout`.
    pub const BODY_TIMEOUT: Duration = Duration::from_secs(15 * 60);

    /// A back end at `http://host:port` with the defaults.
    ///
    /// # Errors
    /// A description of what is wrong with `uri`.
    pub fn new(uri: &str) -> Result<Self, String> {
        let origin = Origin::from_str(uri)?;
        Ok(Self {
            endpoint: origin.endpoint,
            authority: origin.authority,
            host_header: None,
            response_timeout: Self::RESPONSE_TIMEOUT,
            body_timeout: Self::BODY_TIMEOUT,
            upgrade: false,
            x_forwarded_for: false,
            x_forwarded_host: false,
            via: true,
        })
    }
}

/// What is wrong with a configuration file, and where.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {what}", path.display(), line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct ConfigError {
    /// The configuration file.
    pub path: PathBuf,
    /// The line at fault, from 1, when there is one.
    pub line: Option<usize>,
    /// What is wrong and what to do about it.
    pub what: String,
}

impl Config {
    /// Reads a configuration file and the certificates it names.
    ///
    /// # Errors
    /// The first thing that is wrong with any of them.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let error = |line, what: String| ConfigError { path: path.to_owned(), line, what };
        let text = read_text(path).map_err(|io| {
            error(None, format!("{io}; `seacat-gateway init DIR` makes a configuration"))
        })?;
        let line = |at: usize| Some(1 + text[..at.min(text.len())].matches('\n').count());
        let file: File = toml::from_str(&text).map_err(|toml| {
            error(toml.span().and_then(|span| line(span.start)), toml.message().to_owned())
        })?;
        let base = path.parent().unwrap_or(Path::new(""));
        file.resolve(base).map_err(|wrong| error(line(wrong.at), wrong.what))
    }
}
