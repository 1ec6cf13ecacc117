//! The gateway as an administrator starts it: `init DIR`, a configuration, `run --config`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::place::{binary, clean_command, free_port, scratch};
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
}

impl Gateway {
    /// Makes a CA and a certificate, writes a configuration for `hosts`, starts it and waits
    /// until it accepts connections.
    pub fn start(hosts: &[Host]) -> Self {
        Self::start_on(free_port(), hosts)
    }

    /// The same on a port that was chosen before.
    pub fn start_on(port: u16, hosts: &[Host]) -> Self {
        Self::configured(port, &configuration(port, hosts)).started()
    }

    /// One that enrols: newcomers wait for [`Gateway::command`]`("approve")`, and every host is
    /// for enrolled clients alone.
    pub fn start_enrolling(hosts: &[Host]) -> Self {
        Self::enrolling(hosts, "mode = \"pending\"\nvalidity = 3600").started()
    }

    /// One that enrols by these rules, the lines of its table `[enroll]`. It is not started yet.
    pub fn enrolling(hosts: &[Host], rules: &str) -> Self {
        let port = free_port();
        let hosts = configuration(port, hosts).replace("\nuri", "\nidentity = true\nuri");
        Self::configured(port, &format!("{hosts}\n[enroll]\n{rules}\n"))
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

    fn configured(port: u16, configuration: &str) -> Self {
        let dir = scratch();
        let made = clean_command(binary("seacat-gateway"), dir.path())
            .args(["init", ".", "--name", "localhost"])
            .output()
            .expect("seacat-gateway starts");
        assert!(made.status.success(), "init: {}", String::from_utf8_lossy(&made.stderr));
        fs::write(dir.path().join("gateway.toml"), configuration).unwrap();
        Self { process: None, dir, port }
    }

    /// Starts it; returns when it accepts connections.
    #[must_use]
    pub fn started(mut self) -> Self {
        self.launch(&[]);
        self.wait_until_ready();
        self
    }

    /// Its folder.
    pub fn home(&self) -> &Path {
        self.dir.path()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate of its CA.
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
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

fn configuration(port: u16, hosts: &[Host]) -> String {
    let mut text = format!(
        "[gateway]\nlisten = \"127.0.0.1:{port}\"\n\
         certificate = \"server.pem\"\nkey = \"server.key\"\n"
    );
    for Host { name, port, tunnel } in hosts {
        text += &format!("\n[host.{name}]\nuri = \"http://127.0.0.1:{port}\"\n");
        if *tunnel {
            text += &format!("upgrade = true\nconnect = \"127.0.0.1:{port}\"\n");
        }
    }
    text
}
