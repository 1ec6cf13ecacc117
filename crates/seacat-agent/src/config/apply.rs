//! From the configuration to what the channel and the proxy are told.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use seacat_channel::descriptors::for_peers;
use seacat_channel::identity::{APPLICATION_FACTS, IdentityConfig, gather_facts};
use seacat_channel::{
    ChannelConfig, Except, GatewayConfig, NetworkConfig, Roots, Trust, Upstream, UpstreamError,
};
use seacat_files::read_text;
use seacat_proxy::{Credentials, Limits, MappedPort, ProxyConfig, Users};
use thiserror::Error;
use zeroize::Zeroizing;

use super::schema::{Config, Enroll, Gateway, KeyStore, UpstreamProxy};

/// Why a file with credentials cannot be used. Its content is never repeated.
#[derive(Debug, Error)]
pub enum CredentialsError {
    /// It cannot be read.
    #[error("the credentials file {path} cannot be read: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others may read it.
    #[error(
        "the credentials file {path} is readable by other users (mode {mode:03o}): run chmod 600 on it"
    )]
    Open {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It does not hold credentials.
    #[error("the credentials file {0} must contain one line `user:password`")]
    Malformed(PathBuf),
}

/// Why the upstream proxy cannot be used as it is configured.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// A file with credentials cannot be used.
    #[error("upstream.credentials_file: {0}")]
    Credentials(#[from] CredentialsError),
    /// The environment variable is not the URL of a proxy. Its value may hold a password.
    #[error("the upstream proxy in the environment variable {variable} cannot be used: {source}")]
    Environment {
        /// Its name.
        variable: String,
        /// What is wrong with it.
        source: UpstreamError,
    },
    /// The configured URL is not that of a proxy.
    #[error("upstream.proxy: {0}")]
    Url(#[from] UpstreamError),
    /// We would ask ourselves.
    #[error(
        "the upstream proxy {0} is this proxy itself: set another one, or unset https_proxy in \
         the environment of this program"
    )]
    Loop(String),
}

/// A gateway as the channel knows it.
#[must_use]
pub fn gateway(gateway: &Gateway) -> GatewayConfig {
    let roots = match (&gateway.ca_file, &gateway.ca_pem) {
        (Some(file), _) => Roots::File(file.clone()),
        (None, Some(pem)) => Roots::Pem(pem.clone()),
        (None, None) => Roots::WebPki,
    };
    GatewayConfig {
        name: gateway.name.clone().unwrap_or_else(|| title(gateway)),
        host: gateway.host.clone(),
        port: gateway.port,
        address: gateway.address,
        discover: gateway.discover.clone(),
        priority: gateway.priority,
        weight: gateway.weight,
        trust: Trust { roots, pins: gateway.pins.clone() },
        tls: gateway.tls,
        group: gateway.group.clone(),
    }
}

/// What a gateway without a name is called.
fn title(gateway: &Gateway) -> String {
    match &gateway.discover {
        Some(discovery) => discovery.app_id.clone(),
        None => gateway.host.clone(),
    }
}

/// How gateways are found and reached. Reads the upstream proxy's credentials, if there is a file
/// with them; what DNS said goes to `state_dir`.
///
/// # Errors
/// When the upstream proxy cannot be used.
pub fn network(
    config: &Config,
    state_dir: &Path,
    environment: &[(String, String)],
) -> Result<NetworkConfig, NetworkError> {
    Ok(NetworkConfig {
        upstream: upstream(config, environment)?,
        dns_servers: config.channel.dns_servers.clone(),
        discovery_folder: Some(state_dir.join("discovery")),
    })
}

fn upstream(
    config: &Config,
    environment: &[(String, String)],
) -> Result<Option<Upstream>, NetworkError> {
    let settings = &config.upstream;
    let proxy = match &settings.proxy {
        UpstreamProxy::None => None,
        UpstreamProxy::Environment => from_environment(environment)?,
        UpstreamProxy::Url(url) => Some(url.parse::<Upstream>()?),
    };
    let Some(mut proxy) = proxy else {
        return Ok(None);
    };
    if is_us(&proxy, config) {
        return Err(NetworkError::Loop(proxy.to_string()));
    }
    if let (None, Some(file)) = (&proxy.credentials, &settings.credentials_file) {
        let Credentials { user, password } = read_credentials(file)?;
        proxy.credentials = Some(seacat_channel::Credentials::new(user, password));
    }
    proxy.connect_by = settings.connect_by;
    Ok(Some(proxy))
}

/// A gateway is reached by TLS, so it is the proxy for HTTPS that counts. Lower case wins, as with
/// curl.
fn from_environment(environment: &[(String, String)]) -> Result<Option<Upstream>, NetworkError> {
    let variable = |names: &[&'static str]| {
        let value = |name: &&str| {
            environment.iter().find(|(it, value)| it == name && !value.trim().is_empty())
        };
        names.iter().find_map(value)
    };
    let Some((name, url)) = variable(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
    else {
        return Ok(None);
    };
    let mut proxy: Upstream = url
        .trim()
        .parse()
        .map_err(|source| NetworkError::Environment { variable: name.clone(), source })?;
    if let Some((_, except)) = variable(&["no_proxy", "NO_PROXY"]) {
        proxy.except = Except::parse(except);
    }
    Ok(Some(proxy))
}

/// `seacat-proxy env` makes other programs use us; in such a shell we would use ourselves.
fn is_us(proxy: &Upstream, config: &Config) -> bool {
    let ip = proxy.host.parse::<std::net::IpAddr>();
    let here = proxy.host.eq_ignore_ascii_case("localhost")
        || ip.is_ok_and(|ip| ip.is_loopback() || config.proxy.listen.contains(&ip));
    here && proxy.port == config.proxy.port
}

/// What a channel to `gateways` is told.
#[must_use]
pub fn channel(config: &Config, gateways: Vec<GatewayConfig>) -> ChannelConfig {
    let mut channel = ChannelConfig::new(gateways);
    channel.wait = config.channel.wait;
    channel.memory = config.channel.memory;
    channel.reverse.clone_from(&config.reverse);
    channel.proto.keepalive.get_or_insert_default().interval = config.channel.keepalive;
    channel
}

/// Who the channel is towards its gateways; the files go to `state_dir`.
#[must_use]
pub fn identity(config: &Config, state_dir: &Path) -> Option<IdentityConfig> {
    let settings = &config.identity;
    (settings.enroll != Enroll::Off).then(|| IdentityConfig {
        folder: state_dir.join("identities"),
        // Versions before had one identity for all gateways.
        legacy: Some(state_dir.join("identity")),
        keyring: settings.key_store == KeyStore::System,
        size: settings.key_bits,
        automatic: settings.enroll == Enroll::Auto,
        subject: settings.subject.clone(),
        facts: gather_facts(
            &settings.characteristics,
            settings.subject.application.as_deref(),
            env!("CARGO_PKG_VERSION"),
        ),
        application_facts: settings
            .characteristics
            .iter()
            .filter(|key| APPLICATION_FACTS.contains(&key.as_str()))
            .cloned()
            .collect(),
    })
}

/// What the proxy is told. Reads the credentials file, if there is one.
///
/// # Errors
/// When that file cannot be used.
pub fn proxy(config: &Config) -> Result<ProxyConfig, CredentialsError> {
    let settings = &config.proxy;
    let credentials = settings.credentials_file.as_deref().map(read_credentials).transpose()?;
    let (users, unknown) = Users::named(&settings.users);
    if !unknown.is_empty() {
        tracing::warn!(names = unknown.join(", "), "proxy.users: no such users on this computer");
    }
    // A connection may need a second descriptor: for a direct route, a tunnel, a temporary file.
    let descriptors = usize::try_from(for_peers() / 2).unwrap_or(usize::MAX);
    let connections = descriptors.min(settings.max_connections as usize);
    Ok(ProxyConfig {
        listen: settings.listen.iter().map(|ip| SocketAddr::new(*ip, settings.port)).collect(),
        allow_remote: settings.allow_remote,
        credentials,
        users,
        mapped: settings
            .map
            .iter()
            .map(|map| MappedPort {
                listen: map.listen,
                host: map.host.clone(),
                allow_origins: map.allow_origins.clone(),
            })
            .collect(),
        routes: config.routes.iter().map(|route| (route.pattern.clone(), route.to)).collect(),
        limits: Limits { connections, ..Limits::default() },
        ..ProxyConfig::default()
    })
}

pub(crate) fn read_credentials(path: &Path) -> Result<Credentials, CredentialsError> {
    let failed = |source| CredentialsError::Io { path: path.to_owned(), source };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(CredentialsError::Open { path: path.to_owned(), mode });
        }
    }
    let text = Zeroizing::new(read_text(path).map_err(failed)?);
    let mut lines = text.lines();
    match (lines.next().and_then(|line| line.split_once(':')), lines.next()) {
        (Some((user, password)), None) if !user.is_empty() && !password.is_empty() => {
            Ok(Credentials { user: user.to_owned(), password: password.to_owned() })
        }
        _ => Err(CredentialsError::Malformed(path.to_owned())),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::config::schema::Map;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn credentials_must_be_private_and_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        assert!(matches!(read_credentials(&path), Err(CredentialsError::Io { .. })));
        for (text, right) in [
            ("ann:secret\n", true),
            ("ann:se:cret", true),
            ("ann:secret\r\n", true),
            ("\u{feff}ann:secret\n", true),
            ("", false),
            ("ann", false),
            (":secret", false),
            ("ann:\n", false),
            ("ann:a\nbob:b\n", false),
        ] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let read = read_credentials(&path).ok();
            let user = right.then_some("ann");
            assert_eq!(read.as_ref().map(|it| it.user.as_str()), user, "{text:?}");
            assert!(read.is_none_or(|it| !it.password.contains('\r')), "{text:?}");
        }
        fs::write(&path, "ann:secret").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = read_credentials(&path).expect_err("others may read it").to_string();
        assert!(error.contains("mode 640") && !error.contains("secret"), "{error}");
    }

    fn environment(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn which_proxy_the_environment_names() {
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[], "none"),
            (&[("http_proxy", "http://p:1")], "none"),
            (&[("https_proxy", " ")], "none"),
            (&[("https_proxy", "http://p:1"), ("all_proxy", "http://q:1")], "p:1"),
            (&[("HTTPS_PROXY", "http://P:1"), ("https_proxy", "http://p:1")], "p:1"),
            (&[("HTTPS_PROXY", "http://P:1")], "P:1"),
            (&[("ALL_PROXY", "proxy.corp:8080")], "proxy.corp:8080"),
            (
                &[("all_proxy", "socks5://u:secret@p:1")],
                "the upstream proxy in the environment variable all_proxy cannot be used: only \
                 http:// proxies can be used: HTTPS and SOCKS proxies are not supported",
            ),
            (
                &[("https_proxy", "http://localhost:3128")],
                "the upstream proxy localhost:3128 is this proxy itself: set another one, or unset \
                 https_proxy in the environment of this program",
            ),
        ];
        let mut config = Config::default();
        config.upstream.proxy = UpstreamProxy::Environment;
        for (variables, expected) in cases {
            let said = match upstream(&config, &environment(variables)) {
                Ok(proxy) => proxy.map_or("none".to_owned(), |proxy| proxy.to_string()),
                Err(error) => error.to_string(),
            };
            assert_eq!(said, *expected, "{variables:?}");
        }
        let variables = [("https_proxy", "http://a:b@p:1"), ("NO_PROXY", "*.corp,10.0.0.0/8")];
        let proxy = upstream(&config, &environment(&variables)).unwrap().unwrap();
        assert!(proxy.credentials.is_some());
        assert!(proxy.except.contains("gw.corp", 443) && !proxy.except.contains("gw.org", 443));
    }

    #[test]
    fn credentials_of_the_upstream_proxy_come_from_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("upstream");
        let mut config = Config::default();
        config.upstream.proxy = UpstreamProxy::Url("http://proxy.corp:3128".into());
        config.upstream.credentials_file = Some(file.clone());
        assert!(matches!(upstream(&config, &[]), Err(NetworkError::Credentials(_))));
        fs::write(&file, "ann:secret\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(upstream(&config, &[]).unwrap().unwrap().credentials.is_some());
    }

    #[test]
    fn every_setting_arrives() {
        let mut config = Config::default();
        config.channel.keepalive = std::time::Duration::from_secs(77);
        config.channel.memory = 17 << 20;
        config.proxy.port = 4000;
        config.proxy.max_connections = 9;
        config.proxy.users = vec!["1005".into(), "no such user".into()];
        let origins = vec!["https://portal.example".parse().unwrap()];
        config.proxy.map = vec![Map { allow_origins: origins.clone(), ..Map::default() }];
        let told = channel(&config, vec![]);
        assert_eq!(told.proto.keepalive.unwrap().interval.as_secs(), 77);
        assert_eq!(told.memory, 17 << 20);
        let told = proxy(&config).unwrap();
        assert_eq!(told.listen[0].to_string(), "127.0.0.1:4000");
        assert_eq!(told.listen[1].to_string(), "[::1]:4000");
        assert_eq!(told.limits.connections, 9);
        assert_eq!(told.users, Users::Also(vec![1005]));
        assert_eq!(told.mapped[0].allow_origins, origins);
        let pinned = Gateway { host: "gw".into(), pins: vec!["p".into()], ..Gateway::default() };
        assert_eq!(gateway(&pinned).trust.pins, ["p"]);
        assert_eq!(gateway(&pinned).name, "gw");
    }
}
