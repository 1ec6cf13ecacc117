//! The configuration shared by all sessions of one gateway, or with one gateway.

use std::fmt;
use std::sync::Arc;

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    SslContext, SslContextBuilder, SslMethod, SslOptions, SslSessionCacheMode, SslVersion,
    cipher_name,
};
use openssl::x509::X509;
use rustls::Error;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::danger::ClientCertVerifier;

use super::session::{PeerVerifier, Session};
use super::{SUITES, error};

/// RSA of 2048 bits and no SHA-1 in signatures (OpenSSL's SSL_CTX_set_security_level), whatever
/// the system's configuration says. The reference suite passes.
const SECURITY_LEVEL: u32 = 2;

/// A certificate and its key, both DER.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// The certificate, and those between it and its CA.
    pub chain: &'a [CertificateDer<'static>],
    /// The private key: PKCS#8, PKCS#1 or SEC 1.
    pub key: &'a [u8],
}

/// Makes the sessions of a client with one gateway.
#[derive(Clone)]
pub struct ClientConfig {
    context: SslContext,
    verifier: Arc<dyn ServerCertVerifier>,
    /// The length of our certificate.
    certificate: Option<usize>,
}

impl ClientConfig {
    /// Sessions with gateways that `verifier` accepts; `identity` is presented if they request it.
    ///
    /// # Errors
    /// When OpenSSL cannot use the identity.
    pub fn new(
        verifier: Arc<dyn ServerCertVerifier>,
        identity: Option<Identity<'_>>,
    ) -> Result<Self, Error> {
        let certificate = identity.and_then(|it| it.chain.first()).map(|it| it.len());
        let context = client_context(identity).map_err(|stack| error::general(&stack))?;
        Ok(Self { context, verifier, certificate })
    }

    pub(crate) fn session(&self, name: ServerName<'static>) -> Result<Session, Error> {
        let verifier = PeerVerifier::Server { verifier: Arc::clone(&self.verifier), name };
        Session::new(&self.context, verifier, self.certificate)
    }
}

/// Makes the sessions of a gateway with its clients.
#[derive(Clone)]
pub struct ServerConfig {
    context: SslContext,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl ServerConfig {
    /// Sessions that present `identity` and request a certificate of clients, which `verifier`
    /// checks. Only `suites` are offered, of those in [`SUITES`](super::SUITES).
    ///
    /// # Errors
    /// When OpenSSL cannot use the identity, or none of the suites is known.
    pub fn new(
        identity: Identity<'_>,
        verifier: Arc<dyn ClientCertVerifier>,
        suites: &[&str],
    ) -> Result<Self, Error> {
        let context = server_context(identity, suites).map_err(|stack| error::general(&stack))?;
        Ok(Self { context, verifier })
    }

    pub(crate) fn session(&self) -> Result<Session, Error> {
        Session::new(&self.context, PeerVerifier::Client(Arc::clone(&self.verifier)), None)
    }
}

fn client_context(identity: Option<Identity<'_>>) -> Result<SslContext, ErrorStack> {
    let mut builder = context(SslMethod::tls_client(), &SUITES)?;
    if let Some(identity) = identity {
        show(&mut builder, identity)?;
    }
    #[cfg(debug_assertions)]
    key_log(&mut builder);
    Ok(builder.build())
}

fn server_context(identity: Identity<'_>, suites: &[&str]) -> Result<SslContext, ErrorStack> {
    let mut builder = context(SslMethod::tls_server(), suites)?;
    show(&mut builder, identity)?;
    // Sessions are not resumed: a ticket would outlive a revocation, and the reference client never
    // resumes (wire spec 1.1).
    builder.set_options(SslOptions::CIPHER_SERVER_PREFERENCE | SslOptions::NO_TICKET);
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    builder.set_num_tickets(0)?;
    Ok(builder.build())
}

/// The settings of both roles. The TLS versions follow from the suites.
fn context(method: SslMethod, suites: &[&str]) -> Result<SslContextBuilder, ErrorStack> {
    let (old, new): (Vec<&str>, Vec<&str>) =
        suites.iter().partition(|suite| suite.contains("_WITH_"));
    let old: Vec<&str> = old.into_iter().map(cipher_name).collect();
    let mut builder = SslContextBuilder::new(method)?;
    builder.set_security_level(SECURITY_LEVEL);
    let lowest = if old.is_empty() { SslVersion::TLS1_3 } else { SslVersion::TLS1_2 };
    let highest = if new.is_empty() { SslVersion::TLS1_2 } else { SslVersion::TLS1_3 };
    builder.set_min_proto_version(Some(lowest))?;
    builder.set_max_proto_version(Some(highest))?;
    if !old.is_empty() {
        builder.set_cipher_list(&old.join(":"))?;
    }
    if !new.is_empty() {
        builder.set_ciphersuites(&new.join(":"))?;
    }
    builder.set_options(SslOptions::NO_COMPRESSION | SslOptions::NO_RENEGOTIATION);
    Ok(builder)
}

fn show(builder: &mut SslContextBuilder, identity: Identity<'_>) -> Result<(), ErrorStack> {
    for (at, der) in identity.chain.iter().enumerate() {
        let certificate = X509::from_der(der)?;
        match at {
            0 => builder.set_certificate(&certificate)?,
            _ => builder.add_extra_chain_cert(certificate)?,
        }
    }
    let key: PKey<Private> = PKey::private_key_from_der(identity.key)?;
    builder.set_private_key(&key)?;
    builder.check_private_key()
}

/// Like `rustls::KeyLogFile`: writes the sessions' secrets to the file named by SSLKEYLOGFILE, to
/// decrypt captures. Debug builds only.
#[cfg(debug_assertions)]
fn key_log(builder: &mut SslContextBuilder) {
    use std::io::Write;
    let Some(path) = std::env::var_os("SSLKEYLOGFILE") else { return };
    let Ok(file) = std::fs::File::options().create(true).append(true).open(path) else { return };
    builder.set_keylog_callback(move |_, line| {
        // One write per line: other processes may write to the same file.
        let _ = (&file).write_all(format!("{line}\n").as_bytes());
    });
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("compat::ClientConfig")
    }
}

impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("compat::ServerConfig")
    }
}
