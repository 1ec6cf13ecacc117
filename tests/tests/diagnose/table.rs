//! One row: a fault, what was found, and whether that is its name.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use seacat_tests::{Proxy, clean_command, scratch};
use serde_json::Value;

/// Rows that are printed as they come; what is wrong with any of them fails the test at its end.
#[derive(Default)]
pub(crate) struct Table {
    wrong: Vec<String>,
}

impl Table {
    /// Takes a row: `said` must have found `code`, and mention each of `words` somewhere.
    pub(crate) fn row(&mut self, fault: &str, code: &str, words: &[&str], said: &Said) {
        let found = said.whole["finding"]["code"].as_str().unwrap_or("nothing");
        let message = said.whole["finding"]["message"].as_str().unwrap_or_default();
        println!("{fault:<38} {found:<24} {:>5.1} s  {message}", said.seconds);
        let text = said.whole.to_string();
        let missing: Vec<_> = words.iter().filter(|word| !text.contains(**word)).collect();
        let ok = said.whole["finding"]["ok"] == true;
        if found != code || !missing.is_empty() || ok != (code == "SC-OK") {
            self.wrong.push(format!(
                "{fault}: not {code}, or without {missing:?}:\n{:#}\n{}",
                said.whole, said.stderr
            ));
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
        }
    }
}

/// What `diagnose --json` said.
pub(crate) struct Said {
    pub(crate) whole: Value,
    stderr: String,
    seconds: f64,
}

impl Said {
    /// Runs a command that ends with `diagnose --json`.
    pub(crate) fn by(command: &mut Command) -> Self {
        let began = Instant::now();
        let done = command.output().expect("it starts");
        Self {
            whole: serde_json::from_slice(&done.stdout).unwrap_or_default(),
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
            seconds: began.elapsed().as_secs_f64(),
        }
    }
}

/// A home with these lines in its configuration.
pub(crate) fn home(lines: &str) -> tempfile::TempDir {
    let home = scratch();
    // Any free port without a listener.
    fs::write(home.path().join("config.toml"), format!("proxy.port = 0\n{lines}")).unwrap();
    home
}

/// The lines for a gateway `host` with the CA in `ca`.
pub(crate) fn gateway(host: &str, port: u16, ca: &Path, more: &str) -> String {
    format!(
        "[[gateway]]\nhost = \"{host}\"\nport = {port}\nca_file = \"{}\"\n{more}\n",
        ca.display()
    )
}

/// `diagnose` in this home, where no proxy runs.
pub(crate) fn diagnose(home: &Path) -> Said {
    Said::by(Proxy::command(home).args(["--config", "config.toml", "diagnose", "--json"]))
}

/// `diagnose` with this configuration.
pub(crate) fn alone(lines: &str) -> Said {
    diagnose(home(lines).path())
}

/// A command line in a network of its own, where only the loopback interface is up, and in which
/// `prepare` ran before. `$PROXY` there is `seacat-proxy` of this home.
pub(crate) fn apart(home: &Path, prepare: &str, environment: &[(&str, &str)]) -> Said {
    let script = format!(
        "set -e\nip link set lo up\n{prepare}\nexec \"$PROXY\" --config config.toml diagnose --json"
    );
    fs::write(home.join("apart.sh"), script).unwrap();
    let mut command = Proxy::command(home);
    let program = command.get_program().to_owned();
    let mut shell = clean_command("setpriv", home);
    shell.args([
        "--pdeathsig",
        "KILL",
        "unshare",
        "-rnm",
        "--kill-child",
        "--fork",
        "--pid",
        "sh",
        "apart.sh",
    ]);
    shell.env("PROXY", program).envs(environment.iter().copied());
    for (name, value) in command.get_envs() {
        if let Some(value) = value.filter(|_| name.to_string_lossy().starts_with("XDG_")) {
            shell.env(name, value);
        }
    }
    command.env_clear();
    Said::by(&mut shell)
}
