//! The proxy as a user starts it: a configuration file in a home of its own, `run`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::http::Client;
use crate::place::{binary, clean_command, free_port, scratch};
use crate::process::Process;

/// A `seacat-proxy run` process with a home of its own.
#[derive(Debug)]
pub struct Proxy {
    process: Option<Process>,
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
        let mut proxy = Self::configured(gateway_port, ca, mapped_host, more);
        proxy.launch(&[]);
        proxy.wait_until_ready();
        proxy
    }

    /// The same, and it is not started yet.
    pub fn configured(gateway_port: u16, ca: &Path, mapped_host: &str, more: &str) -> Self {
        let dir = scratch();
        let (port, mapped_port) = (free_port(), free_port());
        let configuration = configuration(port, mapped_port, mapped_host, gateway_port, ca) + more;
        fs::write(dir.path().join("config.toml"), configuration).unwrap();
        Self { process: None, dir, port, mapped_port }
    }

    /// Starts it with more in its environment, and does not wait.
    pub fn launch(&mut self, environment: &[(&str, String)]) {
        let mut command = Self::command(self.dir.path());
        command.args(["--config", "config.toml", "run"]);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        self.process = Some(Process::start("seacat-proxy", self.dir.path(), &command));
    }

    /// Waits until it listens.
    pub fn wait_until_ready(&mut self) {
        let port = self.port;
        self.process().wait_for_port(port);
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
        self.process.as_mut().expect("it was started")
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
