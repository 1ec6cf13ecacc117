//! A Kerberos realm on loopback: MIT's KDC, two users, the key of one HTTP service.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::place::{clean_command, free_port, scratch};
use crate::process::Process;
use crate::system::succeed;

const REALM: &str = "SUITE.TEST";

/// A running KDC. Each of its users has the own name as password.
#[derive(Debug)]
pub struct Kerberos {
    // Before `dir`: the process ends before its folder is removed.
    _process: Process,
    dir: tempfile::TempDir,
}

impl Kerberos {
    /// Makes the realm, starts its KDC and waits until it accepts connections. `service` is the
    /// host whose HTTP service has its key in [`Kerberos::keytab`].
    pub fn start(service: &str, users: &[&str]) -> Self {
        let dir = scratch();
        let home = dir.path();
        let port = free_port();
        fs::write(home.join("krb5.conf"), client_configuration(port)).unwrap();
        fs::write(home.join("kdc.conf"), kdc_configuration(home, port)).unwrap();
        succeed(kerberos("kdb5_util", home).args(["create", "-s", "-r", REALM, "-P", "master"]));
        let admin = |query: String| succeed(kerberos("kadmin.local", home).args(["-q", &query]));
        for user in users {
            admin(format!("addprinc -pw {user} {user}"));
        }
        admin(format!("addprinc -randkey HTTP/{service}"));
        admin(format!("ktadd -k {}/http.keytab HTTP/{service}", home.display()));
        let mut process = Process::start("krb5kdc", home, kerberos("krb5kdc", home).arg("-n"));
        process.wait_for_port(port);
        // The service may run as another user.
        for (path, mode) in [("", 0o755), ("http.keytab", 0o644)] {
            fs::set_permissions(home.join(path), fs::Permissions::from_mode(mode)).unwrap();
        }
        Self { _process: process, dir }
    }

    /// The key of the service.
    pub fn keytab(&self) -> PathBuf {
        self.dir.path().join("http.keytab")
    }

    /// What a client of the realm is configured with: the value of `KRB5_CONFIG`.
    pub fn configuration(&self) -> PathBuf {
        self.dir.path().join("krb5.conf")
    }

    /// Logs a user in; the ticket, for `KRB5CCNAME`.
    pub fn log_in(&self, user: &str) -> PathBuf {
        let ticket = self.dir.path().join(format!("ticket-{user}"));
        let mut command = kerberos("kinit", self.dir.path());
        command.arg("-c").arg(&ticket).arg(user).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut kinit = command.spawn().expect("kinit starts");
        writeln!(kinit.stdin.take().unwrap(), "{user}").unwrap();
        assert!(kinit.wait().unwrap().success(), "kinit {user}");
        ticket
    }
}

fn kerberos(program: &str, dir: &Path) -> Command {
    let mut command = clean_command(program, dir);
    command.env("KRB5_CONFIG", dir.join("krb5.conf"));
    command.env("KRB5_KDC_PROFILE", dir.join("kdc.conf"));
    command
}

/// No name is looked up, and everything goes over TCP.
fn client_configuration(port: u16) -> String {
    format!(
        "[libdefaults]\n\
         default_realm = {REALM}\n\
         dns_lookup_kdc = false\n\
         dns_lookup_realm = false\n\
         dns_canonicalize_hostname = false\n\
         rdns = false\n\
         udp_preference_limit = 1\n\
         [realms]\n\
         {REALM} = {{\n    kdc = 127.0.0.1:{port}\n}}\n\
         [domain_realm]\n\
         .seacat = {REALM}\n"
    )
}

fn kdc_configuration(dir: &Path, port: u16) -> String {
    let dir = dir.display();
    format!(
        "[kdcdefaults]\n\
         kdc_listen = 127.0.0.1:{port}\n\
         kdc_tcp_listen = 127.0.0.1:{port}\n\
         [realms]\n\
         {REALM} = {{\n    database_name = {dir}/principals\n    key_stash_file = {dir}/stash\n}}\n\
         [logging]\n\
         kdc = FILE:{dir}/kdc.log\n"
    )
}
