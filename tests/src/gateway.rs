//! The gateway as an administrator starts it: `init DIR`, a configuration, `run --config`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::channel_tls::ChannelTls;
use crate::place::{binary, clean_command, free_port, limited, scratch};
use crate::process::Process;

/// A host of the gateway: what stands behind a name.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// The name clients ask for.
    pub name: &'static str,
    /// The port on 127.0.0.1 of its HTTP server.
    pub port: u16,
    /// May clients upgrade requests and CONNECT to that port?
    pub tunnel: bool,
}

/// A gateway process. It keeps its port, certificate and configuration over [`Gateway::restart`].
#[derive(Debug)]
pub struct Gateway {
    process: Option<Process>,
    dir: tempfile::TempDir,
    port: u16,
    files: Option<u32>,
}

impl Gateway {
    /// Makes a CA and a certificate, writes a configuration for `hosts`, starts it and waits
    /// until it accepts connections.
    pub fn start(hosts: &[Host]) -> Self {
        Self::start_on(free_port(), hosts)
    }

    /// The same on a port that was chosen before.
    pub fn start_on(port: u16, hosts: &[Host]) -> Self {
        Self::start_speaking(ChannelTls::chosen(), port, hosts)
    }

    /// The same with this TLS.
    pub fn start_speaking(tls: ChannelTls, port: u16, hosts: &[Host]) -> Self {
        Self::configured(tls, port, &["localhost"], &configuration(tls, port, hosts)).started()
    }

    /// One whose certificate is for these names.
    pub fn start_named(names: &[&str], hosts: &[Host]) -> Self {
        let (tls, port) = (ChannelTls::chosen(), free_port());
        Self::configured(tls, port, names, &configuration(tls, port, hosts)).started()
    }

    /// One that is not started yet, so that its certificate can be replaced before.
    pub fn prepared(hosts: &[Host]) -> Self {
        let (tls, port) = (ChannelTls::Modern, free_port());
        Self::configured(tls, port, &["localhost"], &configuration(tls, port, hosts))
    }

    /// One with `more` at the end of its configuration.
    pub fn start_with(hosts: &[Host], more: &str) -> Self {
        Self::prepared_with(hosts, more).started()
    }

    /// The same, and it is not started yet.
    pub fn prepared_with(hosts: &[Host], more: &str) -> Self {
        let (tls, port) = (ChannelTls::chosen(), free_port());
        let text = configuration(tls, port, hosts) + more;
        Self::configured(tls, port, &["localhost"], &text)
    }

    /// The same gateway with a limit on its open files. It is not started yet.
    #[must_use]
    pub fn with_files(self, files: impl Into<Option<u32>>) -> Self {
        Self { files: files.into(), ..self }
    }

    /// One that enrols: newcomers wait for [`Gateway::command`]`("approve")`, and every host is
    /// for enrolled clients alone.
    pub fn start_enrolling(hosts: &[Host]) -> Self {
        Self::enrolling(hosts, "mode = \"pending\"\nvalidity = 3600").started()
    }

    /// One that enrols by these rules, the lines of its table `[enroll]`. It is not started yet.
    pub fn enrolling(hosts: &[Host], rules: &str) -> Self {
        let port = free_port();
        let tls = ChannelTls::chosen();
        let hosts = configuration(tls, port, hosts).replace("\nuri", "\nidentity = true\nuri");
        let text = format!("{hosts}\n[enroll]\n{rules}\n");
        Self::configured(tls, port, &["localhost"], &text)
    }

    /// Runs one of the administrator's commands and returns what it prints.
    pub fn command(&self, arguments: &[&str]) -> String {
        let done = self.administer(arguments, &[]);
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(
            done.status.success(),
            "{arguments:?}: {said}{}",
            String::from_utf8_lossy(&done.stderr)
        );
        said
    }

    /// The same with more in its environment, and however it ends.
    pub fn administer(&self, arguments: &[&str], environment: &[(&str, String)]) -> Output {
        clean_command(binary("seacat-gateway"), self.dir.path())
            .args(arguments)
            .args(["--config", "gateway.toml"])
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .output()
            .expect("seacat-gateway starts")
    }

    fn configured(tls: ChannelTls, port: u16, names: &[&str], configuration: &str) -> Self {
        let dir = scratch();
        let made = clean_command(binary("seacat-gateway"), dir.path())
            .args(["init", "."])
            .args(names.iter().flat_map(|name| ["--name", name]))
            .output()
            .expect("seacat-gateway starts");
        assert!(made.status.success(), "init: {}", String::from_utf8_lossy(&made.stderr));
        tls.certify(dir.path());
        fs::write(dir.path().join("gateway.toml"), configuration).unwrap();
        Self { process: None, dir, port, files: None }
    }

    /// Starts it; returns when it accepts connections.
    #[must_use]
    pub fn started(mut self) -> Self {
        self.launch(&[]);
        self.wait_until_ready();
        self
    }

    /// Adds to its configuration; it is read at the next [`Gateway::restart`].
    pub fn add_to_configuration(&self, more: &str) {
        let path = self.dir.path().join("gateway.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text + more).unwrap();
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate of its CA.
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Its folder: configuration, keys, what it remembers.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// The process, to be measured or killed.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it was started")
    }

    /// Starts it again as it was, after it has ended; returns when it accepts connections.
    pub fn restart(&mut self) {
        assert!(self.process().ended().is_some(), "the gateway still runs");
        self.launch(&[]);
        self.wait_until_ready();
    }

    /// Starts it with more in its environment, and does not wait.
    pub fn launch(&mut self, environment: &[(&str, String)]) {
        let mut command = clean_command(binary("seacat-gateway"), self.dir.path());
        if let Some(files) = self.files {
            command = limited(&command, files);
        }
        command.args(["run", "--config", "gateway.toml"]);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        self.process = Some(Process::start("seacat-gateway", self.dir.path(), &command));
    }

    /// Waits until it accepts connections.
    pub fn wait_until_ready(&mut self) {
        let port = self.port;
        self.process().wait_for_port(port);
    }
}

fn configuration(tls: ChannelTls, port: u16, hosts: &[Host]) -> String {
    let mut text = format!(
        "[gateway]\nlisten = \"127.0.0.1:{port}\"\n\
         certificate = \"server.pem\"\nkey = \"server.key\"\n{}",
        tls.of_gateway()
    );
    for Host { name, port, tunnel } in hosts {
        text += &format!("\n[host.{name}]\nuri = \"http://127.0.0.1:{port}\"\n");
        if *tunnel {
            // Plain HTTP and TLS alike: clients tunnel either, to the port that the URL says.
            let targets = ["80", "443", &port.to_string()]
                .map(|asked| format!("{asked} = \"127.0.0.1:{port}\""))
                .join(", ");
            text += &format!("upgrade = true\nconnect = {{ {targets} }}\n");
        }
    }
    text
}
