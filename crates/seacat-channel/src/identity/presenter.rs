//! How a connection shows who we are: rustls asks for a certificate, and has it signed for by
//! whatever [`Key`] stands behind it. OpenSSL wants the key itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::ResolvesClientCert;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};

use super::key::Key;

/// What connections show from now on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    pub(crate) certified: Option<Arc<Certified>>,
    /// Whether key store and files have been looked at: before that nobody should dial, or the
    /// first requests would travel anonymously.
    pub(crate) ready: bool,
    /// Counts the changes after which a connection must not stay.
    pub(crate) moves: u64,
}

/// A certificate and what signs for it.
#[derive(Debug)]
pub(crate) struct Certified {
    tls: Arc<CertifiedKey>,
    #[cfg_attr(not(feature = "compat"), expect(dead_code, reason = "for OpenSSL alone"))]
    key: Arc<dyn Key>,
}

impl Certified {
    pub(crate) fn new(certificate: &CertificateDer<'static>, key: Arc<dyn Key>) -> Self {
        let signer = Arc::new(TlsKey(Arc::clone(&key)));
        Self { tls: Arc::new(CertifiedKey::new(vec![certificate.clone()], signer)), key }
    }

    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.tls.cert
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
    /// Which CAs the gateway names is not looked at: it has one, and refuses what is not its own.
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let certified = &self.certified.as_ref()?.tls;
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
