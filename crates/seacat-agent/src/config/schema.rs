//! The configuration as types that cannot be wrong, with their defaults. How each value is read, checked
//! and shown is in [`settings`](super::settings).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use seacat_channel::ReversePort;
use seacat_channel::identity::{FACTS, KeySize, Subject};
use seacat_channel::{ConnectBy, DEFAULT_PORT, Discovery, Tls};
use seacat_proxy::{Action, Origin, Pattern};

use super::settings::{LEVELS, word_of};

/// The whole configuration, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// The local side.
    pub proxy: Proxy,
    /// Where requests go, in order; the first match decides, otherwise the gateway.
    pub routes: Vec<Route>,
    /// The gateways.
    pub gateways: Vec<Gateway>,
    /// How the channel behaves.
    pub channel: Channel,
    /// The proxy on the way out of this network.
    pub upstream: Upstream,
    /// Who this computer is towards the gateway.
    pub identity: Identity,
    /// The ports of this computer that the gateway may ask for.
    pub reverse: Vec<ReversePort>,
    /// The log file.
    pub log: Log,
    /// What is seen on the desktop.
    pub desktop: Desktop,
}

/// `[proxy]`: the local side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// The addresses to listen on.
    pub listen: Vec<IpAddr>,
    /// The port on each of them; 0 takes a free one.
    pub port: u16,
    /// Whether addresses other than loopback are allowed.
    pub allow_remote: bool,
    /// The file with `user:password` that clients must show.
    pub credentials_file: Option<PathBuf>,
    /// Other local users who are served: names, ids, or `*`.
    pub users: Vec<String>,
    /// How many client connections at once.
    pub max_connections: u32,
    /// Ports for applications that take only a base URL.
    pub map: Vec<Map>,
}

impl Default for Proxy {
    fn default() -> Self {
        Self {
            listen: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            port: 3128,
            allow_remote: false,
            credentials_file: None,
            users: Vec::new(),
            max_connections: 4096,
            map: Vec::new(),
        }
    }
}

/// `[[proxy.map]]`: a local port that stands for one host of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The host as the gateway names it.
    pub host: String,
    /// The origins of web pages that may send requests to it, beside its own.
    pub allow_origins: Vec<Origin>,
}

impl Default for Map {
    fn default() -> Self {
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        Self { listen, host: String::new(), allow_origins: Vec::new() }
    }
}

/// `[[route]]`: where requests for some hosts go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Which hosts.
    pub pattern: Pattern,
    /// Where to.
    pub to: Action,
}

impl Default for Route {
    fn default() -> Self {
        let everything = "*".parse().expect("a pattern by definition");
        Self { pattern: everything, to: Action::default() }
    }
}

/// `[[gateway]]`: one far end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// What people call it; its host name when absent.
    pub name: Option<String>,
    /// Its host name, which its certificate must carry.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Where to find it without asking DNS.
    pub address: Option<IpAddr>,
    /// What to ask DNS for instead of a host.
    pub discover: Option<Discovery>,
    /// A file with the private CA that issues its certificate.
    pub ca_file: Option<PathBuf>,
    /// The same, pasted.
    pub ca_pem: Option<String>,
    /// `sha256/` and the base64 of the SHA-256 of its public key; one of them must fit.
    pub pins: Vec<String>,
    /// Lower is tried first.
    pub priority: u16,
    /// The share among gateways of equal priority.
    pub weight: u16,
    /// Which TLS is spoken with it.
    pub tls: Tls,
    /// Gateways of one group share an identity of this computer.
    pub group: Option<String>,
}

impl Gateway {
    /// Neither a host nor a way to find one.
    pub(crate) fn is_nothing(&self) -> bool {
        self.host.is_empty() && self.discover.is_none()
    }
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            name: None,
            host: String::new(),
            port: DEFAULT_PORT,
            address: None,
            discover: None,
            ca_file: None,
            ca_pem: None,
            pins: Vec::new(),
            priority: 0,
            weight: 0,
            tls: Tls::default(),
            group: None,
        }
    }
}

/// `[channel]`: how the lasting link behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// How long a request waits for the channel.
    pub wait: Duration,
    /// From one answered PING to the next.
    pub keepalive: Duration,
    /// How long requests may finish when the program stops.
    pub drain: Duration,
    /// Memory for bodies and heads that wait, in bytes.
    pub memory: u64,
    /// Whom to ask for discovered gateways; the system's name servers when empty.
    pub dns_servers: Vec<SocketAddr>,
}

impl Default for Channel {
    fn default() -> Self {
        Self {
            wait: seacat_channel::DEFAULT_WAIT,
            keepalive: Duration::from_secs(30),
            drain: Duration::from_secs(10),
            memory: 128 << 20,
            dns_servers: Vec::new(),
        }
    }
}

/// `[upstream]`: the proxy on the way out of this network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upstream {
    /// Which one.
    pub proxy: UpstreamProxy,
    /// The file with `user:password` that it is shown.
    pub credentials_file: Option<PathBuf>,
    /// What it is told of the gateway.
    pub connect_by: ConnectBy,
}

/// Which proxy gateways are reached through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum UpstreamProxy {
    /// None.
    #[default]
    None,
    /// The one that the environment names, if it names one.
    Environment,
    /// The one at this URL, which was checked and holds no credentials.
    Url(String),
}

/// `[identity]`: who this computer is towards the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// When a certificate is asked for.
    pub enroll: Enroll,
    /// Where the private key goes.
    pub key_store: KeyStore,
    /// The bits of a new key.
    pub key_bits: KeySize,
    /// Whom the certificate shall be for.
    pub subject: Subject,
    /// The keys of what the gateway is told about this computer.
    pub characteristics: Vec<String>,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            enroll: Enroll::Auto,
            key_store: KeyStore::System,
            key_bits: KeySize::default(),
            subject: Subject::default(),
            characteristics: FACTS.iter().map(|(key, _)| (*key).to_owned()).collect(),
        }
    }
}

/// When a certificate is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enroll {
    /// By itself.
    Auto,
    /// When somebody says `enroll`; what was enrolled once is renewed by itself.
    Manual,
    /// Never: every connection is anonymous.
    Off,
}

/// Where the private key goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStore {
    /// The operating system's key store, or a private file where none answers.
    System,
    /// A private file.
    File,
}

/// `[log]`: the log file; the terminal follows the same level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// How much is written.
    pub level: Level,
    /// Whether a log file is written at all.
    pub file: bool,
    /// At which size the file is rotated.
    pub max_file: u64,
    /// What all log files together may take.
    pub max_total: u64,
    /// Whether requests that failed are kept for 24 hours.
    pub failed_requests: bool,
}

impl Default for Log {
    fn default() -> Self {
        let (max_file, max_total) = (2 << 20, 10 << 20);
        Self { level: Level::Info, file: true, max_file, max_total, failed_requests: true }
    }
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Failures only.
    Error,
    /// And what somebody should act on.
    Warn,
    /// And what the user can see change.
    Info,
    /// And decisions, with URLs.
    Debug,
    /// And every frame.
    Trace,
}

impl Level {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        word_of(&LEVELS, &self)
    }
}

/// `[desktop]`: what is seen on the desktop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desktop {
    /// Whether a person is told what needs one.
    pub notifications: bool,
    /// How the icon in the panel is painted.
    pub icon: IconTint,
    /// The language of the window.
    pub language: Language,
}

impl Default for Desktop {
    fn default() -> Self {
        Self { notifications: true, icon: IconTint::Colour, language: Language::System }
    }
}

/// How the icon in the panel is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IconTint {
    /// In colours that can be told from light and dark panels.
    Colour,
    /// White, for a dark panel.
    Light,
    /// Black, for a light panel.
    Dark,
}

/// The language of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// The desktop's, where it is one of ours, else English.
    System,
    /// English.
    English,
    /// Czech.
    Czech,
}
