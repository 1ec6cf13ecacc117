//! The seam between TCP and a secured connection. Today rustls stands behind it; whatever else
//! may stand here takes a TCP stream and gives [`Secured`] or a [`Failure`].

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, ClientConfig, ClientConnection, SupportedCipherSuite};
use tokio::net::TcpStream;

use crate::config::{ConfigError, GatewayConfig};
use crate::failure::{Failure, printable};
use crate::identity::Presenter;
use crate::status::TlsInfo;
use crate::trust::{Verifier, issuer_of};

/// How to secure connections to one gateway. Kept from one connection to the next, because the
/// tickets for TLS resumption live in it.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
    presenter: Arc<Presenter>,
}

/// A TCP connection with an established TLS session.
#[derive(Debug)]
pub(crate) struct Secured {
    pub(crate) tcp: TcpStream,
    pub(crate) session: rustls::Connection,
    pub(crate) tls: TlsInfo,
    /// The gateway has been shown our certificate.
    pub(crate) identified: bool,
}

impl Transport {
    /// Connections that are secured like this show `presenter`'s certificate, if it has one.
    pub(crate) fn new(gateway: &GatewayConfig, presenter: Presenter) -> Result<Self, ConfigError> {
        let presenter = Arc::new(presenter);
        let provider = Arc::new(provider(aes_in_hardware()));
        let verifier = Verifier::new(&gateway.trust, provider.signature_verification_algorithms)?;
        // SNI and resumption are on by default, ALPN is not: an ordinary ClientHello.
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .expect("ring has suites for both versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(presenter.clone());
        if presenter.certified.is_some() {
            // A resumed session would be the one whom the ticket was given to, whatever has become
            // of the certificate since.
            config.resumption = Resumption::disabled();
        }
        Ok(Self { name: gateway.server_name()?, config: Arc::new(config), presenter })
    }

    /// Performs the TLS handshake.
    pub(crate) async fn secure(&self, tcp: TcpStream) -> Result<Secured, Failure> {
        self.presenter.begin();
        let mut session = ClientConnection::new(self.config.clone(), self.name.clone())
            .map_err(|error| Failure::Tls(error.to_string()))?;
        if let Err(error) = handshake(&tcp, &mut session).await {
            return Err(explain(&error, &session));
        }
        let tls = describe(&session);
        Ok(Secured { tcp, session: session.into(), tls, identified: self.presenter.was_shown() })
    }

    /// Whether the last handshake, wherever it ended, has shown our certificate.
    pub(crate) fn has_shown(&self) -> bool {
        self.presenter.was_shown()
    }

    /// Whether connections show this certificate, or none if it is none.
    pub(crate) fn shows(&self, certified: Option<&Arc<CertifiedKey>>) -> bool {
        match (&self.presenter.certified, certified) {
            (Some(ours), Some(other)) => Arc::ptr_eq(ours, other),
            (None, None) => true,
            _ => false,
        }
    }
}

/// Writes and reads until both sides have finished. Not left to tokio-rustls because that keeps
/// the session to itself on failure, and how far the session came is what explains the failure.
async fn handshake(tcp: &TcpStream, session: &mut ClientConnection) -> io::Result<()> {
    loop {
        while session.wants_write() {
            tcp.writable().await?;
            not_yet_is_nothing(session.write_tls(&mut NonBlocking(tcp)))?;
        }
        if !session.is_handshaking() {
            return Ok(());
        }
        tcp.readable().await?;
        match session.read_tls(&mut NonBlocking(tcp)) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => not_yet_is_nothing(read)?,
        }
        if let Err(error) = session.process_new_packets() {
            // The alert that says why; if it cannot leave at once, the peer sees the end anyway.
            let _ = session.write_tls(&mut NonBlocking(tcp));
            return Err(io::Error::other(error));
        }
    }
}

fn not_yet_is_nothing(result: io::Result<usize>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}

/// The socket as rustls wants it.
struct NonBlocking<'a>(&'a TcpStream);

impl Read for NonBlocking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for NonBlocking<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn explain(error: &io::Error, session: &ClientConnection) -> Failure {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (tls, error.kind()) {
        (Some(tls), _) => Failure::from_tls(tls, session.negotiated_cipher_suite().is_some()),
        (
            None,
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe,
        ) => Failure::HungUp,
        (None, _) => Failure::Other(format!("during the TLS handshake: {error}")),
    }
}

fn describe(session: &ClientConnection) -> TlsInfo {
    let version = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
        _ => "TLS 1.2",
    };
    let suite = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    let leaf = session.peer_certificates().and_then(|chain| chain.first());
    TlsInfo {
        version,
        suite: suite.unwrap_or("an unnamed suite"),
        issuer: leaf.map(|leaf| printable(&issuer_of(leaf))).unwrap_or_default(),
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
