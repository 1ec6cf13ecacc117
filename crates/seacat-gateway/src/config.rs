//! The gateway's configuration: what the file may say, turned into values that cannot be wrong.
//!
//! The file is TOML. Unknown keys are refused, and every error names the file, the line and what
//! to do about it. Paths in it are relative to the file itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use http::uri::{Authority, Scheme, Uri};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use seacat_link::ServerTls;
use serde::Deserialize;
use serde::de::{self, Deserializer};
use toml::Spanned;

use crate::builtin::Builtin;
use crate::client_id::ClientName;
use crate::enroll::{ClientCa, Mode, Policy};
use crate::head;
use crate::identity::IdentityFields;
use crate::pki;

/// Everything a gateway needs to run.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where clients connect. Port 0 takes a free one, see [`crate::Gateway::local_addr`].
    pub listen: SocketAddr,
    /// The certificate, its key and what is asked of clients.
    pub tls: ServerTls,
    /// Where clients have their identities from.
    pub identities: Identities,
    /// How back ends hear of a client's identity.
    pub identity_fields: IdentityFields,
    /// The hosts a client may name. Names are compared without regard to ASCII case.
    pub hosts: BTreeMap<String, Host>,
    /// Ports of this machine that lead to ports of clients.
    pub reverse: BTreeMap<String, Reverse>,
    /// The bounds.
    pub limits: Limits,
    /// Worker threads of the binary's runtime.
    pub threads: usize,
}

/// Where clients have their identities from.
#[derive(Debug, Clone)]
pub enum Identities {
    /// Nowhere: all are anonymous, whatever they show.
    None,
    /// From `client_ca`, which the TLS settings hold them to.
    ClientCa,
    /// From this gateway.
    Enroll(Enroll),
}

/// `[enroll]`: what an enrolling gateway needs.
#[derive(Debug, Clone)]
pub struct Enroll {
    /// The rules.
    pub policy: Policy,
    /// Where clients are kept.
    pub state: StateAt,
    /// Who signs their certificates.
    pub ca: Arc<ClientCa>,
}

/// Where clients are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateAt {
    /// In a folder, which is made if it is not there.
    Folder(PathBuf),
    /// In memory, until the gateway ends.
    Memory,
}

/// One `[host.NAME]`: what stands behind a name.
#[derive(Debug, Clone)]
pub struct Host {
    /// Who answers ordinary requests; `None` when the host is for CONNECT alone.
    pub backend: Option<Backend>,
    /// Where CONNECT leads, `host:port`; `None` refuses it. The target is fixed here, so that a
    /// client cannot choose where in our network it arrives.
    pub connect: Option<Endpoint>,
    /// How long a back end may take to accept a TCP connection.
    pub connect_timeout: Duration,
    /// Is it for clients with an identity alone? Others are answered 403.
    pub identity: bool,
}

/// Who answers the requests for a host.
#[derive(Debug, Clone)]
pub enum Backend {
    /// An HTTP/1.1 server.
    Http(Upstream),
    /// A page of the gateway itself.
    Builtin(Builtin),
}

/// An HTTP/1.1 back end.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// The `Host` it is asked for.
    pub host_header: HeaderValue,
    /// How long it may leave us waiting for the head of its answer. A client that is still
    /// sending its request does not use up this time.
    pub response_timeout: Duration,
    /// May a client upgrade a request (WebSocket)?
    pub upgrade: bool,
    /// Tell the back end the client's address in `X-Forwarded-For`.
    pub x_forwarded_for: bool,
    /// Tell the back end the host the client named in `X-Forwarded-Host`.
    pub x_forwarded_host: bool,
}

/// One `[reverse.NAME]`: a port of this machine that leads to a port of a client.
#[derive(Debug, Clone)]
pub struct Reverse {
    /// Where visitors connect.
    pub listen: SocketAddr,
    /// The client they reach, as soon as it has connected and shown who it is.
    pub client: ClientName,
    /// The number by which the client knows what they reach.
    pub port: u16,
}

/// A `host:port` to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// The bounds of a gateway, each with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Client connections at one time. A connection costs a socket and some tens of KiB; one
    /// more than this is closed at once, which tells its client to back off.
    pub connections: usize,
    /// Streams at one time in one connection. Each may hold 64 KiB of reply for a client that
    /// reads slowly, so this bounds a connection's memory; one more is refused (RST 3).
    pub streams: usize,
    /// TCP accepted to TLS established. Holds off clients that connect and say nothing.
    pub handshake_timeout: Duration,
    /// How long streams in flight may take to end once the gateway was told to stop.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            streams: 1024,
            handshake_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

impl Host {
    /// A back end takes its SYN on the first try or within the first two retries (1 s + 2 s).
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

    /// A host with this back end and the defaults.
    pub fn new(backend: Backend) -> Self {
        Self {
            backend: Some(backend),
            connect: None,
            connect_timeout: Self::CONNECT_TIMEOUT,
            identity: false,
        }
    }
}

impl Upstream {
    /// What HTTP servers and proxies commonly allow.
    pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

    /// A back end at `http://host:port` with the defaults.
    ///
    /// # Errors
    /// Says what is wrong with `uri`.
    pub fn new(uri: &str) -> Result<Self, String> {
        let origin = Origin::from_str(uri)?;
        Ok(Self {
            endpoint: origin.endpoint,
            host_header: origin.host_header,
            response_timeout: Self::RESPONSE_TIMEOUT,
            upgrade: false,
            x_forwarded_for: false,
            x_forwarded_host: false,
        })
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || format!("`{text}` is not a target: write it as \"127.0.0.1:8443\"");
        let authority = Authority::from_str(text).map_err(|_| wanted())?;
        let port = authority.port_u16().filter(|port| *port != 0).ok_or_else(wanted)?;
        if authority.host().is_empty() || text.contains('@') {
            return Err(wanted());
        }
        Ok(Self { host: unbracketed(authority.host()), port })
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

fn unbracketed(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').to_owned()
}

/// `http://authority`, the only kind of back end URI there is.
struct Origin {
    endpoint: Endpoint,
    host_header: HeaderValue,
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = "write it as \"http://127.0.0.1:1337\"";
        let uri = Uri::from_str(text).map_err(|error| format!("`{text}`: {error}; {wanted}"))?;
        if uri.scheme() != Some(&Scheme::HTTP) {
            return Err(format!("`{text}` is not an http:// address; {wanted}"));
        }
        let plain =
            uri.authority().filter(|it| !it.as_str().contains('@') && !it.host().is_empty());
        let Some(authority) = plain else {
            return Err(format!("`{text}` has no plain host; {wanted}"));
        };
        if uri.path() != "/" || uri.query().is_some() {
            return Err(format!("`{text}`: a path is taken from each request; {wanted}"));
        }
        let endpoint = Endpoint {
            host: unbracketed(authority.host()),
            port: authority.port_u16().unwrap_or(80),
        };
        let host_header =
            HeaderValue::from_str(authority.as_str()).map_err(|error| error.to_string())?;
        Ok(Self { endpoint, host_header })
    }
}

/// What is wrong with a configuration file, and where.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {what}", path.display(), line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct ConfigError {
    /// The configuration file.
    pub path: PathBuf,
    /// The line at fault, from 1, when there is one.
    pub line: Option<usize>,
    /// What is wrong and what to do about it.
    pub what: String,
}

impl Config {
    /// Reads a configuration file and the certificates it names.
    ///
    /// # Errors
    /// The first thing that is wrong with any of them.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let error = |line, what: String| ConfigError { path: path.to_owned(), line, what };
        let text = std::fs::read_to_string(path).map_err(|io| {
            error(None, format!("{io}; `seacat-gateway init DIR` makes a configuration"))
        })?;
        let line = |at: usize| Some(1 + text[..at.min(text.len())].matches('\n').count());
        let file: File = toml::from_str(&text).map_err(|toml| {
            error(toml.span().and_then(|span| line(span.start)), toml.message().to_owned())
        })?;
        let base = path.parent().unwrap_or(Path::new(""));
        file.resolve(base).map_err(|wrong| error(line(wrong.at), wrong.what))
    }
}

/// An error at a byte of the file.
struct Wrong {
    at: usize,
    what: String,
}

fn wrong<T>(at: &Spanned<T>, what: impl Into<String>) -> Wrong {
    Wrong { at: at.span().start, what: what.into() }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    gateway: GatewayTable,
    #[serde(default)]
    limits: LimitsTable,
    enroll: Option<EnrollTable>,
    #[serde(default)]
    host: BTreeMap<String, Spanned<HostTable>>,
    #[serde(default)]
    reverse: BTreeMap<String, Spanned<ReverseTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GatewayTable {
    listen: SocketAddr,
    certificate: Spanned<PathBuf>,
    key: Spanned<PathBuf>,
    client_ca: Option<Spanned<PathBuf>>,
    tls: Option<Spanned<TlsKind>>,
    tls_suites: Option<Spanned<Vec<String>>>,
    threads: Option<Count>,
    client_id_header: Option<Spanned<Parsed<HeaderName>>>,
    client_tag_header: Option<Spanned<Parsed<HeaderName>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnrollTable {
    mode: Spanned<Mode>,
    state: Option<PathBuf>,
    ca_certificate: Option<PathBuf>,
    ca_key: Option<PathBuf>,
    validity: Option<Life>,
    auto_renew: Option<bool>,
    auto_renew_expired: Option<bool>,
    max_pending: Option<Count>,
    max_clients: Option<Count>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct LimitsTable {
    connections: Option<Count>,
    streams: Option<Count>,
    handshake_timeout: Option<Seconds>,
    drain_timeout: Option<Seconds>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostTable {
    uri: Option<Parsed<Origin>>,
    builtin: Option<Builtin>,
    connect: Option<Parsed<Endpoint>>,
    host_header: Option<Parsed<HeaderValue>>,
    connect_timeout: Option<Seconds>,
    identity: Option<bool>,
    response_timeout: Option<Seconds>,
    upgrade: Option<bool>,
    x_forwarded_for: Option<bool>,
    x_forwarded_host: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReverseTable {
    listen: Spanned<SocketAddr>,
    client: Parsed<ClientName>,
    port: NonZeroU16,
    allow_remote: Option<bool>,
}

impl File {
    fn resolve(self, base: &Path) -> Result<Config, Wrong> {
        let limits = Limits::default();
        let identities = match (&self.enroll, &self.gateway.client_ca) {
            (None, None) => Identities::None,
            (None, Some(_)) => Identities::ClientCa,
            (Some(enroll), None) => Identities::Enroll(enroll.resolve(base)?),
            (Some(_), Some(client_ca)) => {
                let both = "`client_ca` and [enroll] cannot both say who a client is: keep one";
                return Err(wrong(client_ca, both));
            }
        };
        let identity_fields = self.gateway.identity_fields()?;
        let mut hosts = BTreeMap::new();
        for (name, table) in self.host {
            let host = host(&name, &table)?;
            if host.identity && matches!(identities, Identities::None) {
                return Err(wrong(
                    &table,
                    format!(
                        "host `{name}` wants an identity, which nobody can have: set [enroll] or `client_ca`"
                    ),
                ));
            }
            if hosts.insert(name.to_ascii_lowercase(), host).is_some() {
                return Err(wrong(
                    &table,
                    format!("host `{name}` is already there, in other case"),
                ));
            }
        }
        let mut doors = BTreeMap::new();
        for (name, table) in self.reverse {
            if matches!(identities, Identities::None) {
                let what = format!(
                    "reverse `{name}` is for one enrolled client, and there are none: set [enroll] or `client_ca`"
                );
                return Err(wrong(&table, what));
            }
            doors.insert(name, reverse(table.into_inner())?);
        }
        Ok(Config {
            listen: self.gateway.listen,
            tls: self.gateway.tls(base)?,
            identities,
            identity_fields,
            hosts,
            reverse: doors,
            limits: Limits {
                connections: self.limits.connections.map_or(limits.connections, |it| it.0),
                streams: self.limits.streams.map_or(limits.streams, |it| it.0),
                handshake_timeout: seconds(self.limits.handshake_timeout, limits.handshake_timeout),
                drain_timeout: seconds(self.limits.drain_timeout, limits.drain_timeout),
            },
            threads: self.gateway.threads.map_or(1, |it| it.0),
        })
    }
}

impl GatewayTable {
    fn identity_fields(&self) -> Result<IdentityFields, Wrong> {
        let mut fields = IdentityFields::default();
        let given =
            [(&self.client_id_header, &mut fields.id), (&self.client_tag_header, &mut fields.tag)];
        for (given, field) in given {
            let Some(given) = given else { continue };
            let Parsed(name) = given.get_ref();
            if !head::is_free(name) {
                return Err(wrong(given, format!("HTTP itself has a use for `{name}`")));
            }
            *field = name.clone();
        }
        match (&self.client_id_header, &self.client_tag_header) {
            (Some(given), _) | (None, Some(given)) if fields.id == fields.tag => {
                Err(wrong(given, "the client's id and tag need two fields"))
            }
            _ => Ok(fields),
        }
    }

    fn tls(&self, base: &Path) -> Result<ServerTls, Wrong> {
        let read = |path: &Spanned<PathBuf>| {
            let file = base.join(path.get_ref());
            std::fs::read(&file).map_err(|io| wrong(path, format!("{}: {io}", file.display())))
        };
        let chain = pki::certificates(&read(&self.certificate)?)
            .map_err(|error| wrong(&self.certificate, error.to_string()))?;
        let key = pki::private_key(&read(&self.key)?)
            .map_err(|error| wrong(&self.key, error.to_string()))?;
        let clients = match &self.client_ca {
            None => None,
            Some(path) => Some(
                pki::certificates(&read(path)?).map_err(|error| wrong(path, error.to_string()))?,
            ),
        };
        match (&self.tls, &self.tls_suites) {
            (Some(kind), suites) if *kind.get_ref() == TlsKind::Compat => {
                compat(kind, suites.as_ref(), &chain, &key, clients)
            }
            (_, Some(suites)) => {
                Err(wrong(suites, "`tls_suites` means something only with `tls = \"compat\"`"))
            }
            (_, None) => pki::server_config(chain, key, clients)
                .map(ServerTls::from)
                .map_err(|error| wrong(&self.certificate, error.to_string())),
        }
    }
}

/// `tls`: who performs TLS.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum TlsKind {
    /// rustls: TLS 1.3 and 1.2 with suites that are safe today.
    Modern,
    /// OpenSSL: the same, and the one suite of the reference client.
    Compat,
}

/// The settings for `tls = "compat"`.
#[cfg(feature = "compat")]
fn compat(
    kind: &Spanned<TlsKind>,
    suites: Option<&Spanned<Vec<String>>>,
    chain: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
    clients: Option<Vec<CertificateDer<'static>>>,
) -> Result<ServerTls, Wrong> {
    use seacat_link::compat::{Identity, REFERENCE_SUITE, SUITES, ServerConfig};
    let wanted = suites.map(Spanned::get_ref);
    // In our order: the safest that a client knows is taken.
    let chosen: Vec<&str> = SUITES
        .into_iter()
        .filter(|it| wanted.is_none_or(|all| all.iter().any(|one| one == it)))
        .collect();
    if let Some(suites) = suites {
        if let Some(unknown) = suites.get_ref().iter().find(|it| !SUITES.contains(&it.as_str())) {
            return Err(wrong(suites, format!("`{unknown}` is not one of {}", SUITES.join(", "))));
        }
        if chosen.is_empty() {
            return Err(wrong(suites, "no suite is left"));
        }
    }
    if chosen.contains(&REFERENCE_SUITE) && !pki::is_rsa(chain) {
        let what = "`tls = \"compat\"` needs a certificate with an RSA key: the suite of the \
                    reference client is ECDHE-RSA";
        return Err(wrong(kind, what));
    }
    let judge = pki::client_verifier(clients).map_err(|error| wrong(kind, error.to_string()))?;
    let identity = Identity { chain, key: key.secret_der() };
    ServerConfig::new(identity, judge, &chosen)
        .map(ServerTls::OpenSsl)
        .map_err(|error| wrong(kind, error.to_string()))
}

#[cfg(not(feature = "compat"))]
fn compat(
    kind: &Spanned<TlsKind>,
    _: Option<&Spanned<Vec<String>>>,
    _: &[CertificateDer<'static>],
    _: &PrivateKeyDer<'static>,
    _: Option<Vec<CertificateDer<'static>>>,
) -> Result<ServerTls, Wrong> {
    let what = "`tls = \"compat\"` needs OpenSSL, and this seacat-gateway was built without: \
                install a build with the feature `compat`, or remove the setting";
    Err(wrong(kind, what))
}

impl EnrollTable {
    fn resolve(&self, base: &Path) -> Result<Enroll, Wrong> {
        let default = Policy::default();
        let path = |given: &Option<PathBuf>, default: &str| {
            base.join(given.as_deref().unwrap_or(Path::new(default)))
        };
        let (certificate, key) =
            (path(&self.ca_certificate, "client-ca.pem"), path(&self.ca_key, "client-ca.key"));
        let fault = |file: &Path, error: &dyn std::fmt::Display| {
            wrong(&self.mode, format!("{}: {error}", file.display()))
        };
        let pem = std::fs::read(&certificate).map_err(|io| fault(&certificate, &io))?;
        let key_pem = std::fs::read_to_string(&key).map_err(|io| fault(&key, &io))?;
        let ca = ClientCa::from_pem(&pem, &key_pem).map_err(|error| match error {
            pki::PkiError::NoCertificate => fault(&certificate, &error),
            error => fault(&key, &error),
        })?;
        Ok(Enroll {
            policy: Policy {
                mode: *self.mode.get_ref(),
                validity: self.validity.map_or(default.validity, |it| it.0),
                auto_renew: self.auto_renew.unwrap_or(default.auto_renew),
                auto_renew_expired: self.auto_renew_expired.unwrap_or(default.auto_renew_expired),
                max_pending: self.max_pending.map_or(default.max_pending, |it| it.0),
                max_clients: self.max_clients.map_or(default.max_clients, |it| it.0),
            },
            state: StateAt::Folder(path(&self.state, "state")),
            ca: Arc::new(ca),
        })
    }
}

fn host(name: &str, spanned: &Spanned<HostTable>) -> Result<Host, Wrong> {
    let table = spanned.get_ref();
    let fault = |what: &str| wrong(spanned, format!("host `{name}` {what}"));
    if name.is_empty() {
        return Err(fault("needs a name"));
    }
    let for_http = table.host_header.is_some()
        || table.response_timeout.is_some()
        || table.upgrade.is_some()
        || table.x_forwarded_for.is_some()
        || table.x_forwarded_host.is_some();
    if for_http && table.uri.is_none() {
        return Err(fault("has settings that mean something only with a `uri`"));
    }
    let backend = match (&table.uri, table.builtin) {
        (Some(_), Some(_)) => return Err(fault("has both `uri` and `builtin`: keep one")),
        (None, None) if table.connect.is_none() => {
            return Err(fault("needs one of `uri`, `builtin` and `connect`"));
        }
        (None, None) => None,
        (None, Some(builtin)) => Some(Backend::Builtin(builtin)),
        (Some(Parsed(origin)), None) => Some(Backend::Http(Upstream {
            endpoint: origin.endpoint.clone(),
            host_header: match &table.host_header {
                Some(Parsed(value)) => value.clone(),
                None => origin.host_header.clone(),
            },
            response_timeout: seconds(table.response_timeout, Upstream::RESPONSE_TIMEOUT),
            upgrade: table.upgrade.unwrap_or(false),
            x_forwarded_for: table.x_forwarded_for.unwrap_or(false),
            x_forwarded_host: table.x_forwarded_host.unwrap_or(false),
        })),
    };
    Ok(Host {
        backend,
        connect: table.connect.as_ref().map(|it| it.0.clone()),
        connect_timeout: seconds(table.connect_timeout, Host::CONNECT_TIMEOUT),
        identity: table.identity.unwrap_or(false),
    })
}

/// Whoever reaches the port reaches into the client's network, with nobody asking who they are.
fn reverse(table: ReverseTable) -> Result<Reverse, Wrong> {
    let listen = *table.listen.get_ref();
    if !listen.ip().is_loopback() && !table.allow_remote.unwrap_or(false) {
        let what = "this would let other machines in, unasked: listen on 127.0.0.1, or set `allow_remote = true`";
        return Err(wrong(&table.listen, what));
    }
    Ok(Reverse { listen, client: table.client.0, port: table.port.get() })
}

const DAY: u64 = 86_400;
/// As long as a CA of ours lives.
const TEN_YEARS: u64 = 3652 * DAY;

/// Most times are over in a day.
type Seconds = Time<DAY>;
/// How long a certificate lives.
type Life = Time<TEN_YEARS>;

fn seconds(given: Option<Seconds>, default: Duration) -> Duration {
    given.map_or(default, |it| it.0)
}

/// A time in seconds, whole or not: above nothing, at most `MOST`.
#[derive(Clone, Copy)]
struct Time<const MOST: u64>(Duration);

impl<'de, const MOST: u64> Deserialize<'de> for Time<MOST> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(from)?;
        match Duration::try_from_secs_f64(seconds) {
            Ok(time) if !time.is_zero() && time <= Duration::from_secs(MOST) => Ok(Self(time)),
            _ => {
                Err(de::Error::custom(format!("a time is in seconds, above 0 and at most {MOST}")))
            }
        }
    }
}

/// How many of something: at least one.
#[derive(Clone, Copy)]
struct Count(usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match u32::deserialize(from)? {
            0 => Err(de::Error::custom("this must be at least 1")),
            count => Ok(Self(count as usize)),
        }
    }
}

/// A string parsed while it is read, so that an error knows its line.
struct Parsed<T>(T);

impl<'de, T: FromStr<Err: std::fmt::Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map(Parsed).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "[gateway]\nlisten = \"127.0.0.1:0\"\n\
                        certificate = \"server.pem\"\nkey = \"server.key\"\n";

    const NOT_COMPAT: &str = if cfg!(feature = "compat") { "RSA key" } else { "built without" };

    fn load(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        pki::init(&dir.path().join("pki"), &["gw.test".to_owned()]).unwrap();
        let dir = dir.path().join("pki");
        let file = dir.join("test.toml");
        std::fs::write(&file, text).unwrap();
        Config::load(&file)
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        // (what stands after the [gateway] table, whose 4 lines come first; line; part of the text)
        let cases = [
            ("thread = 2", 5, "unknown field `thread`"),
            ("threads = 0", 5, "at least 1"),
            ("tls = \"old\"", 5, "unknown variant `old`"),
            ("tls_suites = []", 5, "only with `tls = \"compat\"`"),
            // init makes ECDSA keys; in a build without OpenSSL that is what is said.
            ("tls = \"compat\"", 5, NOT_COMPAT),
            ("client_ca = \"none.pem\"", 5, "none.pem"),
            ("client_ca = \"server.key\"", 5, "no certificate"),
            ("[limits]\nstreams = -1", 6, "invalid value"),
            ("[limits]\nhandshake_timeout = 0", 6, "in seconds"),
            ("[host.a]\nurl = \"http://x\"", 6, "unknown field `url`"),
            ("[host.a]\nuri = \"https://x\"", 6, "not an http:// address"),
            ("[host.a]\nuri = \"http://x/y\"", 6, "a path is taken from each request"),
            ("[host.a]\nuri = \"http://u:p@x\"", 6, "no plain host"),
            ("[host.a]\nuri = \"127.0.0.1:80\"", 6, "http://127.0.0.1:1337"),
            ("[host.a]\nconnect = \"127.0.0.1\"", 6, "is not a target"),
            ("[host.a]\nconnect = \"u@h:1\"", 6, "is not a target"),
            ("[host.a]\nbuiltin = \"heloo\"", 6, "unknown variant `heloo`"),
            ("[host.a]\nuri = \"http://x\"\nhost_header = \"a\\nb\"", 7, "header value"),
            ("[host.a]\n", 5, "needs one of `uri`, `builtin` and `connect`"),
            ("[host.a]\nuri = \"http://x\"\nbuiltin = \"echo\"", 5, "keep one"),
            ("[host.a]\nbuiltin = \"echo\"\nupgrade = true", 5, "only with a `uri`"),
            ("[host.a]\nbuiltin = \"echo\"\n[host.A]\nbuiltin = \"echo\"", 5, "in other case"),
            ("[hosts.a]", 5, "unknown field `hosts`"),
            ("client_id_header = \"a b\"", 5, "HTTP header name"),
            ("client_id_header = \"Host\"", 5, "HTTP itself has a use"),
            ("client_id_header = \"X-SeaCat-Client-Tag\"", 5, "need two fields"),
            ("[enroll]\nmode = \"auto\"", 6, "unknown variant `auto`"),
            ("[enroll]\nvalidity = 60", 5, "missing field `mode`"),
            ("[enroll]\nmode = \"pending\"\nvalidity = 0", 7, "above 0 and at most 315532800"),
            ("[enroll]\nmode = \"pending\"\nca_key = \"none.key\"", 6, "none.key"),
            ("[enroll]\nmode = \"pending\"\nca_key = \"ca.key\"", 6, "not the key of the CA"),
            ("client_ca = \"ca.pem\"\n[enroll]\nmode = \"pending\"", 5, "keep one"),
            ("[host.a]\nbuiltin = \"echo\"\nidentity = true", 5, "set [enroll] or `client_ca`"),
            (
                "[reverse.a]\nlisten = \"127.0.0.1:1\"\nclient = \"OY4PHTSP5YAU5AUK\"\nport = 22",
                5,
                "set [enroll]",
            ),
            (
                "client_ca = \"ca.pem\"\n[reverse.a]\nlisten = \"127.0.0.1:1\"\nclient = \"X\"\nport = 22",
                8,
                "client tag",
            ),
            (
                "client_ca = \"ca.pem\"\n[reverse.a]\nlisten = \"[::]:1\"\nclient = \"OY4PHTSP5YAU5AUK\"\nport = 22",
                7,
                "allow_remote",
            ),
            (
                "client_ca = \"ca.pem\"\n[reverse.a]\nlisten = \"127.0.0.1:1\"\nclient = \"OY4PHTSP5YAU5AUK\"\nport = 0",
                9,
                "nonzero",
            ),
            ("[host.a", 5, ""),
        ];
        for (text, line, part) in cases {
            let error = load(&format!("{HEAD}{text}")).unwrap_err();
            assert_eq!(error.line, Some(line), "{text:?}: {error}");
            assert!(error.what.contains(part), "{text:?}: {error}");
            let shown = error.to_string();
            assert!(shown.contains(&format!("test.toml, line {line}: ")), "{shown}");
        }
    }

    #[test]
    #[cfg(feature = "compat")]
    fn suites_are_chosen_by_their_names() {
        // Without the suite of the reference client an ECDSA key will do.
        let with = |suites: &str| load(&format!("{HEAD}tls = \"compat\"\ntls_suites = {suites}"));
        assert!(matches!(with("[\"TLS_AES_128_GCM_SHA256\"]").unwrap().tls, ServerTls::OpenSsl(_)));
        for (suites, part) in [("[\"RC4-MD5\"]", "`RC4-MD5` is not one of"), ("[]", "no suite")] {
            let error = with(suites).unwrap_err();
            assert_eq!(error.line, Some(6), "{error}");
            assert!(error.what.contains(part), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_says_how_to_make_one() {
        let error = Config::load(Path::new("/nonexistent/gateway.toml")).unwrap_err();
        assert_eq!(error.line, None);
        assert!(error.to_string().starts_with("/nonexistent/gateway.toml: "), "{error}");
        assert!(error.what.contains("seacat-gateway init"), "{error}");
    }

    #[test]
    fn a_mismatched_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let pki = dir.path().join("pki");
        pki::init(&pki, &[]).unwrap();
        let file = pki.join("test.toml");
        std::fs::write(&file, HEAD.replace("server.key", "ca.key")).unwrap();
        let error = Config::load(&file).unwrap_err();
        assert_eq!(error.line, Some(3), "{error}");
    }

    #[test]
    fn every_setting_of_enrolment_arrives() {
        let config = load(&format!(
            "{HEAD}client_id_header = \"X-Id\"\nclient_tag_header = \"X-Tag\"\n\
             [enroll]\nmode = \"automatic\"\nstate = \"clients\"\nvalidity = 60\n\
             ca_certificate = \"client-ca.pem\"\nca_key = \"client-ca.key\"\n\
             auto_renew = false\nauto_renew_expired = true\nmax_pending = 2\nmax_clients = 3\n\
             [host.a]\nbuiltin = \"echo\"\nidentity = true\n",
        ))
        .unwrap();
        assert_eq!(config.identity_fields.id, "x-id");
        assert_eq!(config.identity_fields.tag, "x-tag");
        assert!(config.hosts["a"].identity);
        let Identities::Enroll(enroll) = config.identities else { panic!() };
        let policy = Policy {
            mode: Mode::Automatic,
            validity: Duration::from_secs(60),
            auto_renew: false,
            auto_renew_expired: true,
            max_pending: 2,
            max_clients: 3,
        };
        assert_eq!(enroll.policy, policy);
        assert!(matches!(enroll.state, StateAt::Folder(path) if path.ends_with("pki/clients")));
    }

    #[test]
    fn every_setting_arrives() {
        let config = load(&format!(
            "{HEAD}client_ca = \"ca.pem\"\nthreads = 3\n\
             [limits]\nconnections = 5\nstreams = 6\nhandshake_timeout = 0.5\ndrain_timeout = 7\n\
             [host.Erp]\nuri = \"http://[::1]:81\"\nhost_header = \"erp.test\"\n\
             connect_timeout = 1\nresponse_timeout = 2.5\nupgrade = true\n\
             x_forwarded_for = true\nx_forwarded_host = true\nconnect = \"[::1]:8443\"\n\
             [host.plain]\nuri = \"http://backend\"\n[host.echo]\nbuiltin = \"echo\"\n",
        ))
        .unwrap();
        assert_eq!(config.threads, 3);
        let limits = Limits {
            connections: 5,
            streams: 6,
            handshake_timeout: Duration::from_millis(500),
            drain_timeout: Duration::from_secs(7),
        };
        assert_eq!(config.limits, limits);
        let erp = &config.hosts["erp"];
        assert_eq!(erp.connect_timeout, Duration::from_secs(1));
        assert_eq!(erp.connect.as_ref().unwrap().to_string(), "[::1]:8443");
        let Some(Backend::Http(upstream)) = &erp.backend else { panic!("{erp:?}") };
        assert_eq!(upstream.endpoint, Endpoint { host: "::1".into(), port: 81 });
        assert_eq!(upstream.host_header, "erp.test");
        assert_eq!(upstream.response_timeout, Duration::from_millis(2500));
        assert!(upstream.upgrade && upstream.x_forwarded_for && upstream.x_forwarded_host);
        let Some(Backend::Http(plain)) = &config.hosts["plain"].backend else { panic!() };
        assert_eq!(plain.endpoint.to_string(), "backend:80");
        assert_eq!(plain.host_header, "backend");
        assert!(!plain.upgrade && !plain.x_forwarded_for && !plain.x_forwarded_host);
        assert!(matches!(config.hosts["echo"].backend, Some(Backend::Builtin(Builtin::Echo))));
    }
}
