//! squid as the upstream proxy, with Basic authentication.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::place::{clean_command, free_port, scratch};
use crate::process::Process;

/// A running squid that lets `ann` through to every port.
#[derive(Debug)]
pub struct Squid {
    process: Process,
    dir: tempfile::TempDir,
    port: u16,
}

/// Who may use it: `user:password`.
pub const SQUID_USER: &str = "ann:correct horse";

/// Where systems put the program that checks passwords.
const CHECKERS: [&str; 3] = [
    "/usr/lib/squid/basic_ncsa_auth",
    "/usr/lib64/squid/basic_ncsa_auth",
    "/usr/libexec/squid/basic_ncsa_auth",
];

impl Squid {
    /// Starts it and waits until it accepts connections.
    pub fn start() -> Self {
        let dir = scratch();
        let port = free_port();
        // Started by root, squid changes to another user, which has to write here.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        fs::write(dir.path().join("squid.conf"), configuration(dir.path(), port)).unwrap();
        fs::write(dir.path().join("users"), users()).unwrap();
        let mut command = clean_command("squid", dir.path());
        command.args(["-N", "-f"]).arg(dir.path().join("squid.conf"));
        let mut process = Process::start("squid", dir.path(), &command);
        process.wait_for_port(port);
        Self { process, dir, port }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has been asked for, one line each: `STATUS METHOD TARGET USER`.
    pub fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.dir.path().join("access.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// The process, to be stopped or killed.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// The file of users: the password is hashed as `crypt` does (MD5).
fn users() -> String {
    let (user, password) = SQUID_USER.split_once(':').expect("a user and a password");
    let hash = Command::new("openssl").args(["passwd", "-1", password]).output();
    let hash = hash.expect("openssl starts").stdout;
    format!("{user}:{}\n", String::from_utf8_lossy(&hash).trim())
}

fn configuration(dir: &Path, port: u16) -> String {
    let checker = CHECKERS.iter().find(|path| Path::new(path).exists());
    let checker = checker.expect("squid brings basic_ncsa_auth");
    let dir = dir.display();
    format!(
        "http_port 127.0.0.1:{port}\n\
         auth_param basic program {checker} {dir}/users\n\
         auth_param basic children 1 startup=1 idle=1\n\
         auth_param basic realm corp\n\
         acl users proxy_auth REQUIRED\n\
         http_access allow users\n\
         http_access deny all\n\
         logformat short %>Hs %rm %ru %un\n\
         access_log stdio:{dir}/access.log short\n\
         cache_log {dir}/cache.log\n\
         pid_filename {dir}/squid.pid\n\
         coredump_dir {dir}\n\
         cache deny all\n\
         shutdown_lifetime 0 seconds\n\
         pinger_enable off\n"
    )
}
