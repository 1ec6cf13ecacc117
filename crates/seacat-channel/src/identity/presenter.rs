//! How a connection shows who we are: rustls asks for a certificate, and has it signed for by
//! whatever [`Key`] stands behind it. OpenSSL wants the key itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::ResolvesClientCert;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};

use super::certificate::Certificate;
use super::key::Key;

/// What connections present from now on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presented {
    pub(crate) certified: Option<Arc<Certified>>,
    /// Whether key store and files have been looked at: before that nobody should dial, or the
    /// first requests would travel anonymously.
    pub(crate) ready: bool,
    /// Counts the changes after which a connection must not stay.
    pub(crate) moves: u64,
}

/// Our certificates, and what signs for them.
#[derive(Debug)]
pub(crate) struct Certified {
    /// By the issuer's name in DER. The first is the one of the gateway that we enrolled at last.
    certificates: Vec<(Vec<u8>, Arc<CertifiedKey>)>,
    #[cfg_attr(not(feature = "compat"), expect(dead_code, reason = "for OpenSSL alone"))]
    key: Arc<dyn Key>,
}

impl Certified {
    pub(crate) fn new<'a>(
        certificates: impl Iterator<Item = &'a Certificate>,
        key: Arc<dyn Key>,
    ) -> Self {
        let signer: Arc<dyn SigningKey> = Arc::new(TlsKey(Arc::clone(&key)));
        let certified = |it: &Certificate| {
            let tls = CertifiedKey::new(vec![it.der().clone()], Arc::clone(&signer));
            (it.issuer_name().to_vec(), Arc::new(tls))
        };
        Self { certificates: certificates.map(certified).collect(), key }
    }

    /// The first certificate.
    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        self.certificates.first().map_or(&[], |(_, it)| &it.cert)
    }

    /// The certificate that a gateway wants which accepts these issuers; with none named it accepts
    /// any (RFC 8446 section 4.2.4).
    fn choose(&self, issuers: &[&[u8]]) -> Option<&Arc<CertifiedKey>> {
        let wanted = |issuer: &[u8]| issuers.is_empty() || issuers.contains(&issuer);
        self.certificates.iter().find(|(issuer, _)| wanted(issuer)).map(|(_, it)| it)
    }

    /// All certificates.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.certificates.iter().filter_map(|(_, it)| it.cert.first())
    }

    /// The bytes of the key, where it has any; see [`Key::pkcs8`].
    #[cfg(feature = "compat")]
    pub(crate) fn pkcs8(&self) -> Option<&[u8]> {
        self.key.pkcs8()
    }
}

/// The certificate of one transport, and whether the last handshake showed it.
#[derive(Debug, Default)]
pub(crate) struct Presenter {
    pub(crate) certified: Option<Arc<Certified>>,
    asked: AtomicBool,
}

impl Presenter {
    pub(crate) fn new(certified: Option<Arc<Certified>>) -> Self {
        Self { certified, asked: AtomicBool::new(false) }
    }

    /// Before a handshake.
    pub(crate) fn begin(&self) {
        self.asked.store(false, Ordering::Relaxed);
    }

    /// The gateway asked, and was shown the certificate.
    pub(crate) fn show(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// After it: whether the gateway asked, and was shown a certificate.
    pub(crate) fn was_shown(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for Presenter {
    /// A gateway that names CAs is presented nothing that another CA has issued.
    fn resolve(&self, issuers: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let certified = self.certified.as_ref()?.choose(issuers)?;
        certified.key.choose_scheme(schemes)?;
        self.show();
        Some(certified.clone())
    }

    fn has_certs(&self) -> bool {
        self.certified.is_some()
    }
}

#[derive(Debug)]
struct TlsKey(Arc<dyn Key>);

impl SigningKey for TlsKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = self.0.schemes().iter().find(|it| offered.contains(it))?;
        Some(Box::new(TlsSigner(self.0.clone(), *scheme)))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::RSA
    }
}

#[derive(Debug)]
struct TlsSigner(Arc<dyn Key>, SignatureScheme);

impl Signer for TlsSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        self.0.sign(self.1, message).map_err(|error| rustls::Error::General(error.to_string()))
    }

    fn scheme(&self) -> SignatureScheme {
        self.1
    }
}
