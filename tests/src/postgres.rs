//! A PostgreSQL server with TLS and a password, for gateways that share their records.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::place::{binary, clean_command, free_port, scratch};
use crate::process::Process;
use crate::system::succeed;

/// The account that Debian's package makes. The server refuses to run as root.
const ACCOUNT: &str = "postgres";
const PASSWORD: &str = "correct horse battery";

/// A running server with one role, `gateway`, that owns the database `postgres`.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    dir: tempfile::TempDir,
    port: u16,
}

impl Postgres {
    /// Makes a database cluster, starts it and waits until it accepts connections.
    pub fn start() -> Self {
        let dir = scratch();
        let init = ["init", "tls", "--name", "localhost"];
        succeed(clean_command(binary("seacat-gateway"), dir.path()).args(init));
        fs::write(dir.path().join("password"), PASSWORD).unwrap();
        give_away(dir.path());
        let cluster = "-D data -U gateway -A scram-sha-256 --pwfile=password -E UTF8 --no-sync";
        succeed(server_command("initdb", dir.path()).args(cluster.split(' ')));
        let port = free_port();
        let process = launch(dir.path(), port);
        let mut it = Self { process, dir, port };
        it.process.wait_for_port(port);
        it
    }

    /// The lines that an `[enroll]` table needs to use it.
    pub fn settings(&self) -> String {
        let file = |name: &str| self.dir.path().join(name).display().to_string();
        format!(
            "store = \"postgres://gateway@localhost:{}/postgres\"\n\
             store_password_file = \"{}\"\nstore_ca_file = \"{}\"\n",
            self.port,
            file("password"),
            file("tls/ca.pem")
        )
    }

    /// Ends every connection and the server at once, as a crash does: nothing is written.
    pub fn crash(&mut self) {
        self.process.signal("QUIT");
        self.process.wait_to_end(Duration::from_secs(20));
    }

    /// Starts it again after a crash.
    pub fn restart(&mut self) {
        self.process = launch(self.dir.path(), self.port);
        self.process.wait_for_port(self.port);
    }
}

fn launch(dir: &Path, port: u16) -> Process {
    let mut command = server_command("postgres", dir);
    let port = port.to_string();
    command.args(["-D", "data", "-p", &port, "-h", "127.0.0.1", "-k", "", "-c", "ssl=on"]);
    command.args(["-c", "ssl_cert_file=../tls/server.pem", "-c", "ssl_key_file=../tls/server.key"]);
    Process::start("postgres", dir, &command)
}

/// A program of the server's, as a user that may run it, in `dir`.
fn server_command(program: &str, dir: &Path) -> Command {
    if !is_root() {
        return clean_command(server_program(program), dir);
    }
    let mut command = clean_command("setpriv", dir);
    let account = [format!("--reuid={ACCOUNT}"), format!("--regid={ACCOUNT}")];
    // Again, because a change of the user clears it.
    command.args(account).args(["--clear-groups", "--pdeathsig", "KILL", "--"]);
    command.arg(server_program(program));
    command
}

/// Debian keeps the server's programs off the path, one folder per version.
fn server_program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("bin").join(name));
    found.filter(|path| path.is_file()).max().unwrap_or_else(|| PathBuf::from(name))
}

/// Lets the server's account read and write here.
fn give_away(dir: &Path) {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    if is_root() {
        let mut everything = clean_command("chown", dir);
        succeed(everything.args(["-R", &format!("{ACCOUNT}:{ACCOUNT}"), "."]));
        // The gateways under test run as root and still read their files here.
        chown(dir.join("tls/ca.pem"), Some(0), Some(0)).unwrap();
        fs::set_permissions(dir.join("tls"), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
}
