//! The proxy as a user starts it: a configuration file in a home of its own, `run`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::http::Client;
use crate::place::{binary, clean_command, free_port, scratch};
use crate::process::Process;
use crate::road::Road;

/// A `seacat-proxy run` process with a home of its own.
#[derive(Debug)]
pub struct Proxy {
    process: Process,
    dir: tempfile::TempDir,
    port: u16,
    mapped_port: u16,
}

impl Proxy {
    /// Starts it against a gateway called `localhost` on `gateway_port` whose CA is in `ca`, and
    /// waits until it listens. `mapped_host` is the host behind [`Proxy::mapped_port`].
    pub fn start(gateway_port: u16, ca: &Path, mapped_host: &str) -> Self {
        Self::start_with(gateway_port, ca, mapped_host, "")
    }

    /// The same with `more` at the end of its configuration.
    pub fn start_with(gateway_port: u16, ca: &Path, mapped_host: &str, more: &str) -> Self {
        let more = Road::chosen().of_proxy().to_owned() + more;
        Self::start_telling(gateway_port, ca, mapped_host, &more, None)
    }

    /// One that speaks a TLS of the story's choice, and writes the secrets of its sessions into
    /// the file `keys`, which a build for users would not.
    pub fn start_speaking(
        road: Road,
        gateway_port: u16,
        ca: &Path,
        mapped_host: &str,
        keys: Option<&Path>,
    ) -> Self {
        Self::start_telling(gateway_port, ca, mapped_host, road.of_proxy(), keys)
    }

    fn start_telling(
        gateway_port: u16,
        ca: &Path,
        mapped_host: &str,
        more: &str,
        keys: Option<&Path>,
    ) -> Self {
        let dir = scratch();
        let (port, mapped_port) = (free_port(), free_port());
        let configuration = configuration(port, mapped_port, mapped_host, gateway_port, ca) + more;
        fs::write(dir.path().join("config.toml"), configuration).unwrap();
        let mut command = Self::command(dir.path());
        command.args(["--config", "config.toml", "run"]);
        if let Some(keys) = keys {
            command.env("SSLKEYLOGFILE", keys);
        }
        let mut process = Process::start("seacat-proxy", dir.path(), &command);
        process.wait_for_port(port);
        Self { process, dir, port, mapped_port }
    }

    /// The program with nothing of ours in its environment and all its folders in `home`.
    pub fn command(home: &Path) -> Command {
        let mut command = clean_command(binary("seacat-proxy"), home);
        for (name, folder) in [
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_RUNTIME_DIR", "runtime"),
        ] {
            let folder = home.join(folder);
            private_dir(&folder);
            command.env(name, folder);
        }
        command
    }

    /// The port of the proxy.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port mapped to one host, for applications that take only a base URL.
    pub fn mapped_port(&self) -> u16 {
        self.mapped_port
    }

    /// The proxy's address as clients are told it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its home folder.
    pub fn home(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// The process, to be measured or signalled.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// A new connection to it.
    pub fn client(&self) -> Client {
        Client::connect(self.port).expect("the proxy accepts connections")
    }
}

/// A folder nobody else may look into, as the system would have made it.
fn private_dir(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}

fn configuration(
    port: u16,
    mapped_port: u16,
    mapped_host: &str,
    gateway_port: u16,
    ca: &Path,
) -> String {
    let ca = ca.display();
    format!(
        r#"[proxy]
port = {port}

[[proxy.map]]
listen = "127.0.0.1:{mapped_port}"
host = "{mapped_host}"

[[gateway]]
host = "localhost"
port = {gateway_port}
ca_file = "{ca}"
"#
    )
}
