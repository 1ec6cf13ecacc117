//! The packages: installed into clean systems, used, upgraded, removed, and examined by Debian's own
//! tools. `cargo xtask test package` makes them, this version and an older one.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a story fails where it cannot go on, and says what it measured"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use seacat_tests::{Process, System, USER, free_port, scratch, target_folder, wait_for};

/// As xtask calls the package from which an upgrade is made.
const OLDER: &str = "0.0.1";

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// For what takes seconds, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// The package of a version, as `cargo xtask package` names it.
fn deb(name: &str, version: &str) -> PathBuf {
    packed(&format!("{name}_{version}-1_"), ".deb")
}

fn rpm(name: &str, version: &str) -> PathBuf {
    packed(&format!("{name}-{version}-1."), ".rpm")
}

fn packed(begin: &str, end: &str) -> PathBuf {
    let folder = target_folder().join("package");
    let named = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with(begin) && name.ends_with(end)
    };
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let found = entries.map(|entry| entry.unwrap().path()).find(named);
    found.unwrap_or_else(|| {
        panic!("{begin}…{end} is not there; `cargo xtask test package` makes it")
    })
}

/// The proxy of the system's user, in the foreground.
struct Running {
    process: Process,
    port: u16,
}

impl Running {
    fn start(system: &System, port: u16) -> Self {
        let command = system.user_command(&["seacat-proxy", "run"]);
        let mut process = Process::start("seacat-proxy", system.root().parent().unwrap(), &command);
        process.wait_for_port(port);
        Self { process, port }
    }

    /// A request by the system's curl through the proxy and its built-in gateway.
    fn request(&self, system: &System) {
        let proxy = format!("http://127.0.0.1:{}", self.port);
        let said = system.run_as_user(&["curl", "-fsS", "-x", &proxy, "http://hello.seacat/"]);
        assert!(said.contains("SeaCat"), "{said}");
    }

    fn stop(mut self, system: &System) {
        system.run_as_user(&["seacat-proxy", "stop"]);
        let status = self.process.wait_to_end(PATIENCE);
        assert!(status.success(), "{status}: {}", self.process.log());
    }
}

fn setting(system: &System, key: &str) -> String {
    let shown = system.run_as_user(&["seacat-proxy", "config", "show"]);
    let line = shown.lines().find(|line| line.trim_start().starts_with(key));
    line.unwrap_or_else(|| panic!("no {key} in {shown}")).to_owned()
}

/// What is in `after` and was not `before`.
fn new_in(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Vec<String> {
    after.difference(before).cloned().collect()
}

#[test]
fn installed_used_upgraded_and_purged() {
    let system = System::new();
    let before = system.files();

    println!("{}", system.install(&deb("seacat-proxy", OLDER)));
    let port = free_port();
    system.run_as_user(&["seacat-proxy", "config", "set", "proxy.port", &port.to_string()]);
    let running = Running::start(&system, port);
    running.request(&system);

    // Under its feet: what runs goes on, and obeys the new command line.
    println!("{}", system.install(&deb("seacat-proxy", VERSION)));
    let status = ["dpkg-query", "--show", "--showformat=${Version} ${Status}", "seacat-proxy"];
    assert_eq!(system.run(&status), format!("{VERSION}-1 install ok installed"));
    running.request(&system);
    running.stop(&system);

    println!("{}", setting(&system, "proxy.port"));
    assert!(setting(&system, "proxy.port").contains(&port.to_string()));
    let running = Running::start(&system, port);
    running.request(&system);
    running.stop(&system);
    system.run(&["dpkg", "--verify", "seacat-proxy"]);

    system.run(&["apt-get", "purge", "-y", "seacat-proxy"]);
    let left = new_in(&before, &system.files());
    println!("left after the purge:\n  {}", left.join("\n  "));
    assert_eq!(new_in(&system.files(), &before), [""; 0], "nothing of the system's is gone");
    let home = format!("/home/{USER}/");
    for path in left {
        assert!(path.starts_with(&home), "{path} is left");
    }
}
