//! From the configuration to what the channel and the proxy are told.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use seacat_channel::identity::{IdentityConfig, gather_facts};
use seacat_channel::{ChannelConfig, GatewayConfig, Roots, Trust};
use seacat_proxy::{Credentials, Limits, MappedPort, ProxyConfig};
use thiserror::Error;

use super::schema::{Config, Enroll, Gateway, KeyStore};

/// Why the file with the proxy credentials cannot be used. Its content is never repeated.
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
    #[error("the credentials file {path} can be read by others (mode {mode:03o}): chmod 600 it")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It does not hold credentials.
    #[error("the credentials file {0} must hold one line `user:password`")]
    Malformed(PathBuf),
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
        name: gateway.name.clone().unwrap_or_else(|| gateway.host.clone()),
        host: gateway.host.clone(),
        port: gateway.port,
        address: gateway.address,
        priority: gateway.priority,
        weight: gateway.weight,
        trust: Trust { roots, pins: gateway.pins.clone() },
        tls: gateway.tls,
    }
}

/// What a channel to `gateways` is told.
#[must_use]
pub fn channel(config: &Config, gateways: Vec<GatewayConfig>) -> ChannelConfig {
    let mut channel = ChannelConfig::new(gateways);
    channel.wait = config.channel.wait;
    channel.reverse.clone_from(&config.reverse);
    channel.proto.keepalive.get_or_insert_default().interval = config.channel.keepalive;
    channel
}

/// Who the channel is towards its gateways; the files go to `state_dir`.
#[must_use]
pub fn identity(config: &Config, state_dir: &Path) -> Option<IdentityConfig> {
    let settings = &config.identity;
    (settings.enroll != Enroll::Off).then(|| IdentityConfig {
        folder: state_dir.join("identity"),
        keyring: settings.key_store == KeyStore::System,
        size: settings.key_bits,
        automatic: settings.enroll == Enroll::Auto,
        subject: settings.subject.clone(),
        facts: gather_facts(
            &settings.characteristics,
            settings.subject.application.as_deref(),
            env!("CARGO_PKG_VERSION"),
        ),
    })
}

/// What the proxy is told. Reads the credentials file, if there is one.
///
/// # Errors
/// When that file cannot be used.
pub fn proxy(config: &Config) -> Result<ProxyConfig, CredentialsError> {
    let settings = &config.proxy;
    let credentials = settings.credentials_file.as_deref().map(read_credentials).transpose()?;
    Ok(ProxyConfig {
        listen: settings.listen.iter().map(|ip| SocketAddr::new(*ip, settings.port)).collect(),
        allow_remote: settings.allow_remote,
        credentials,
        mapped: settings
            .map
            .iter()
            .map(|map| MappedPort { listen: map.listen, host: map.host.clone() })
            .collect(),
        routes: config.routes.iter().map(|route| (route.pattern.clone(), route.to)).collect(),
        limits: Limits { connections: settings.max_connections as usize, ..Limits::default() },
        ..ProxyConfig::default()
    })
}

fn read_credentials(path: &Path) -> Result<Credentials, CredentialsError> {
    let failed = |source| CredentialsError::Io { path: path.to_owned(), source };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(CredentialsError::Open { path: path.to_owned(), mode });
        }
    }
    let text = fs::read_to_string(path).map_err(failed)?;
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
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn credentials_must_be_private_and_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        assert!(matches!(read_credentials(&path), Err(CredentialsError::Io { .. })));
        for (text, right) in [
            ("ann:secret\n", true),
            ("ann:se:cret", true),
            ("", false),
            ("ann", false),
            (":secret", false),
            ("ann:\n", false),
            ("ann:a\nbob:b\n", false),
        ] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert_eq!(read_credentials(&path).is_ok(), right, "{text:?}");
        }
        fs::write(&path, "ann:secret").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = read_credentials(&path).expect_err("others may read it").to_string();
        assert!(error.contains("mode 640") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn every_setting_arrives() {
        let mut config = Config::default();
        config.channel.keepalive = std::time::Duration::from_secs(77);
        config.proxy.port = 4000;
        config.proxy.max_connections = 9;
        let told = channel(&config, vec![]);
        assert_eq!(told.proto.keepalive.unwrap().interval.as_secs(), 77);
        let told = proxy(&config).unwrap();
        assert_eq!(told.listen[0].to_string(), "127.0.0.1:4000");
        assert_eq!(told.listen[1].to_string(), "[::1]:4000");
        assert_eq!(told.limits.connections, 9);
        let pinned = Gateway { host: "gw".into(), pins: vec!["p".into()], ..Gateway::default() };
        assert_eq!(gateway(&pinned).trust.pins, ["p"]);
        assert_eq!(gateway(&pinned).name, "gw");
    }
}
