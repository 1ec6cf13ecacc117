//! Certificates: creation of a private CA with a server certificate, and the TLS settings.
//!
//! The CA is for SeaCat clients only. They pin it, so it need not and should not be installed in a
//! browser or an operating system.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256,
};
use rsa::RsaPrivateKey;
use rsa::pkcs8::EncodePrivateKey as _;
use rsa::rand_core::OsRng;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
    SignatureScheme,
};
use seacat_files::create_private_folder;
use seacat_link::Fingerprint;

use crate::enroll::Revoked;

/// Ten years: a private CA is pinned in every client, so replacing it means reconfiguring all of
/// them. The server certificate is valid as long, because there is no warning before it expires.
const LIFETIME: Duration = Duration::from_secs(3653 * 86_400);
/// Certificates start this long ago, for clients with a slow clock.
const CLOCK_SKEW: Duration = Duration::from_secs(86_400);
/// The name that a reference client requires of its gateway's CA (wire specification, section 1.2).
const REFERENCE_CA: &str = "ca.seacat.mobi";
/// Bits of the RSA keys made for such clients, enough for as long as the certificates live.
const RSA_BITS: usize = 3072;
/// Names in every server certificate, so that the gateway can be tested on its own machine.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Why certificates could not be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file could not be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// `init` would have overwritten this.
    #[error("{} is already there: choose an empty directory, or move it away", .0.display())]
    Exists(PathBuf),
    /// A certificate could not be made, most likely because of an odd name.
    #[error("the certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    /// A file that should hold certificates holds none.
    #[error("there is no certificate in this file: it should have a PEM block \"CERTIFICATE\"")]
    NoCertificate,
    /// A file that should hold a private key holds none.
    #[error("there is no private key in this file: it should have a PEM block \"PRIVATE KEY\"")]
    NoKey,
    /// The system provides no random numbers for an RSA key.
    #[error("an RSA key cannot be made: the system gives no random numbers")]
    NoRandomness,
    /// The key does not belong to the CA's certificate.
    #[error("this is not the key of the CA's certificate")]
    CaKey,
    /// The certificates are not usable together.
    #[error("{0}")]
    Tls(#[from] rustls::Error),
    /// The CA for client certificates is not usable.
    #[error("the CA for clients is not usable: {0}")]
    ClientCa(#[from] rustls::server::VerifierBuilderError),
}

/// A CA and a server certificate, both new.
pub struct Pki {
    /// The gateway's first name.
    name: String,
    /// The CA's certificate, PEM. Clients need this and nothing else.
    pub ca_pem: String,
    ca_key: KeyPair,
    server: Certificate,
    server_key: KeyPair,
}

impl Pki {
    /// Makes a CA and a server certificate for `names` (DNS names and IP addresses) and the
    /// names of this machine.
    ///
    /// # Errors
    /// [`PkiError::Make`] when a name is not valid in a certificate.
    pub fn generate(names: &[String]) -> Result<Self, PkiError> {
        Self::make(names, None, elliptic_key)
    }

    /// Makes what reference clients require (wire specification, section 1.2): a CA of the name
    /// they know, a server certificate issued directly by it whose CN is `name`, byte for byte, and
    /// RSA keys, because they use an RSA suite.
    ///
    /// # Errors
    /// As [`Pki::generate`].
    pub fn generate_reference(name: &str, more: &[String]) -> Result<Self, PkiError> {
        let names: Vec<String> = std::iter::once(name)
            .chain(more.iter().map(String::as_str))
            .map(str::to_owned)
            .collect();
        Self::make(&names, Some(REFERENCE_CA), rsa_key)
    }

    fn make(names: &[String], ca_name: Option<&str>, new_key: NewKey) -> Result<Self, PkiError> {
        let now = SystemTime::now();
        let (from, to) = ((now - CLOCK_SKEW).into(), (now + LIFETIME).into());
        let all = names.iter().map(String::as_str).chain(LOCAL_NAMES);
        let mut all: Vec<String> = all.map(str::to_owned).collect();
        let mut seen = std::collections::HashSet::new();
        all.retain(|name| seen.insert(name.clone()));
        let name = all[0].clone();

        let ca_name = ca_name.map_or_else(|| format!("SeaCat Gateway CA ({name})"), str::to_owned);
        let ca_key = new_key()?;
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, ca_name);
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (ca.not_before, ca.not_after) = (from, to);
        let ca_pem = ca.self_signed(&ca_key)?.pem();

        let server_key = new_key()?;
        let mut server = CertificateParams::new(all)?;
        server.distinguished_name.push(DnType::CommonName, name.clone());
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        (server.not_before, server.not_after) = (from, to);
        let server = server.signed_by(&server_key, &Issuer::from_params(&ca, &ca_key))?;

        Ok(Self { name, ca_pem, ca_key, server, server_key })
    }

    /// The TLS settings of a gateway with this certificate, for clients that are not `revoked`.
    ///
    /// # Errors
    /// As [`server_config`].
    pub fn server_config(&self, revoked: Revoked) -> Result<Arc<ServerConfig>, PkiError> {
        let key = private_key(self.server_key.serialize_pem().as_bytes())?;
        server_config(vec![self.server.der().clone()], key, None, revoked)
    }
}

type NewKey = fn() -> Result<KeyPair, PkiError>;

fn elliptic_key() -> Result<KeyPair, PkiError> {
    Ok(KeyPair::generate()?)
}

fn rsa_key() -> Result<KeyPair, PkiError> {
    let key = RsaPrivateKey::new(&mut OsRng, RSA_BITS).map_err(|_| PkiError::NoRandomness)?;
    let pkcs8 = key.to_pkcs8_der().map_err(|_| PkiError::NoRandomness)?;
    let der = PrivatePkcs8KeyDer::from(pkcs8.as_bytes());
    Ok(KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_RSA_SHA256)?)
}

/// Makes a CA for client certificates. It can issue nothing else.
pub(crate) fn client_ca(name: &str) -> Result<(Certificate, KeyPair), PkiError> {
    client_ca_with(name, elliptic_key)
}

fn client_ca_with(name: &str, new_key: NewKey) -> Result<(Certificate, KeyPair), PkiError> {
    let now = SystemTime::now();
    let key = new_key()?;
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, format!("SeaCat Client CA ({name})"));
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    (ca.not_before, ca.not_after) = ((now - CLOCK_SKEW).into(), (now + LIFETIME).into());
    Ok((ca.self_signed(&key)?, key))
}

/// Creates a directory for `seacat-gateway run`: a CA and a server certificate, a second CA for
/// clients, their keys (readable by the owner only) and a configuration with a demo host.
///
/// # Errors
/// When a file exists already or cannot be written, or a name is not valid in a certificate.
pub fn init(dir: &Path, names: &[String]) -> Result<PathBuf, PkiError> {
    let pki = Pki::generate(names)?;
    let client_ca = client_ca(&pki.name)?;
    write_all(dir, &pki, &client_ca, CONFIGURATION)
}

/// As [`init`], for clients of the reference era, see [`Pki::generate_reference`].
///
/// # Errors
/// As [`init`].
pub fn init_reference(dir: &Path, name: &str, more: &[String]) -> Result<PathBuf, PkiError> {
    let pki = Pki::generate_reference(name, more)?;
    let client_ca = client_ca_with(name, rsa_key)?;
    // A build without OpenSSL makes the certificates as well, for use by a build that has it.
    let tls = if cfg!(feature = "compat") { "tls = \"compat\"" } else { "#tls = \"compat\"" };
    let configuration = CONFIGURATION.replace("#tls = \"modern\"", tls);
    write_all(dir, &pki, &client_ca, &configuration)
}

fn write_all(
    dir: &Path,
    pki: &Pki,
    (client_ca, client_ca_key): &(Certificate, KeyPair),
    configuration: &str,
) -> Result<PathBuf, PkiError> {
    let config = dir.join("gateway.toml");
    let files = [
        (dir.join("ca.pem"), pki.ca_pem.clone(), PUBLIC),
        (dir.join("ca.key"), pki.ca_key.serialize_pem(), SECRET),
        (dir.join("server.pem"), pki.server.pem(), PUBLIC),
        (dir.join("server.key"), pki.server_key.serialize_pem(), SECRET),
        (dir.join("client-ca.pem"), client_ca.pem(), PUBLIC),
        (dir.join("client-ca.key"), client_ca_key.serialize_pem(), SECRET),
        (config.clone(), configuration.to_owned(), PUBLIC),
    ];
    if let Some((path, ..)) = files.iter().find(|(path, ..)| path.exists()) {
        return Err(PkiError::Exists(path.clone()));
    }
    create_private_folder(dir).map_err(|error| PkiError::File { path: dir.to_owned(), error })?;
    for (path, text, mode) in files {
        write_new(&path, &text, mode).map_err(|error| PkiError::File { path, error })?;
    }
    Ok(config)
}

/// The commented configuration that `init` writes.
const CONFIGURATION: &str = include_str!("gateway.toml");

/// For everyone to read.
const PUBLIC: u32 = 0o644;
/// For the owner alone.
const SECRET: u32 = 0o600;

#[cfg_attr(not(unix), allow(unused_variables))]
fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The certificates in a PEM file, in order.
///
/// # Errors
/// [`PkiError::NoCertificate`] when there is none, or one is broken.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PkiError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    all.ok().filter(|all| !all.is_empty()).ok_or(PkiError::NoCertificate)
}

/// The fingerprint of the first certificate in a PEM file.
///
/// # Errors
/// As [`certificates`].
pub fn fingerprint(pem: &[u8]) -> Result<Fingerprint, PkiError> {
    let first = certificates(pem)?.into_iter().next().ok_or(PkiError::NoCertificate)?;
    let digest = ring::digest::digest(&ring::digest::SHA256, &first);
    // A digest of SHA-256 has 32 bytes.
    Ok(Fingerprint::new(digest.as_ref().try_into().unwrap_or_default()))
}

/// The private key in a PEM file.
///
/// # Errors
/// [`PkiError::NoKey`] when there is none. The file's content is never part of the message.
pub fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, PkiError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| PkiError::NoKey)
}

/// Whether the first certificate has an RSA key.
#[cfg(feature = "compat")]
pub(crate) fn is_rsa(chain: &[CertificateDer<'_>]) -> bool {
    use x509_parser::prelude::{FromDer, X509Certificate};
    let leaf = chain.first().and_then(|der| X509Certificate::from_der(der).ok());
    leaf.is_some_and(|(_, it)| crate::client_id::rsa_key(&it.tbs_certificate.subject_pki).is_some())
}

/// The verifier of client certificates. They are requested and not required. With `client_ca` a
/// presented one must chain to it. Without it any that is not `revoked` is accepted and proves only
/// possession of its key.
///
/// # Errors
/// When a CA is unusable.
pub fn client_verifier(
    client_ca: Option<Vec<CertificateDer<'static>>>,
    revoked: Revoked,
) -> Result<Arc<dyn ClientCertVerifier>, PkiError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let Some(certificates) = client_ca else {
        return Ok(Arc::new(AnyClient { provider, revoked }));
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate)?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    Ok(verifier.allow_unauthenticated().build()?)
}

/// TLS 1.3 and 1.2 with this certificate, by rustls; for `client_ca` and `revoked` see
/// [`client_verifier`].
///
/// # Errors
/// When the key does not belong to the certificate, or a CA is unusable.
pub fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    client_ca: Option<Vec<CertificateDer<'static>>>,
    revoked: Revoked,
) -> Result<Arc<ServerConfig>, PkiError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = client_verifier(client_ca, revoked)?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}

/// Accepts clients without a certificate, and with one of any issuer. A SeaCat identity is the key
/// itself (wire specification, section 5.4), so only possession is verified. A revoked certificate
/// is refused with the alert `certificate_revoked`: a client that is merely treated as anonymous
/// would not know why.
#[derive(Debug)]
struct AnyClient {
    provider: Arc<CryptoProvider>,
    revoked: Revoked,
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        match self.revoked.contains(end_entity) {
            true => Err(CertificateError::Revoked.into()),
            false => Ok(ClientCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Backend, Config, Host, Identities, Limits, Upstream};
    use crate::enroll::Policy;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::ServerName;
    use seacat_link::ServerTls;

    fn verifier(ca_pem: &[u8]) -> Arc<WebPkiServerVerifier> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(ca_pem).unwrap() {
            roots.add(certificate).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap()
    }

    #[test]
    fn init_makes_a_chain_that_a_client_accepts() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["gw.example.com".to_owned(), "192.0.2.7".to_owned()];
        init(dir.path(), &names).unwrap();
        let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
        let verifier = verifier(&read("ca.pem"));
        let leaf = certificates(&read("server.pem")).unwrap().remove(0);
        let check = |name: &str, at: UnixTime| {
            let name = ServerName::try_from(name.to_owned()).unwrap();
            verifier.verify_server_cert(&leaf, &[], &name, &[], at)
        };
        let year = |years: u64| Duration::from_secs(years * 365 * 86_400);
        let now = UnixTime::now();
        for name in ["gw.example.com", "192.0.2.7", "localhost", "127.0.0.1", "::1"] {
            check(name, now).unwrap();
        }
        check("other.example.com", now).unwrap_err();
        let since = Duration::from_secs(now.as_secs());
        check("localhost", UnixTime::since_unix_epoch(since + year(10))).unwrap();
        check("localhost", UnixTime::since_unix_epoch(since + year(11))).unwrap_err();
    }

    #[test]
    fn init_for_the_reference_makes_what_its_client_checks() {
        use x509_parser::prelude::{FromDer, X509Certificate};
        let dir = tempfile::tempdir().unwrap();
        let config =
            init_reference(dir.path(), "Gw.Example.com", &["more.example".into()]).unwrap();
        let tls = Config::load(&config).unwrap().tls;
        assert_eq!(cfg!(feature = "compat"), !matches!(tls, ServerTls::Rustls(_)));
        let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
        let (ca, leaf) = (read("ca.pem"), certificates(&read("server.pem")).unwrap().remove(0));
        let root = certificates(&ca).unwrap().remove(0);
        let (_, parsed) = X509Certificate::from_der(&leaf).unwrap();
        let (_, root) = X509Certificate::from_der(&root).unwrap();
        assert_eq!(root.subject().to_string(), "CN=ca.seacat.mobi");
        assert_eq!(parsed.issuer(), root.subject(), "issued directly");
        parsed.verify_signature(Some(root.public_key())).unwrap();
        assert_eq!(parsed.subject().to_string(), "CN=Gw.Example.com", "byte for byte");
        for key in [parsed.public_key(), root.public_key()] {
            assert!(crate::client_id::rsa_key(key).is_some(), "the suite is an RSA one");
        }
        // A modern client finds the names in subjectAltName.
        for name in ["gw.example.com", "more.example", "localhost"] {
            let name = ServerName::try_from(name).unwrap();
            let verdict = verifier(&ca).verify_server_cert(&leaf, &[], &name, &[], UnixTime::now());
            verdict.unwrap();
        }
    }

    #[test]
    fn another_ca_does_not_vouch_for_it() {
        let (one, two) = (Pki::generate(&[]).unwrap(), Pki::generate(&[]).unwrap());
        let name = ServerName::try_from("localhost").unwrap();
        let check = |pki: &Pki| {
            verifier(pki.ca_pem.as_bytes()).verify_server_cert(
                one.server.der(),
                &[],
                &name,
                &[],
                UnixTime::now(),
            )
        };
        check(&one).unwrap();
        check(&two).unwrap_err();
    }

    #[test]
    #[cfg(unix)]
    fn keys_are_for_the_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let made = dir.path().join("made");
        init(&made, &[]).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&made), 0o700);
        for key in ["ca.key", "server.key", "client-ca.key"] {
            assert_eq!(mode(&made.join(key)), 0o600, "{key}");
        }
    }

    #[test]
    fn nothing_is_overwritten() {
        for name in [
            "ca.pem",
            "ca.key",
            "server.pem",
            "server.key",
            "client-ca.pem",
            "client-ca.key",
            "gateway.toml",
        ] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(name), "precious").unwrap();
            let error = init(dir.path(), &[]).unwrap_err();
            assert!(matches!(&error, PkiError::Exists(path) if path.ends_with(name)), "{error}");
            assert_eq!(std::fs::read(dir.path().join(name)).unwrap(), b"precious");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is made");
        }
    }

    #[test]
    fn the_configuration_it_makes_is_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let path = init(dir.path(), &[]).unwrap();
        let config = Config::load(&path).unwrap();
        assert_eq!(config.hosts.keys().collect::<Vec<_>>(), ["hello"]);

        // The commented settings are valid too, and state the defaults.
        let text = std::fs::read_to_string(&path).unwrap();
        let uncommented: String = text
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(setting) if !setting.starts_with(' ') => format!("{setting}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        assert_ne!(uncommented, text);
        std::fs::write(&path, uncommented).unwrap();
        let full = Config::load(&path).unwrap();
        assert_eq!(full.limits, Limits::default());
        assert_eq!(full.threads, config.threads);
        assert_eq!(full.identity_fields, config.identity_fields);
        let Identities::Enroll(enroll) = &full.identities else { panic!("{:?}", full.identities) };
        assert_eq!(enroll.policy, Policy::default());
        assert!(full.hosts["erp"].identity);
        let erp = &full.hosts["erp"];
        assert_eq!(erp.connect_timeout, Host::CONNECT_TIMEOUT);
        let Some(Backend::Http(upstream)) = &erp.backend else { panic!("{erp:?}") };
        assert_eq!(upstream.response_timeout, Upstream::RESPONSE_TIMEOUT);
        assert!(upstream.upgrade && erp.connect.is_some());
    }
}
