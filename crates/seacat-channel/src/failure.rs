//! Why there is no connection: every reason told apart, with a stable `SC-…` code, and sorted by
//! who must act. Waiting heals some, a human must heal the others.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, OtherError, PeerIncompatible};

use seacat_link::Closed;
use seacat_proto::ConnectionError;
use x509_parser::time::ASN1Time;

/// Why a gateway could not be reached, was not accepted, or was lost. `Display` gives one
/// lower-case sentence for people, [`Failure::code`] the name that documentation is found by.
///
/// Text that came from the network (names in certificates) is printable and short, see
/// [`printable`].
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// The list of gateways is empty.
    #[error("no gateway is configured")]
    NoGateway,
    /// The gateway's settings cannot be used: the CA file cannot be read, a pin is malformed…
    #[error("the gateway's settings cannot be used: {0}")]
    BadConfig(String),

    /// The resolver says that there is no such name.
    #[error("no such host: {host}")]
    NoSuchHost {
        /// The name that was asked for.
        host: String,
    },
    /// The resolver could not say whether the name exists: no network, or no name server.
    #[error("the name {host} could not be looked up: {detail}")]
    Unresolvable {
        /// The name that was asked for.
        host: String,
        /// What the resolver said.
        detail: String,
    },
    /// The machine answers, but nothing listens on that port (or a firewall says so).
    #[error("{address} refused the connection")]
    Refused {
        /// The address that refused.
        address: SocketAddr,
    },
    /// No route, or the network is down.
    #[error("{address} cannot be reached from this network")]
    Unreachable {
        /// The address without a route to it.
        address: SocketAddr,
    },
    /// DNS says that no gateway is announced under this name.
    #[error("DNS announces no gateway under {name}")]
    NoService {
        /// The name of the SRV question.
        name: String,
    },
    /// The upstream proxy itself could not be reached.
    #[error("the upstream proxy {proxy} cannot be reached: {why}")]
    ProxyUnreachable {
        /// `HOST:PORT`.
        proxy: String,
        /// What went wrong on the way to it.
        why: String,
    },
    /// The upstream proxy wants to know who asks.
    #[error("the upstream proxy {proxy} {problem} (it offers {})", or_nothing(offered))]
    ProxyAuth {
        /// `HOST:PORT`.
        proxy: String,
        /// What is missing.
        problem: ProxyAuth,
        /// The schemes that it offers.
        offered: Vec<String>,
    },
    /// The upstream proxy answered CONNECT with an error.
    #[error("the upstream proxy {proxy} does not let us through: {status} {reason}")]
    ProxyRefused {
        /// `HOST:PORT`.
        proxy: String,
        /// Its status code.
        status: u16,
        /// Its reason phrase.
        reason: String,
    },
    /// The upstream proxy's answer is not one.
    #[error("the answer of the upstream proxy {proxy} cannot be used: {what}")]
    ProxyAnswer {
        /// `HOST:PORT`.
        proxy: String,
        /// What is wrong with it.
        what: String,
    },
    /// Nothing came back in time.
    #[error("{stage} took longer than {} s", limit.as_secs())]
    TimedOut {
        /// What was waited for.
        stage: Stage,
        /// How long.
        limit: Duration,
    },

    /// The TCP connection ended in the middle of the TLS handshake.
    #[error("the other side hung up during the TLS handshake")]
    HungUp,
    /// Something answered, but not in TLS.
    #[error("the answer is not TLS: something else listens on that port")]
    NotTls,
    /// The network answers in the gateway's place until the user has signed in to it.
    #[error("this network wants its users to sign in first{}", at(host.as_deref()))]
    Portal {
        /// Where it sends its users, if it says so.
        host: Option<String>,
    },
    /// No cipher suite that both sides accept. A reference-era gateway knows only
    /// ECDHE-RSA-AES256-CBC-SHA384 (wire specification, section 0).
    #[error("the gateway and this client have no TLS cipher suite in common")]
    NoCommonSuite,
    /// The gateway wants a TLS version other than 1.2 and 1.3.
    #[error("the gateway speaks neither TLS 1.2 nor TLS 1.3")]
    TlsVersion,
    /// Another error of the TLS handshake.
    #[error("the TLS handshake failed: {0}")]
    Tls(String),

    /// The certificate is somebody else's.
    #[error("the certificate is not for {expected} but for {}", or_nobody(found))]
    WrongName {
        /// The name that was dialled.
        expected: String,
        /// The names in the certificate.
        found: Vec<String>,
    },
    /// The certificate comes from a CA that this gateway is not trusted with: a wrong CA in the
    /// settings, or TLS interception on the way.
    #[error(
        "the certificate was issued by \"{issuer}\", which is not trusted for this gateway (if the \
         name is that of a security product, TLS is being intercepted)"
    )]
    UnknownCa {
        /// The issuer named in the certificate.
        issuer: String,
    },
    /// The certificate's time is over (or this computer's clock is ahead).
    #[error("the gateway's certificate expired on {not_after} (is this computer's clock right?)")]
    Expired {
        /// The last day, `YYYY-MM-DD`.
        not_after: String,
    },
    /// The certificate's time has not begun.
    #[error(
        "the gateway's certificate is valid from {not_before} only: is this computer's clock wrong?"
    )]
    NotYetValid {
        /// The first day, `YYYY-MM-DD`.
        not_before: String,
    },
    /// None of the pinned public keys.
    #[error("the gateway's public key {found} is not one that is pinned")]
    PinMismatch {
        /// The key found, in the form a pin is written in: `sha256/…`.
        found: String,
    },
    /// The certificate cannot be used for another reason.
    #[error("the gateway's certificate cannot be used: {0}")]
    BadCertificate(String),
    /// The gateway wants a client certificate, or another than ours.
    #[error("the gateway refused the client certificate ({alert})")]
    ClientCertRefused {
        /// The alert the gateway sent.
        alert: String,
    },

    /// TLS is fine, but an HTTPS server answers (wire specification, section 7).
    #[error("this is an HTTPS server, not a SeaCat gateway")]
    HttpsServer,
    /// TLS is fine, but not one frame came.
    #[error("TLS came up, but nothing followed within {} s: is this a SeaCat gateway?", .0.as_secs())]
    Silent(Duration),
    /// The gateway shuts down, or refuses all requests.
    #[error("the gateway takes no more requests: it shuts down, or has too many")]
    GoingAway,
    /// A connection that was up has ended.
    #[error("the connection was lost: {0}")]
    Interrupted(Closed),
    /// Anything else the operating system may say.
    #[error("{0}")]
    Other(String),
}

/// What was being waited for when time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The whole attempt, the look-up of the name included.
    Dial,
    /// The TCP connection.
    Tcp,
    /// The upstream proxy's answer.
    Proxy,
    /// The TLS handshake.
    Tls,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Dial => "reaching the gateway",
            Self::Tcp => "the TCP connection",
            Self::Proxy => "the upstream proxy's answer",
            Self::Tls => "the TLS handshake",
        })
    }
}

/// What an upstream proxy has against our credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyAuth {
    /// There are none.
    Missing,
    /// They are wrong.
    Refused,
    /// It does not take Basic, which is all we have.
    NoBasic,
}

impl std::fmt::Display for ProxyAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Missing => "wants a user name and a password",
            Self::Refused => "refused the user name or the password",
            Self::NoBasic => "wants an authentication other than Basic",
        })
    }
}

/// What can heal a failure, the most hopeful first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Remedy {
    /// Another try, at the pace of the back-off.
    Retry,
    /// The same at an easier pace: the network, the gateway or a clock must change first.
    RetrySlowly,
    /// A person, and trying again without one does harm or is no use.
    Human,
}

impl Failure {
    /// Whether trying again is useless until a human has changed something.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.remedy() == Remedy::Human
    }

    /// Whether the network, the gateway or a clock must change before another try can help.
    pub(crate) fn heals_slowly(&self) -> bool {
        self.remedy() == Remedy::RetrySlowly
    }

    pub(crate) fn remedy(&self) -> Remedy {
        match self {
            Self::NoSuchHost { .. }
            | Self::Unresolvable { .. }
            | Self::NoService { .. }
            | Self::ProxyUnreachable { .. }
            | Self::ProxyAnswer { .. }
            | Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::HungUp
            | Self::Tls(_)
            | Self::Silent(_)
            | Self::GoingAway
            | Self::Interrupted(_)
            | Self::Other(_) => Remedy::Retry,
            // Proxies answer 5xx while a gateway is away, and 4xx because of a rule.
            Self::ProxyRefused { status: 500.., .. } => Remedy::Retry,
            Self::ProxyRefused { .. } => Remedy::RetrySlowly,
            // What one network, one moment or one clock says. A captive portal, an inspecting box, a
            // load balancer without its gateway say it for a while; a handshake that fails has sent
            // nothing, so another costs nothing.
            Self::NotTls
            | Self::Portal { .. }
            | Self::Expired { .. }
            | Self::NotYetValid { .. }
            | Self::BadConfig(_)
            | Self::NoCommonSuite
            | Self::TlsVersion
            | Self::WrongName { .. }
            | Self::UnknownCa { .. }
            | Self::PinMismatch { .. }
            | Self::BadCertificate(_)
            | Self::ClientCertRefused { .. }
            | Self::HttpsServer => Remedy::RetrySlowly,
            // A wrong password again and again locks an account.
            Self::NoGateway | Self::ProxyAuth { .. } => Remedy::Human,
        }
    }

    /// Whether the other side may have ended it on purpose, and said nothing.
    pub(crate) fn may_be_dismissal(&self) -> bool {
        match self {
            Self::HungUp | Self::Interrupted(Closed::Peer | Closed::Truncated) => true,
            Self::Interrupted(Closed::Io(error)) => matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
            ),
            _ => false,
        }
    }

    /// The stable name of this failure, as the documentation lists it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoGateway => "SC-NO-GATEWAY",
            Self::BadConfig(_) => "SC-GATEWAY-CONFIG",
            Self::NoSuchHost { .. } => "SC-NO-SUCH-HOST",
            Self::Unresolvable { .. } => "SC-DNS",
            Self::NoService { .. } => "SC-DNS-NO-GATEWAY",
            Self::ProxyUnreachable { .. } => "SC-PROXY-UNREACHABLE",
            Self::ProxyAuth { problem: ProxyAuth::Missing, .. } => "SC-PROXY-AUTH",
            Self::ProxyAuth { problem: ProxyAuth::Refused, .. } => "SC-PROXY-PASSWORD",
            Self::ProxyAuth { problem: ProxyAuth::NoBasic, .. } => "SC-PROXY-SCHEME",
            Self::ProxyRefused { .. } => "SC-PROXY-REFUSED",
            Self::ProxyAnswer { .. } => "SC-PROXY-ANSWER",
            Self::Refused { .. } => "SC-TCP-REFUSED",
            Self::Unreachable { .. } => "SC-UNREACHABLE",
            Self::TimedOut { .. } => "SC-TIMED-OUT",
            Self::HungUp => "SC-TLS-HUNG-UP",
            Self::NotTls => "SC-NOT-TLS",
            Self::Portal { .. } => "SC-CAPTIVE-PORTAL",
            Self::NoCommonSuite => "SC-TLS-SUITE",
            Self::TlsVersion => "SC-TLS-VERSION",
            Self::Tls(_) => "SC-TLS",
            Self::WrongName { .. } => "SC-CERT-NAME",
            Self::UnknownCa { .. } => "SC-CERT-CA",
            Self::Expired { .. } => "SC-CERT-EXPIRED",
            Self::NotYetValid { .. } => "SC-CERT-NOT-YET",
            Self::PinMismatch { .. } => "SC-CERT-PIN",
            Self::BadCertificate(_) => "SC-CERT-BAD",
            Self::ClientCertRefused { .. } => "SC-CLIENT-CERT",
            Self::HttpsServer => "SC-HTTPS-SERVER",
            Self::Silent(_) => "SC-GATEWAY-SILENT",
            Self::GoingAway => "SC-GATEWAY-DRAINING",
            Self::Interrupted(_) => "SC-CONNECTION-LOST",
            Self::Other(_) => "SC-OTHER",
        }
    }

    /// How far this attempt came. Of the failures of many addresses, the one that came furthest
    /// tells most: "refused" on IPv4 says more than "no route" on IPv6.
    pub(crate) fn reach(&self) -> u8 {
        match self {
            Self::Unreachable { .. } | Self::ProxyUnreachable { .. } | Self::Other(_) => 0,
            Self::TimedOut { stage: Stage::Dial | Stage::Tcp, .. } => 1,
            Self::Refused { .. } => 2,
            _ => 3,
        }
    }

    /// What a failed TCP connect means.
    pub(crate) fn from_tcp(address: SocketAddr, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
                Self::Refused { address }
            }
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable => Self::Unreachable { address },
            io::ErrorKind::TimedOut => {
                Self::TimedOut { stage: Stage::Tcp, limit: crate::dial::DIAL_LIMIT }
            }
            _ => Self::Other(format!("connecting to {address}: {error}")),
        }
    }

    /// What a failed look-up means. The standard library keeps the resolver's code to itself, so
    /// "try again later" is known by its text: glibc and macOS ("Temporary failure"), musl
    /// ("Try again"), Windows (`WSATRY_AGAIN`).
    pub(crate) fn from_lookup(host: &str, error: &io::Error) -> Self {
        const WSATRY_AGAIN: i32 = 11002;
        let text = error.to_string();
        let temporary = text.contains("emporary failure")
            || text.contains("ry again")
            || error.raw_os_error() == Some(WSATRY_AGAIN);
        let host = host.to_owned();
        if temporary {
            Self::Unresolvable { host, detail: text }
        } else {
            Self::NoSuchHost { host }
        }
    }

    /// What a TLS error means, during the handshake. `hello`: whether the gateway's ServerHello
    /// had been understood, which tells "no suite in common" from "your certificate, please":
    /// TLS 1.2 has one alert, handshake_failure, for both.
    pub(crate) fn from_tls(error: &rustls::Error, hello: bool) -> Self {
        use rustls::Error;
        match error {
            Error::InvalidCertificate(error) => Self::from_certificate(error),
            Error::AlertReceived(alert) => Self::from_alert(*alert, hello),
            Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => Self::TlsVersion,
            Error::PeerIncompatible(
                PeerIncompatible::NoCipherSuitesInCommon | PeerIncompatible::NoKxGroupsInCommon,
            ) => Self::NoCommonSuite,
            Error::InvalidMessage(_) if !hello => Self::NotTls,
            other => Self::Tls(other.to_string()),
        }
    }

    fn from_alert(alert: AlertDescription, hello: bool) -> Self {
        use AlertDescription as Alert;
        match alert {
            Alert::HandshakeFailure | Alert::InsufficientSecurity if !hello => Self::NoCommonSuite,
            Alert::ProtocolVersion => Self::TlsVersion,
            Alert::HandshakeFailure
            | Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::CertificateRequired => Self::ClientCertRefused { alert: format!("{alert:?}") },
            Alert::UnrecognisedName => {
                Self::BadConfig("the gateway does not know the name it was called by".into())
            }
            other => Self::Tls(format!("the gateway sent the alert {other:?}")),
        }
    }

    fn from_certificate(error: &CertificateError) -> Self {
        match error {
            // What our own verifier decided travels through rustls as it is.
            CertificateError::Other(OtherError(inner)) => inner
                .downcast_ref::<Self>()
                .cloned()
                .unwrap_or_else(|| Self::BadCertificate(inner.to_string())),
            CertificateError::ExpiredContext { not_after, .. } => {
                Self::Expired { not_after: day(*not_after) }
            }
            CertificateError::Expired => Self::Expired { not_after: "an unknown day".into() },
            CertificateError::NotValidYetContext { not_before, .. } => {
                Self::NotYetValid { not_before: day(*not_before) }
            }
            CertificateError::NotValidYet => {
                Self::NotYetValid { not_before: "an unknown day".into() }
            }
            // SHA-1 above all, in certificates of the reference era.
            CertificateError::UnsupportedSignatureAlgorithmContext { .. } => Self::BadCertificate(
                "its signature is of a kind that is not safe any more, like SHA-1; it must be \
                 issued anew, or its key pinned with tls = \"compat\""
                    .to_owned(),
            ),
            other => Self::BadCertificate(other.to_string()),
        }
    }

    /// What the end of a connection means. With TLS 1.3 a gateway looks at our certificate only
    /// after our side of the handshake is over, so its refusal arrives here.
    pub(crate) fn from_closed(closed: Closed) -> Self {
        match &closed {
            Closed::Protocol(ConnectionError::HttpServer) => Self::HttpsServer,
            Closed::Tls(error) => match Self::from_tls(error, true) {
                refused @ Self::ClientCertRefused { .. } => refused,
                _ => Self::Interrupted(closed),
            },
            _ => Self::Interrupted(closed),
        }
    }
}

/// The longest piece of text from the network that we repeat, in characters: two names fit.
const PRINTABLE_MAX: usize = 160;

/// `text` from the network, made fit for a message, a log line or a menu: no control characters,
/// not long.
pub(crate) fn printable(text: &str) -> String {
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut short: String = text.chars().take(PRINTABLE_MAX).map(clean).collect();
    if text.chars().nth(PRINTABLE_MAX).is_some() {
        short.push('…');
    }
    short
}

/// `YYYY-MM-DD` (UTC).
fn day(time: UnixTime) -> String {
    let date = i64::try_from(time.as_secs())
        .ok()
        .and_then(|seconds| ASN1Time::from_timestamp(seconds).ok())
        .map(|time| time.to_datetime());
    match date {
        Some(date) => {
            format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
        }
        None => "a day beyond the calendar".to_owned(),
    }
}

fn or_nothing(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

fn at(host: Option<&str>) -> String {
    host.map(|host| format!(" (at {host})")).unwrap_or_default()
}

fn or_nobody(names: &[String]) -> String {
    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
#[path = "failure_tests.rs"]
mod tests;
