//! From a TCP connection to a secured one: rustls, or OpenSSL for a gateway with
//! `tls = "compat"`. Who is believed is the same for both.

use std::sync::Arc;
use std::time::SystemTime;
use std::{fs, io};

use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{CipherSuite, ClientConfig, SupportedCipherSuite};
use seacat_link::{ClientTls, Closed, Session, handshake};
use tokio::net::TcpStream;

use crate::config::{ConfigError, GatewayConfig, Roots, Tls};
use crate::failure::{Failure, printable};
use crate::identity::{Certified, Presenter};
use crate::status::TlsInfo;
use crate::trust::{Verifier, Witness, issuer_of};

/// How to secure connections to one gateway. Kept from one connection to the next, because the
/// tickets for TLS resumption live in it.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    name: ServerName<'static>,
    tls: ClientTls,
    presenter: Arc<Presenter>,
    ca_file: Option<Stamp>,
}

/// The age and the length of a CA file, which change with its content.
type Stamp = (SystemTime, u64);

fn stamp(roots: &Roots) -> Option<Stamp> {
    let Roots::File(path) = roots else {
        return None;
    };
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// A TCP connection with an established TLS session.
#[derive(Debug)]
pub(crate) struct Secured {
    pub(crate) tcp: TcpStream,
    pub(crate) session: Session,
    pub(crate) tls: TlsInfo,
    /// The gateway has been shown our certificate.
    pub(crate) identified: bool,
}

impl Transport {
    /// Connections that are secured like this show `presenter`'s certificate, if it has one.
    pub(crate) fn new(gateway: &GatewayConfig, presenter: Presenter) -> Result<Self, ConfigError> {
        // Before it is read, so that a change meanwhile is noticed the next time.
        let ca_file = stamp(&gateway.trust.roots);
        let provider = provider(aes_in_hardware());
        let verifier = verifier(gateway, &provider)?;
        let transport = Self::judged(gateway, presenter, provider, Arc::new(verifier))?;
        Ok(Self { ca_file, ..transport })
    }

    /// Connections that stand whatever the certificate is, and the one who saw it. They show
    /// nothing of ours, and only a probe may have them.
    pub(crate) fn witnessed(gateway: &GatewayConfig) -> Result<(Self, Arc<Witness>), ConfigError> {
        let provider = provider(aes_in_hardware());
        let verifier = verifier(gateway, &provider)?;
        let witness = Arc::new(Witness::new(verifier));
        let judge = Arc::clone(&witness) as _;
        Ok((Self::judged(gateway, Presenter::new(None), provider, judge)?, witness))
    }

    fn judged(
        gateway: &GatewayConfig,
        presenter: Presenter,
        provider: CryptoProvider,
        judge: Arc<dyn ServerCertVerifier>,
    ) -> Result<Self, ConfigError> {
        let presenter = Arc::new(presenter);
        let tls = match gateway.tls {
            Tls::Modern => modern(provider, judge, &presenter),
            Tls::Compat => compat(judge, &presenter)?,
        };
        Ok(Self { name: gateway.server_name()?, tls, presenter, ca_file: None })
    }

    /// Performs the TLS handshake.
    pub(crate) async fn secure(&self, tcp: TcpStream) -> Result<Secured, Failure> {
        self.presenter.begin();
        let session = self.tls.session(self.name.clone());
        let mut session = session.map_err(|error| Failure::Tls(error.to_string()))?;
        let outcome = handshake(&tcp, &mut session).await;
        #[cfg(feature = "compat")]
        if let Session::OpenSsl(tls) = &session
            && tls.has_shown_certificate()
        {
            self.presenter.show();
        }
        outcome.map_err(|closed| explain(closed, &session))?;
        let identified = self.presenter.was_shown();
        Ok(Secured { tcp, tls: describe(&session), session, identified })
    }

    /// Whether the last handshake, wherever it ended, has shown our certificate.
    pub(crate) fn has_shown(&self) -> bool {
        self.presenter.was_shown()
    }

    /// Whether connections show this certificate, or none if it is none.
    pub(crate) fn shows(&self, certified: Option<&Arc<Certified>>) -> bool {
        match (&self.presenter.certified, certified) {
            (Some(ours), Some(other)) => Arc::ptr_eq(ours, other),
            (None, None) => true,
            _ => false,
        }
    }

    /// Whether the gateway's CA file is still the one that was read.
    pub(crate) fn is_current(&self, gateway: &GatewayConfig) -> bool {
        self.ca_file == stamp(&gateway.trust.roots)
    }
}

fn verifier(gateway: &GatewayConfig, provider: &CryptoProvider) -> Result<Verifier, ConfigError> {
    let verifier = Verifier::new(&gateway.trust, provider.signature_verification_algorithms)?;
    Ok(verifier.with_old_certificates(gateway.tls == Tls::Compat))
}

fn modern(
    provider: CryptoProvider,
    judge: Arc<dyn ServerCertVerifier>,
    presenter: &Arc<Presenter>,
) -> ClientTls {
    // SNI and resumption are on by default, ALPN is not: an ordinary ClientHello.
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("ring has suites for both versions")
        .dangerous()
        .with_custom_certificate_verifier(judge)
        .with_client_cert_resolver(Arc::clone(presenter) as _);
    if presenter.certified.is_some() {
        // A resumed session would be the one whom the ticket was given to, whatever has become
        // of the certificate since.
        config.resumption = Resumption::disabled();
    }
    // For whoever looks at a capture; a build for users never tells.
    #[cfg(debug_assertions)]
    {
        config.key_log = Arc::new(rustls::KeyLogFile::new());
    }
    Arc::new(config).into()
}

#[cfg(feature = "compat")]
fn compat(
    judge: Arc<dyn ServerCertVerifier>,
    presenter: &Presenter,
) -> Result<ClientTls, ConfigError> {
    use seacat_link::compat::{ClientConfig, Identity};
    let identity = match presenter.certified.as_deref() {
        Some(certified) => {
            let key = certified.pkcs8();
            let key =
                key.ok_or_else(|| ConfigError::CompatKey("the key stays in its device".into()))?;
            Some(Identity { chain: certified.chain(), key })
        }
        None => None,
    };
    ClientConfig::new(judge, identity)
        .map(ClientTls::OpenSsl)
        .map_err(|error| ConfigError::CompatKey(error.to_string()))
}

#[cfg(not(feature = "compat"))]
fn compat(_: Arc<dyn ServerCertVerifier>, _: &Presenter) -> Result<ClientTls, ConfigError> {
    Err(ConfigError::NoCompat)
}

fn explain(closed: Closed, session: &Session) -> Failure {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    match closed {
        Closed::Tls(error) => Failure::from_tls(&error, session.suite().is_some()),
        Closed::Truncated => Failure::HungUp,
        Closed::Io(error)
            if matches!(error.kind(), ConnectionReset | ConnectionAborted | BrokenPipe) =>
        {
            Failure::HungUp
        }
        other => Failure::Other(format!("during the TLS handshake: {other}")),
    }
}

fn describe(session: &Session) -> TlsInfo {
    let issuer = session.peer_certificate().map(|leaf| printable(&issuer_of(leaf)));
    TlsInfo {
        version: session.version(),
        suite: session.suite().unwrap_or("an unnamed suite"),
        issuer: issuer.unwrap_or_default(),
    }
}

/// The suites in our order of preference, which most servers follow: AES-GCM first where the CPU
/// computes it (several times faster there), ChaCha20 first where it does not. AES-128 before
/// AES-256: quicker, and no weaker in any way that matters to a connection.
fn provider(aes_first: bool) -> CryptoProvider {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| {
        let chacha = is_chacha(suite);
        let aes_256 = suite.suite().as_str().is_some_and(|name| name.contains("AES_256"));
        (suite.tls13().is_none(), chacha == aes_first, aes_256)
    });
    provider
}

fn is_chacha(suite: &SupportedCipherSuite) -> bool {
    matches!(
        suite.suite(),
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
    )
}

/// Whether this CPU has instructions for AES and for the multiplication in GCM.
fn aes_in_hardware() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes")
        && std::arch::is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(aes_first: bool) -> Vec<String> {
        let suites = provider(aes_first).cipher_suites;
        suites.iter().map(|suite| format!("{:?}", suite.suite())).collect()
    }

    #[test]
    fn aes_goes_first_where_the_cpu_has_it() {
        assert_eq!(
            names(true),
            [
                "TLS13_AES_128_GCM_SHA256",
                "TLS13_AES_256_GCM_SHA384",
                "TLS13_CHACHA20_POLY1305_SHA256",
                "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
                "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
                "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
                "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
            ]
        );
    }

    #[test]
    fn chacha_goes_first_where_it_does_not() {
        let names = names(false);
        assert_eq!(names[0], "TLS13_CHACHA20_POLY1305_SHA256");
        assert_eq!(names[1], "TLS13_AES_128_GCM_SHA256");
        assert_eq!(names[3], "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256");
        assert_eq!(names.len(), 9);
    }
}
