//! The gateway as an administrator starts it: `init DIR`, a configuration, `run --config`.

use std::fs;
use std::path::PathBuf;

use crate::place::{binary, clean_command, free_port, scratch};
use crate::process::Process;
use crate::road::Road;

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
    process: Process,
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
        Self::start_speaking(Road::chosen(), port, hosts)
    }

    /// The same with a TLS of the story's choice.
    pub fn start_speaking(road: Road, port: u16, hosts: &[Host]) -> Self {
        Self::configured(road, port, &configuration(road, port, hosts))
    }

    /// One that enrols: newcomers wait for [`Gateway::command`]`("approve")`, and every host is
    /// for enrolled clients alone.
    pub fn start_enrolling(hosts: &[Host]) -> Self {
        let port = free_port();
        let road = Road::chosen();
        let hosts = configuration(road, port, hosts).replace("\nuri", "\nidentity = true\nuri");
        Self::configured(road, port, &(hosts + "\n[enroll]\nmode = \"pending\"\nvalidity = 3600\n"))
    }

    /// Runs one of the administrator's commands and returns what it prints.
    pub fn command(&self, arguments: &[&str]) -> String {
        let done = clean_command(binary("seacat-gateway"), self.dir.path())
            .args(arguments)
            .args(["--config", "gateway.toml"])
            .output()
            .expect("seacat-gateway starts");
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(
            done.status.success(),
            "{arguments:?}: {said}{}",
            String::from_utf8_lossy(&done.stderr)
        );
        said
    }

    fn configured(road: Road, port: u16, configuration: &str) -> Self {
        let dir = scratch();
        let made = clean_command(binary("seacat-gateway"), dir.path())
            .args(["init", ".", "--name", "localhost"])
            .output()
            .expect("seacat-gateway starts");
        assert!(made.status.success(), "init: {}", String::from_utf8_lossy(&made.stderr));
        road.certify(dir.path());
        fs::write(dir.path().join("gateway.toml"), configuration).unwrap();
        let process = run(&dir, port);
        Self { process, dir, port }
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

    /// The process, to be measured or killed.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Starts it again as it was, after it has ended; returns when it accepts connections.
    pub fn restart(&mut self) {
        assert!(self.process.ended().is_some(), "the gateway still runs");
        self.process = run(&self.dir, self.port);
    }
}

fn run(dir: &tempfile::TempDir, port: u16) -> Process {
    let mut command = clean_command(binary("seacat-gateway"), dir.path());
    command.args(["run", "--config", "gateway.toml"]);
    let mut process = Process::start("seacat-gateway", dir.path(), &command);
    process.wait_for_port(port);
    process
}

fn configuration(road: Road, port: u16, hosts: &[Host]) -> String {
    let mut text = format!(
        "[gateway]\nlisten = \"127.0.0.1:{port}\"\n\
         certificate = \"server.pem\"\nkey = \"server.key\"\n{}",
        road.of_gateway()
    );
    for Host { name, port, tunnel } in hosts {
        text += &format!("\n[host.{name}]\nuri = \"http://127.0.0.1:{port}\"\n");
        if *tunnel {
            text += &format!("upgrade = true\nconnect = \"127.0.0.1:{port}\"\n");
        }
    }
    text
}
