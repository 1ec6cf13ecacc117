//! The proxy as a user starts it: a configuration file in a home of its own, `run`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::channel_tls::ChannelTls;
use crate::http::Client;
use crate::place::{binary, for_proxy, free_port, is_under_wine, limited, scratch, user_command};
use crate::process::{Process, wait_for};

/// A `seacat-proxy run` process with a home of its own.
#[derive(Debug)]
pub struct Proxy {
    process: Option<Process>,
    dir: tempfile::TempDir,
    port: u16,
    mapped_port: u16,
    /// A limit on its open files.
    files: Option<u32>,
}

impl Proxy {
    /// Starts it against a gateway called `localhost` on `gateway_port` whose CA is in `ca`, and
    /// waits until it listens. `mapped_host` is the host behind [`Proxy::mapped_port`].
    pub fn start(gateway_port: u16, ca: &Path, mapped_host: &str) -> Self {
        Self::start_with(gateway_port, ca, mapped_host, "")
    }

    /// The same with `more` at the end of its configuration.
    pub fn start_with(gateway_port: u16, ca: &Path, mapped_host: &str, more: &str) -> Self {
        let mut proxy = Self::prepared(gateway_port, ca, mapped_host, more);
        proxy.start_now(&[]);
        proxy
    }

    /// The same, and it is not started yet.
    pub fn prepared(gateway_port: u16, ca: &Path, mapped_host: &str, more: &str) -> Self {
        let gateway = gateway(ChannelTls::chosen(), gateway_port, ca);
        Self::with_lines(mapped_host, &format!("{gateway}{more}"))
    }

    /// The same proxy with a limit on its open files, started.
    #[must_use]
    pub fn started_with_files(mut self, files: u32) -> Self {
        self.files = Some(files);
        self.start_now(&[]);
        self
    }

    /// One with this TLS, which writes the secrets of its sessions into the file `keys`, which a
    /// build for users would not.
    pub fn start_speaking(
        tls: ChannelTls,
        gateway_port: u16,
        ca: &Path,
        mapped_host: &str,
        keys: Option<&Path>,
    ) -> Self {
        let environment = keys.map(|keys| ("SSLKEYLOGFILE", keys.to_str().unwrap()));
        Self::configured(mapped_host, &gateway(tls, gateway_port, ca), environment.as_slice())
    }

    /// One with these lines, a gateway among them, in its configuration, and these variables in
    /// its environment.
    pub fn configured(mapped_host: &str, lines: &str, environment: &[(&str, &str)]) -> Self {
        let mut proxy = Self::with_lines(mapped_host, lines);
        let environment: Vec<_> =
            environment.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        proxy.start_now(&environment);
        proxy
    }

    fn with_lines(mapped_host: &str, lines: &str) -> Self {
        let dir = scratch();
        let (port, mapped_port) = (free_port(), free_port());
        let configuration = configuration(port, mapped_port, mapped_host) + lines;
        fs::write(dir.path().join("config.toml"), configuration).unwrap();
        Self { process: None, dir, port, mapped_port, files: None }
    }

    fn start_now(&mut self, environment: &[(&str, String)]) {
        self.launch(environment);
        self.wait_until_ready();
    }

    /// Starts it with more in its environment, and does not wait.
    pub fn launch(&mut self, environment: &[(&str, String)]) {
        let mut command = Self::command(self.dir.path());
        if let Some(files) = self.files {
            command = limited(&command, files);
        }
        command.args(["--config", "config.toml", "run"]);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        self.process = Some(Process::start("seacat-proxy", self.dir.path(), &command));
    }

    /// Waits until it listens.
    pub fn wait_until_ready(&mut self) {
        let port = self.port;
        self.process().wait_for_port(port);
    }

    /// Kills it and starts it again in the same home.
    pub fn restart(&mut self) {
        self.process().kill();
        self.start_now(&[]);
    }

    /// What `status --json` says.
    pub fn status(&self) -> serde_json::Value {
        let mut command = Self::command(self.dir.path());
        let said = command.args(["--config", "config.toml", "status", "--json"]).output().unwrap();
        serde_json::from_slice(&said.stdout).unwrap_or_default()
    }

    /// Waits until it is in this state; what `status --json` says then.
    pub fn wait_for_state(&self, state: &str, limit: Duration) -> serde_json::Value {
        wait_for(&format!("the state {state}"), limit, || {
            let status = self.status();
            (status["state"] == state).then_some(status)
        })
    }

    /// The program with nothing of ours in its environment and all its folders in `home`.
    pub fn command(home: &Path) -> Command {
        let mut command = user_command(binary("seacat-proxy"), home);
        if is_under_wine() {
            // Windows has these two in the user's profile, and the tests share Wine's one user.
            let config = home.join("config/seacat-proxy/config.toml");
            if config.is_file() {
                command.env("SEACAT_PROXY_CONFIG", for_proxy(&config));
            }
            command.env("SEACAT_PROXY_STATE_DIR", for_proxy(&home.join("state/seacat-proxy")));
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

    /// The proxy's address as configured in clients.
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

fn configuration(port: u16, mapped_port: u16, mapped_host: &str) -> String {
    format!(
        r#"[proxy]
port = {port}

[[proxy.map]]
listen = "127.0.0.1:{mapped_port}"
host = "{mapped_host}"

"#
    )
}

fn gateway(tls: ChannelTls, port: u16, ca: &Path) -> String {
    let (ca, tls) = (for_proxy(ca), tls.of_proxy());
    format!("[[gateway]]\nhost = \"localhost\"\nport = {port}\nca_file = \"{ca}\"\n{tls}")
}
