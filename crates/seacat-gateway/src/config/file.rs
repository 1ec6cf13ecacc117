//! The tables of the file and their conversion to a configuration.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use seacat_files::read_text;
use seacat_link::ServerTls;
use serde::Deserialize;
use toml::Spanned;

use super::target::Origin;
use super::values::{Count, Lifetime, Parsed, Seconds, seconds};
use super::{
    Backend, Config, Connect, Enroll, Host, Identities, Limits, Reverse, StateAt, Upstream,
};
use crate::builtin::Builtin;
use crate::client_id::ClientName;
use crate::enroll::{ClientCa, Mode, Policy, Revoked};
use crate::head;
use crate::identity::IdentityFields;
use crate::pki;

/// An error at a byte of the file.
pub(super) struct Wrong {
    pub(super) at: usize,
    pub(super) what: String,
}

fn wrong<T>(at: &Spanned<T>, what: impl Into<String>) -> Wrong {
    Wrong { at: at.span().start, what: what.into() }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
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
    store: Option<Spanned<String>>,
    store_password_file: Option<Spanned<PathBuf>>,
    store_ca_file: Option<Spanned<PathBuf>>,
    ca_certificate: Option<PathBuf>,
    ca_key: Option<PathBuf>,
    validity: Option<Lifetime>,
    auto_renew: Option<bool>,
    auto_renew_expired: Option<bool>,
    max_pending: Option<Count>,
    pending_expiry: Option<Lifetime>,
    max_clients: Option<Count>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct LimitsTable {
    connections: Option<Count>,
    memory: Option<Count>,
    spool: Option<Count>,
    stranger_idle: Option<Seconds>,
    streams: Option<Count>,
    handshake_timeout: Option<Seconds>,
    drain_timeout: Option<Seconds>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostTable {
    uri: Option<Parsed<Origin>>,
    builtin: Option<Builtin>,
    connect: Option<Connect>,
    host_header: Option<Parsed<HeaderValue>>,
    connect_timeout: Option<Seconds>,
    identity: Option<bool>,
    response_timeout: Option<Seconds>,
    body_timeout: Option<Seconds>,
    upgrade: Option<bool>,
    x_forwarded_for: Option<bool>,
    x_forwarded_host: Option<bool>,
    via: Option<Via>,
}

/// `via`: whether it is forwarded to the back end.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Via {
    On,
    Off,
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
    pub(super) fn resolve(self, base: &Path) -> Result<Config, Wrong> {
        let limits = Limits::default();
        let identities = match (&self.enroll, &self.gateway.client_ca) {
            (None, None) => Identities::None,
            (None, Some(_)) => Identities::ClientCa,
            (Some(enroll), None) => Identities::Enroll(enroll.resolve(base)?),
            (Some(_), Some(client_ca)) => {
                let both = "`client_ca` and [enroll] exclude each other: keep one";
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
                        "host `{name}` requires an identity, but no client can have one: set [enroll] or `client_ca`"
                    ),
                ));
            }
            if hosts.insert(name.to_ascii_lowercase(), host).is_some() {
                return Err(wrong(
                    &table,
                    format!("host `{name}` is defined twice, in other case"),
                ));
            }
        }
        let mut reverse_ports = BTreeMap::new();
        for (name, table) in self.reverse {
            if matches!(identities, Identities::None) {
                let what = format!(
                    "reverse `{name}` requires an identified client: set [enroll] or `client_ca`"
                );
                return Err(wrong(&table, what));
            }
            reverse_ports.insert(name, reverse(table.into_inner())?);
        }
        Ok(Config {
            listen: self.gateway.listen,
            tls: self.gateway.tls(base, &identities)?,
            identities,
            identity_fields,
            hosts,
            reverse: reverse_ports,
            limits: Limits {
                connections: self.limits.connections.map_or(limits.connections, |it| it.0),
                memory: self.limits.memory.map_or(limits.memory, Count::mebibytes),
                spool: self.limits.spool.map_or(limits.spool, Count::mebibytes),
                descriptors: limits.descriptors,
                stranger_idle: seconds(self.limits.stranger_idle, limits.stranger_idle),
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
            if !head::is_free(name.as_str().as_bytes()) {
                return Err(wrong(given, format!("HTTP itself uses `{name}`")));
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

    fn tls(&self, base: &Path, identities: &Identities) -> Result<ServerTls, Wrong> {
        let read = |path: &Spanned<PathBuf>| {
            let file = base.join(path.get_ref());
            read_text(&file).map_err(|io| wrong(path, format!("{}: {io}", file.display())))
        };
        let chain = pki::certificates(read(&self.certificate)?.as_bytes())
            .map_err(|error| wrong(&self.certificate, error.to_string()))?;
        let key = pki::private_key(read(&self.key)?.as_bytes())
            .map_err(|error| wrong(&self.key, error.to_string()))?;
        let clients = match &self.client_ca {
            None => None,
            Some(path) => Some(
                pki::certificates(read(path)?.as_bytes())
                    .map_err(|error| wrong(path, error.to_string()))?,
            ),
        };
        let revoked = match identities {
            Identities::Enroll(enroll) => enroll.revoked.clone(),
            Identities::None | Identities::ClientCa => Revoked::default(),
        };
        match (&self.tls, &self.tls_suites) {
            (Some(kind), suites) if *kind.get_ref() == TlsKind::Compat => {
                let judge = pki::client_verifier(clients, revoked)
                    .map_err(|error| wrong(kind, error.to_string()))?;
                compat(kind, suites.as_ref(), &chain, &key, judge)
            }
            (_, Some(suites)) => {
                Err(wrong(suites, "`tls_suites` applies only with `tls = \"compat\"`"))
            }
            (_, None) => pki::server_config(chain, key, clients, revoked)
                .map(ServerTls::from)
                .map_err(|error| wrong(&self.certificate, error.to_string())),
        }
    }
}

/// `tls`: the TLS library.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum TlsKind {
    /// rustls: TLS 1.3 and 1.2 with suites that are considered secure.
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
    judge: Arc<dyn ClientCertVerifier>,
) -> Result<ServerTls, Wrong> {
    use seacat_link::compat::{Identity, REFERENCE_SUITE, SUITES, ServerConfig};
    let wanted = suites.map(Spanned::get_ref);
    // In our order of preference: the most secure suite that the client offers is chosen.
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
    _: Arc<dyn ClientCertVerifier>,
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
        let pem = read_text(&certificate).map_err(|io| fault(&certificate, &io))?;
        let key_pem = read_text(&key).map_err(|io| fault(&key, &io))?;
        let ca = ClientCa::from_pem(pem.as_bytes(), &key_pem).map_err(|error| match error {
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
                pending_expiry: self.pending_expiry.map_or(default.pending_expiry, |it| it.0),
                max_clients: self.max_clients.map_or(default.max_clients, |it| it.0),
                ..default
            },
            state: self.records(base)?,
            ca: Arc::new(ca),
            revoked: Revoked::default(),
        })
    }
}

impl EnrollTable {
    /// Where the clients' records are kept: `store`, or else the folder `state`.
    fn records(&self, base: &Path) -> Result<StateAt, Wrong> {
        let Some(url) = &self.store else {
            if let Some(stray) = self.store_password_file.as_ref().or(self.store_ca_file.as_ref()) {
                return Err(wrong(stray, "this applies to a database: set `store` as well"));
            }
            let folder = self.state.as_deref().unwrap_or(Path::new("state"));
            return Ok(StateAt::Folder(base.join(folder)));
        };
        if self.state.is_some() {
            return Err(wrong(url, "`state` and `store` exclude each other: keep one"));
        }
        database(url, self.store_password_file.as_ref(), self.store_ca_file.as_ref(), base)
    }
}

#[cfg(feature = "postgres")]
fn database(
    url: &Spanned<String>,
    password: Option<&Spanned<PathBuf>>,
    ca: Option<&Spanned<PathBuf>>,
    base: &Path,
) -> Result<StateAt, Wrong> {
    use crate::enroll::{InvalidDatabase, Postgres};
    let read = |path: &Spanned<PathBuf>| {
        let file = base.join(path.get_ref());
        std::fs::read(&file).map_err(|io| wrong(path, format!("{}: {io}", file.display())))
    };
    let password = password.map(read).transpose()?.map(|bytes| {
        let bytes = zeroize::Zeroizing::new(bytes);
        zeroize::Zeroizing::new(bytes.trim_ascii_end().to_vec())
    });
    let pem = ca.map(read).transpose()?;
    let database = Postgres::new(url.get_ref(), password.as_ref(), pem.as_deref());
    let database = database.map_err(|error| match (&error, ca) {
        (InvalidDatabase::Ca(_), Some(ca)) => wrong(ca, error.to_string()),
        _ => wrong(url, error.to_string()),
    })?;
    Ok(StateAt::Postgres(Box::new(database)))
}

#[cfg(not(feature = "postgres"))]
fn database(
    url: &Spanned<String>,
    _: Option<&Spanned<PathBuf>>,
    _: Option<&Spanned<PathBuf>>,
    _: &Path,
) -> Result<StateAt, Wrong> {
    Err(wrong(url, "this seacat-gateway was built without the feature `postgres`"))
}

fn host(name: &str, spanned: &Spanned<HostTable>) -> Result<Host, Wrong> {
    let table = spanned.get_ref();
    let fault = |what: &str| wrong(spanned, format!("host `{name}` {what}"));
    if name.is_empty() {
        return Err(fault("needs a name"));
    }
    let for_http = table.host_header.is_some()
        || table.response_timeout.is_some()
        || table.body_timeout.is_some()
        || table.via.is_some()
        || table.upgrade.is_some()
        || table.x_forwarded_for.is_some()
        || table.x_forwarded_host.is_some();
    if for_http && table.uri.is_none() {
        return Err(fault("has settings that apply only with a `uri`"));
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
            authority: origin.authority.clone(),
            host_header: table.host_header.as_ref().map(|it| it.0.clone()),
            response_timeout: seconds(table.response_timeout, Upstream::RESPONSE_TIMEOUT),
            body_timeout: seconds(table.body_timeout, Upstream::BODY_TIMEOUT),
            upgrade: table.upgrade.unwrap_or(false),
            x_forwarded_for: table.x_forwarded_for.unwrap_or(false),
            x_forwarded_host: table.x_forwarded_host.unwrap_or(false),
            via: table.via != Some(Via::Off),
        })),
    };
    Ok(Host {
        backend,
        connect: table.connect.clone(),
        connect_timeout: seconds(table.connect_timeout, Host::CONNECT_TIMEOUT),
        identity: table.identity.unwrap_or(false),
    })
}

/// A reverse port gives access to the client's network without authentication.
fn reverse(table: ReverseTable) -> Result<Reverse, Wrong> {
    let listen = *table.listen.get_ref();
    if !listen.ip().is_loopback() && !table.allow_remote.unwrap_or(false) {
        let what = "other machines could connect without authentication: listen on 127.0.0.1, or set `allow_remote = true`";
        return Err(wrong(&table.listen, what));
    }
    Ok(Reverse { listen, client: table.client.0, port: table.port.get() })
}
