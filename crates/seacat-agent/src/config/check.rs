//! What can only be found out by looking at the files that a configuration names: the one check of
//! `config check` and of everything that puts a changed configuration in effect.

use std::path::{Path, PathBuf};

use seacat_channel::{ConfigError, NetworkConfig, Roots};
use seacat_files::read_text;
use seacat_proxy::ProxyConfig;
use thiserror::Error;

use super::apply::{self, CredentialsError, NetworkError};
use super::schema::Config;

/// Why a configuration whose text is right cannot be used.
#[derive(Debug, Error)]
pub enum FilesError {
    /// A gateway's CA file cannot be read.
    #[error("gateway {host}: ca_file {path} cannot be read: {source}")]
    CaFile {
        /// Which gateway.
        host: String,
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A gateway's CA file holds something else.
    #[error("gateway {host}: ca_file {path} cannot be used: {source}")]
    Ca {
        /// Which gateway.
        host: String,
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: ConfigError,
    },
    /// The credentials of the local proxy cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The upstream proxy cannot be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// Checks the files, and returns what is made of them.
///
/// # Errors
/// For the first that cannot be used.
pub fn files(
    config: &Config,
    state_dir: &Path,
    environment: &[(String, String)],
) -> Result<(ProxyConfig, NetworkConfig), FilesError> {
    for gateway in &config.gateways {
        let Some(path) = &gateway.ca_file else {
            continue;
        };
        let (host, path) = (gateway.host.clone(), path.clone());
        let pem = match read_text(&path) {
            Ok(pem) => pem,
            Err(source) => return Err(FilesError::CaFile { host, path, source }),
        };
        let mut pasted = apply::gateway(gateway);
        pasted.trust.roots = Roots::Pem(pem);
        if let Err(source) = pasted.validate() {
            return Err(FilesError::Ca { host, path, source });
        }
    }
    let proxy = apply::proxy(config)?;
    Ok((proxy, apply::network(config, state_dir, environment)?))
}
