//! What a channel has to know before it can start: plain values, filled in by the application,
//! checked by [`GatewayConfig::validate`] without touching the network or the disk.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, ServerName};

use crate::discovery::{Discovery, Target};
use crate::identity::IdentityConfig;
use crate::reverse::ReversePort;
use crate::upstream::{Upstream, authority};

/// The port of a gateway unless another is chosen: the one that most networks let through.
pub const DEFAULT_PORT: u16 = 443;

/// How long a request waits for a connection unless told otherwise.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(10);

/// Everything a [`Channel`](crate::Channel) is made from.
#[derive(Clone, Debug)]
pub struct ChannelConfig {
    /// The gateways, in any order: `priority` and `weight` decide. May be empty; the channel is
    /// then stopped until [`Channel::set_gateways`](crate::Channel::set_gateways).
    pub gateways: Vec<GatewayConfig>,
    /// How long a request that arrives while connecting waits before it fails.
    pub wait: Duration,
    /// Whether the channel dials at once, or is off until [`Channel::connect`](crate::Channel::connect).
    pub connect: bool,
    /// Memory for what waits to be sent to gateways or to be read by applications, in bytes.
    pub memory: u64,
    /// Keep-alive and limits of the wire protocol.
    pub proto: seacat_proto::Config,
    /// How gateways are found and reached.
    pub network: NetworkConfig,
    /// Who we are towards the gateways; `None` stays anonymous.
    pub identity: Option<IdentityConfig>,
    /// The ports of this computer that gateways may ask for; without them every wish is refused.
    pub reverse: Vec<ReversePort>,
    /// The seed for jitter and for the choice between gateways; `None` takes one from the system.
    pub seed: Option<u64>,
}

impl ChannelConfig {
    /// A channel to `gateways` with the defaults: dials at once, requests wait [`DEFAULT_WAIT`].
    #[must_use]
    pub fn new(gateways: Vec<GatewayConfig>) -> Self {
        Self {
            gateways,
            wait: DEFAULT_WAIT,
            connect: true,
            memory: seacat_link::LinkConfig::LIMITS.memory,
            proto: seacat_link::LinkConfig::client().proto,
            network: NetworkConfig::default(),
            identity: None,
            reverse: Vec::new(),
            seed: None,
        }
    }
}

/// How gateways are found and reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkConfig {
    /// The proxy on the way out, if there is one.
    pub upstream: Option<Upstream>,
    /// The name servers to ask for discovered gateways; empty asks the system's.
    pub dns_servers: Vec<SocketAddr>,
    /// Where the last good answer of DNS is kept for a start without it; made when it is missing.
    pub discovery_folder: Option<PathBuf>,
}

/// One gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayConfig {
    /// What people call it, in the status and in log lines.
    pub name: String,
    /// Its DNS name or IP address. The certificate must be for it. Of no meaning with `discover`.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// Dial this address and ask no resolver; the certificate must still be for `host`.
    pub address: Option<IpAddr>,
    /// Ask DNS for name, port and address: each target that is found is a gateway of its own, whose
    /// certificate must be for the target's name.
    pub discover: Option<Discovery>,
    /// Gateways with a lower number are tried first (RFC 2782).
    pub priority: u16,
    /// The share of a gateway among those of equal priority (RFC 2782).
    pub weight: u16,
    /// Which certificate is believed.
    pub trust: Trust,
    /// Which TLS is spoken. Never changed by itself.
    pub tls: Tls,
    /// Gateways of the same group share a client CA, and so one identity of ours; none: this gateway
    /// has one of its own.
    pub group: Option<String>,
}

/// Which TLS is spoken with a gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// TLS 1.3 and 1.2 with suites that are safe today, through rustls.
    #[default]
    Modern,
    /// The same and the one suite of the reference era (wire specification, section 0), through
    /// OpenSSL. Needs the cargo feature `compat`.
    Compat,
}

impl GatewayConfig {
    /// The gateway at `host`, port 443, trusted as any public web server is.
    #[must_use]
    pub fn new(host: impl Into<String>) -> Self {
        let host = host.into();
        Self {
            name: host.clone(),
            host,
            port: DEFAULT_PORT,
            address: None,
            discover: None,
            priority: 0,
            weight: 0,
            trust: Trust::default(),
            tls: Tls::default(),
            group: None,
        }
    }

    /// `host`, or `host:port` where the port is not 443; in lower case.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = self.host.to_ascii_lowercase();
        match self.port {
            DEFAULT_PORT if host.contains(':') => format!("[{host}]"),
            DEFAULT_PORT => host,
            port => authority(&host, port),
        }
    }

    /// A gateway that DNS announces, trusted by `trust`.
    #[must_use]
    pub fn discovered(discovery: Discovery, trust: Trust) -> Self {
        let name = discovery.question().unwrap_or_else(|_| discovery.app_id.clone());
        Self { name, discover: Some(discovery), trust, ..Self::new("") }
    }

    /// One of the targets that were found for this gateway, as a gateway of its own.
    pub(crate) fn at(&self, target: &Target) -> Self {
        let (host, port) = (target.host.clone(), target.port);
        Self { host, port, address: None, discover: None, ..self.clone() }
    }

    /// Checks everything that can be checked without network and disk.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<Vec<Warning>, ConfigError> {
        match &self.discover {
            None => drop(self.server_name()?),
            Some(discovery) => {
                discovery.question()?;
                // DNS is not authentic. Whoever forges an answer names a host of his own, for which
                // any public CA has given him a certificate (RFC 6125, section 6.2.1).
                if self.trust.roots == Roots::WebPki && self.trust.pins.is_empty() {
                    return Err(ConfigError::DiscoverTrust);
                }
            }
        }
        self.trust.parsed_pins()?;
        if self.tls == Tls::Compat && !cfg!(feature = "compat") {
            return Err(ConfigError::NoCompat);
        }
        if let Roots::Pem(pem) = &self.trust.roots {
            certificates_in(pem.as_bytes())?;
        }
        match self.port {
            0 => Err(ConfigError::Port),
            1..1024 if self.port != DEFAULT_PORT => {
                Ok(vec![Warning::Port { port: self.port, reachability: reachability(self.port) }])
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Whether a connection to `other` may stay when the settings become these.
    pub(crate) fn same_place(&self, other: &Self) -> bool {
        (&self.host, self.port, self.address, &self.discover, &self.trust, self.tls, &self.group)
            == (
                &other.host,
                other.port,
                other.address,
                &other.discover,
                &other.trust,
                other.tls,
                &other.group,
            )
    }

    pub(crate) fn server_name(&self) -> Result<ServerName<'static>, ConfigError> {
        ServerName::try_from(self.host.clone())
            .map_err(|_| ConfigError::Host { host: self.host.clone() })
    }
}

/// Which certificate of a gateway is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Who may have issued it.
    pub roots: Roots,
    /// Besides, its public key must be one of these, if there are any: `sha256/` and the base64
    /// of the SHA-256 over the certificate's SubjectPublicKeyInfo (RFC 7469 section 2.4).
    pub pins: Vec<String>,
}

/// Who may have issued a gateway's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// The CAs that browsers trust.
    #[default]
    WebPki,
    /// The CA certificates in this PEM file, and no others. The file is read when the gateway is
    /// dialled for the first time, and again when it has changed or did not lead to the gateway's
    /// certificate.
    File(PathBuf),
    /// The CA certificates in this PEM text, and no others.
    Pem(String),
}

impl Trust {
    pub(crate) fn parsed_pins(&self) -> Result<Vec<Pin>, ConfigError> {
        self.pins.iter().map(|pin| pin.parse()).collect()
    }
}

/// The SHA-256 of a SubjectPublicKeyInfo.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pin([u8; 32]);

impl Pin {
    pub(crate) fn of(spki: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, spki);
        let mut pin = [0; 32];
        pin.copy_from_slice(digest.as_ref());
        Self(pin)
    }
}

impl FromStr for Pin {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        text.strip_prefix("sha256/")
            .and_then(|base64| BASE64.decode(base64).ok())
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| ConfigError::Pin { pin: text.to_owned() })
    }
}

impl std::fmt::Display for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sha256/{}", BASE64.encode(self.0))
    }
}

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The certificates in a PEM text; at least one.
pub(crate) fn certificates_in(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| ConfigError::Pem(why_unreadable(&error).to_owned()))?;
    if certificates.is_empty() {
        return Err(ConfigError::Pem("no certificate in it".to_owned()));
    }
    Ok(certificates)
}

/// The library prints the lines it stumbles over as lists of numbers.
fn why_unreadable(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "its END line is missing",
        pem::Error::IllegalSectionStart { .. } => "its BEGIN line is not right",
        pem::Error::Base64Decode(_) => "what stands between BEGIN and END is not base64",
        _ => "it is not PEM",
    }
}

/// A gateway's settings that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Neither a DNS name nor an IP address.
    #[error("\"{host}\" is neither a host name nor an IP address")]
    Host {
        /// What was given.
        host: String,
    },
    /// What DNS is to be asked for cannot be asked.
    #[error("the gateway cannot be discovered: {0}")]
    Discover(String),
    /// DNS alone would decide whom to trust.
    #[error(
        "a discovered gateway needs its private CA or a pin: DNS says which name to dial, so the \
         name alone proves nothing"
    )]
    DiscoverTrust,
    /// Port 0.
    #[error("port 0 cannot be dialled")]
    Port,
    /// Not a pin.
    #[error("\"{pin}\" is not a pin: \"sha256/\" and the base64 of 32 bytes are expected")]
    Pin {
        /// What was given.
        pin: String,
    },
    /// `tls = "compat"` in a build without it.
    #[error(
        "tls = \"compat\" needs OpenSSL, and this seacat-proxy was built without: install a build \
         with the feature `compat`, or remove the setting"
    )]
    NoCompat,
    /// `tls = "compat"` with a key that OpenSSL cannot have.
    #[error("tls = \"compat\" cannot show our certificate: {0}")]
    CompatKey(String),
    /// The CA's PEM text or file cannot be used.
    #[error("the CA certificate cannot be used: {0}")]
    Pem(String),
}

/// Settings that work, but not everywhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// Many networks let few ports out.
    #[error("port {port} is reachable from about {reachability} % of networks, port 443 from 95 %")]
    Port {
        /// The port.
        port: u16,
        /// From how many networks of a hundred it was reachable when measured.
        reachability: u8,
    },
}

/// From how many networks of a hundred a port was reachable, as measured by TeskaLabs
/// ("TCP port for SeaCat"): 443: 95, 80: 67, a port of one's own: 86.
#[must_use]
pub fn reachability(port: u16) -> u8 {
    match port {
        DEFAULT_PORT => 95,
        80 => 67,
        _ => 86,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD_PIN: &str = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    #[test]
    fn what_validate_says() {
        let gateway = || GatewayConfig::new("gateway.example");
        let pinned = |pin: &str| Trust { pins: vec![pin.to_owned()], ..Trust::default() };
        let pem = |pem: &str| Trust { roots: Roots::Pem(pem.to_owned()), ..Trust::default() };
        let port = |port| Ok(vec![Warning::Port { port, reachability: reachability(port) }]);
        let text = |result: Result<Vec<Warning>, ConfigError>| match result {
            Ok(warnings) => format!("ok {warnings:?}"),
            Err(error) => error.to_string(),
        };
        let no_host = |host: &str| Err(ConfigError::Host { host: host.to_owned() });
        let no_pin = |pin: &str| Err(ConfigError::Pin { pin: pin.to_owned() });
        let discovery = || Discovery {
            app_id: "com.example.test".into(),
            platform: "py3".into(),
            ..Discovery::default()
        };
        let discovered = |trust| GatewayConfig::discovered(discovery(), trust);
        let cases: [(GatewayConfig, Result<Vec<Warning>, ConfigError>); 18] = [
            (discovered(pinned(GOOD_PIN)), Ok(vec![])),
            (discovered(Trust::default()), Err(ConfigError::DiscoverTrust)),
            (gateway(), Ok(vec![])),
            (GatewayConfig::new("192.0.2.1"), Ok(vec![])),
            (GatewayConfig::new("2001:db8::1"), Ok(vec![])),
            (GatewayConfig::new(""), no_host("")),
            (GatewayConfig::new("two words"), no_host("two words")),
            (GatewayConfig::new("https://gateway.example"), no_host("https://gateway.example")),
            (GatewayConfig { port: 0, ..gateway() }, Err(ConfigError::Port)),
            (GatewayConfig { port: 80, ..gateway() }, port(80)),
            (GatewayConfig { port: 1023, ..gateway() }, port(1023)),
            (GatewayConfig { port: 1024, ..gateway() }, Ok(vec![])),
            (GatewayConfig { port: 8443, ..gateway() }, Ok(vec![])),
            (GatewayConfig { trust: pinned(GOOD_PIN), ..gateway() }, Ok(vec![])),
            (GatewayConfig { trust: pinned("sha1/AAAA"), ..gateway() }, no_pin("sha1/AAAA")),
            (GatewayConfig { trust: pinned("sha256/AAAA"), ..gateway() }, no_pin("sha256/AAAA")),
            (GatewayConfig { trust: pinned(&GOOD_PIN[7..]), ..gateway() }, no_pin(&GOOD_PIN[7..])),
            (
                GatewayConfig { trust: pem("hello"), ..gateway() },
                Err(ConfigError::Pem("no certificate in it".to_owned())),
            ),
        ];
        for (gateway, expected) in cases {
            assert_eq!(text(gateway.validate()), text(expected), "{gateway:?}");
        }
    }

    #[test]
    fn a_certificate_pasted_by_halves_is_told_in_words() {
        let cut = b"-----BEGIN CERTIFICATE-----\nMIIB";
        let not_base64 = b"-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n";
        let told = |pem: &[u8]| certificates_in(pem).unwrap_err().to_string();
        assert!(told(cut).ends_with("its END line is missing"), "{}", told(cut));
        assert!(told(not_base64).ends_with("is not base64"), "{}", told(not_base64));
    }

    #[test]
    fn a_pin_is_the_sha256_in_base64() {
        // SHA-256 of nothing (FIPS 180-4 test value).
        assert_eq!(Pin::of(b"").to_string(), GOOD_PIN);
        assert_eq!(GOOD_PIN.parse::<Pin>(), Ok(Pin::of(b"")));
    }
}
