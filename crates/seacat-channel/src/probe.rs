//! Trying the way to a gateway step by step, for people who want to know where it ends. What is
//! tried is what the channel does, by the same code; but each step is asked for by itself, and a
//! certificate that is not believed is looked at instead of ending it all.
//!
//! Nothing of ours is shown or sent but one PING.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use seacat_files::read_text;
use seacat_link::{Fingerprint, IncomingEvent, Link, LinkConfig};
use tokio::net::TcpStream;
use tokio::time::timeout;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::config::{ConfigError, GatewayConfig, NetworkConfig, Roots, certificates_in};
use crate::dial::{self, Destination};
use crate::discovery::Target;
use crate::failure::{Failure, Stage, printable};
use crate::state::PROVE_LIMIT;
use crate::status::TlsInfo;
use crate::transport::{Secured, Transport};
use crate::trust::{issuer_of, names_in};
use crate::upstream::{Upstream, tunnel};

/// A resolver that has not answered by then is silent: glibc tries its servers twice for 5 s each.
pub const LOOK_UP_LIMIT: Duration = Duration::from_secs(11);

/// A connection that is not there by then is filtered: SYN was sent at 0, 1 and 3 s.
pub const REACH_LIMIT: Duration = Duration::from_secs(6);

/// The way to one gateway, or to one of the targets that DNS named for it.
#[derive(Clone, Debug)]
pub struct Probe {
    destination: Destination,
}

impl Probe {
    /// The way to `gateway`, which is not discovered.
    #[must_use]
    pub fn new(gateway: GatewayConfig, network: &NetworkConfig) -> Self {
        Self { destination: Destination::new(gateway, Vec::new(), network.upstream.as_ref()) }
    }

    /// The way to a target that was found for `gateway`.
    #[must_use]
    pub fn to_target(gateway: &GatewayConfig, target: &Target, network: &NetworkConfig) -> Self {
        let found = target.addresses.clone();
        let upstream = network.upstream.as_ref();
        Self { destination: Destination::new(gateway.at(target), found, upstream) }
    }

    /// The gateway at its end.
    #[must_use]
    pub fn gateway(&self) -> &GatewayConfig {
        &self.destination.gateway
    }

    /// The upstream proxy on the way, unless the gateway is excepted from it.
    #[must_use]
    pub fn upstream(&self) -> Option<&Upstream> {
        self.destination.upstream.as_ref()
    }

    /// Whether its first address comes from a resolver.
    #[must_use]
    pub fn asks_resolver(&self) -> bool {
        match self.upstream() {
            Some(upstream) => upstream.host.parse::<IpAddr>().is_err(),
            None => self.destination.addresses.is_empty(),
        }
    }

    /// Where TCP leads: the gateway's addresses, or the upstream proxy's.
    ///
    /// # Errors
    /// What the resolver says; that it is silent after [`LOOK_UP_LIMIT`].
    pub async fn addresses(&self) -> Result<Vec<SocketAddr>, Failure> {
        let host = self.upstream().map_or(&self.gateway().host, |upstream| &upstream.host).clone();
        let found = async {
            match self.upstream() {
                Some(upstream) => dial::look_up(&upstream.host, upstream.port).await,
                None => self.destination.addresses().await,
            }
        };
        match timeout(LOOK_UP_LIMIT, found).await {
            Ok(found) => found.map(|addresses| dial::interleave(addresses).into()),
            Err(_) => {
                let detail = format!("the resolver is silent for {} s", LOOK_UP_LIMIT.as_secs());
                Err(Failure::Unresolvable { host, detail })
            }
        }
    }

    /// Asks the upstream proxy at the other end of `tcp` for a way to the gateway. Returns what it
    /// was asked for; `None` when there is no such proxy.
    ///
    /// # Errors
    /// What the proxy says.
    pub async fn pass_upstream(&self, tcp: &mut TcpStream) -> Result<Option<String>, Failure> {
        let Some(upstream) = self.upstream() else {
            return Ok(None);
        };
        let authorities = self.destination.authorities(upstream).await?;
        let nobody = || Failure::NoSuchHost { host: self.gateway().host.clone() };
        // One connection is one question; the channel would go on with the next address.
        let authority = authorities.into_iter().next().ok_or_else(nobody)?;
        tunnel(tcp, upstream, &authority).await?;
        Ok(Some(authority))
    }

    /// Performs the TLS handshake, whatever the certificate.
    ///
    /// # Errors
    /// When TLS does not come up for another reason than the certificate.
    pub async fn secure(&self, tcp: TcpStream) -> Result<Seen, Failure> {
        let unusable = |error: ConfigError| Failure::BadConfig(error.to_string());
        let (transport, witness) = Transport::witnessed(self.gateway()).map_err(unusable)?;
        let secured = dial::secure(tcp, None, &transport).await?;
        let (certificate, verdict) = witness.take().ok_or(Failure::NotTls)?;
        Ok(Seen {
            secured,
            certificate: CertificateSeen::of(&certificate),
            verdict: verdict.map_err(|error| Failure::from_tls(&error, true)),
        })
    }
}

/// Connects to one address.
///
/// # Errors
/// What became of it; a time-out after `limit`.
pub async fn reach(address: SocketAddr, limit: Duration) -> Result<TcpStream, Failure> {
    match timeout(limit, dial::connect(address, false)).await {
        Ok(connected) => connected.map_err(|error| Failure::from_tcp(address, &error)),
        Err(_) => Err(Failure::TimedOut { stage: Stage::Tcp, limit }),
    }
}

/// What a CA file or a pasted CA says of itself: the first certificate, and how many there are.
///
/// # Errors
/// When it cannot be used.
pub fn look_at_roots(roots: &Roots) -> Result<Option<(CertificateSeen, usize)>, ConfigError> {
    let pem = match roots {
        Roots::WebPki => return Ok(None),
        Roots::Pem(pem) => pem.clone(),
        Roots::File(path) => read_text(path)
            .map_err(|error| ConfigError::Pem(format!("{}: {error}", path.display())))?,
    };
    let certificates = certificates_in(pem.as_bytes())?;
    Ok(certificates.first().map(|first| (CertificateSeen::of(first), certificates.len())))
}

/// A certificate, as far as people look at it. Text that came from the network is printable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateSeen {
    /// Whom it is for.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// The hosts it is for.
    pub names: Vec<String>,
    /// From when it is valid, in seconds since 1970.
    pub not_before: i64,
    /// Until when it is valid, in seconds since 1970.
    pub not_after: i64,
    /// SHA-256 of the whole, `AB:CD:…`.
    pub fingerprint: String,
    /// Four words for it.
    pub words: String,
}

impl CertificateSeen {
    fn of(der: &CertificateDer<'_>) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, der);
        // A digest of SHA-256 has 32 bytes.
        let digest = Fingerprint::new(digest.as_ref().try_into().unwrap_or_default());
        let (fingerprint, words) = (digest.to_string(), digest.words());
        let Ok((_, it)) = X509Certificate::from_der(der) else {
            return Self { issuer: issuer_of(der), fingerprint, words, ..Self::default() };
        };
        Self {
            subject: printable(&it.subject().to_string()),
            issuer: issuer_of(der),
            names: names_in(&it),
            not_before: it.validity().not_before.timestamp(),
            not_after: it.validity().not_after.timestamp(),
            fingerprint,
            words,
        }
    }
}

/// Who was met at the end of the way.
#[derive(Debug)]
pub struct Seen {
    secured: Secured,
    /// Its certificate.
    pub certificate: CertificateSeen,
    /// Whether the channel would believe it.
    pub verdict: Result<(), Failure>,
}

impl Seen {
    /// How the connection is secured.
    #[must_use]
    pub fn tls(&self) -> &TlsInfo {
        &self.secured.tls
    }

    /// Sends a PING; the round trip. Nobody is trusted with more, so this may be done whatever the
    /// verdict.
    ///
    /// # Errors
    /// [`Failure::HttpsServer`] when a web server answers, [`Failure::Silent`] when nobody does.
    pub async fn ping(self) -> Result<Duration, Failure> {
        let config = LinkConfig::client();
        let (link, mut incoming, driver) =
            Link::start(self.secured.tcp, self.secured.session, &config);
        tokio::pin!(driver);
        link.ping();
        let answered = async {
            loop {
                tokio::select! {
                    closed = &mut driver => return Err(Failure::from_closed(closed)),
                    Some(news) = incoming.next() => if let IncomingEvent::Pong { rtt } = news {
                        return Ok(rtt);
                    },
                }
            }
        };
        match timeout(PROVE_LIMIT, answered).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::Silent(PROVE_LIMIT)),
        }
    }
}
