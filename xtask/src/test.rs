//! `cargo xtask test`: everything that must hold before a change is worth reading.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::step::{cargo, check, human, shown, timed};
use crate::{Outcome, fuzz, icons, packages};

/// How long each fuzz target runs here, in seconds. Long enough to replay the corpus many times
/// over and to fall over anything shallow; looking deeper is `cargo xtask fuzz TARGET 3600`.
const FUZZ_SECONDS: u32 = 60;

/// One thing that must hold.
struct Step {
    name: &'static str,
    what: &'static str,
    how: How,
}

enum How {
    Packages,
    /// A cargo command, as it would be typed, and one variable for its environment.
    Cargo(&'static str, Option<(&'static str, &'static str)>),
    Fuzz(&'static str),
    Icons,
    /// A test of `tests/`, and which TLS its channel speaks (`Road` in tests/src/road.rs). It
    /// starts the programs, so they are built first.
    Suite(&'static str, &'static str),
}

impl Step {
    const fn suite(name: &'static str, what: &'static str, test: &'static str) -> Self {
        Self { name, what, how: How::Suite(test, "modern") }
    }

    /// The same suite over another TLS.
    const fn again(
        name: &'static str,
        what: &'static str,
        tls: &'static str,
        test: &'static str,
    ) -> Self {
        Self { name, what, how: How::Suite(test, tls) }
    }

    const fn cargo(name: &'static str, what: &'static str, command: &'static str) -> Self {
        Self { name, what, how: How::Cargo(command, None) }
    }
}

/// Builds what the suite starts.
const BUILD: &str = "build --workspace --bins";

/// One at a time: a child that is being started holds copies of the other tests' sockets until
/// its exec.
///
/// With the agent, as every suite: cargo unites features over what it is asked for, and asked for
/// the suite alone it would build tokio and zbus a second time.
const HARNESS: &str = "test -p seacat-agent -p seacat-tests --lib -- --test-threads=1";

/// As "unit": the same packages, so that nothing but our own crates is built again. One test of
/// each program looks whether OpenSSL is linked.
const MINIMAL: &str = "test --workspace --exclude seacat-tests --no-default-features";

/// Cheap before dear: what fails in a second should not wait for what takes minutes.
const STEPS: &[Step] = &[
    Step { name: "packages", what: "system packages the suite needs", how: How::Packages },
    Step::cargo("fmt", "formatting", "fmt --all --check"),
    Step::cargo("fmt-fuzz", "formatting", "fmt --manifest-path fuzz/Cargo.toml --check"),
    Step { name: "icons", what: "pictures as their sources say", how: How::Icons },
    Step::cargo("clippy", "lints", "clippy --workspace --all-targets -- -D warnings"),
    Step {
        name: "doc",
        what: "documentation without warnings",
        how: How::Cargo("doc --workspace --no-deps", Some(("RUSTDOCFLAGS", "-D warnings"))),
    },
    Step::cargo("unit", "the crates' own tests", "test --workspace --exclude seacat-tests"),
    Step::cargo("minimal", "the same without OpenSSL", MINIMAL),
    Step { name: "fuzz-decoder", what: "arbitrary bytes, cut anywhere", how: How::Fuzz("decoder") },
    Step {
        name: "fuzz-connection",
        what: "arbitrary bytes and wishes against a whole connection",
        how: How::Fuzz("connection"),
    },
    Step::cargo("build", "the programs the suite starts", BUILD),
    Step::cargo("suite-harness", "the harness itself", HARNESS),
    Step::suite("suite-run", "first run: one command, one line pasted", "run"),
    Step::suite("suite-clients", "curl, wget, Python, Java, git, WebSocket", "clients"),
    Step::suite(
        "suite-identity",
        "enrolled, renewed under load, revoked, enrolled again, reset",
        "identity",
    ),
    Step::suite("suite-crash", "killed at every step on the disk, both programs", "crash"),
    Step::suite("suite-identity-cli", "exit codes, questions, key files", "identity_cli"),
    Step::suite("suite-keyring", "GNOME's keyring: there, locked, frozen, killed", "keyring"),
    Step::suite("suite-secrets", "no key and no password where they should not be", "secrets"),
    Step::suite("suite-discovery", "gateways that DNS announces, a real name server", "discovery"),
    Step::suite("suite-upstream", "out through squid with Basic authentication", "upstream"),
    Step::suite("suite-reverse", "reverse sockets: a port of the gateway leads here", "reverse"),
    Step::suite(
        "suite-reference",
        "the recorded reference client, over its own suite",
        "reference",
    ),
    Step::suite("suite-tray", "menu, icon, notices, memory, wake-ups on a real desktop", "tray"),
    Step::suite("suite-hostile", "requests nobody should send", "hostile"),
    Step::suite("suite-wire", "what the network sees", "wire"),
    Step::suite("suite-compat", "gateways of the reference era, records on the wire", "compat"),
    Step::again("suite-compat-clients", "clients over 0xC028", "reference", "clients"),
    Step::again("suite-compat-identity", "identity over 0xC028", "reference", "identity"),
    Step::again("suite-tls13-clients", "clients over OpenSSL's TLS 1.3", "tls13", "clients"),
    Step::again("suite-tls13-identity", "identity over OpenSSL's TLS 1.3", "tls13", "identity"),
    Step::suite("suite-many", "256 clients, 100 000 requests, one connection", "many"),
    Step::suite("suite-kill", "the gateway killed under load", "kill"),
    Step::suite("suite-bulk", "1 GiB each way, memory bounded", "bulk"),
];

/// Prints the steps' names.
pub(crate) fn list() {
    for step in STEPS {
        println!("{:16} {}", step.name, step.what);
    }
}

/// Runs the steps whose names contain one of `names` (all, without names); stops at the first
/// that fails.
pub(crate) fn test(names: &[&str]) -> Outcome {
    let wanted = |step: &&Step| names.is_empty() || names.iter().any(|n| step.name.contains(n));
    let steps: Vec<&Step> = STEPS.iter().filter(wanted).collect();
    if steps.is_empty() {
        return Err(format!(
            "no step is called {}; `cargo xtask test --list` names them",
            names.join(" or ")
        ));
    }
    let mut times: Vec<(&str, Duration)> = Vec::new();
    for step in steps {
        let began = Instant::now();
        timed(step.name, step.what, || run(step)).map_err(|why| {
            summary(&times);
            format!("{} failed: {why}\nrepeat it with: {}", step.name, repeat(step))
        })?;
        times.push((step.name, began.elapsed()));
    }
    summary(&times);
    println!("\nall {} steps hold", times.len());
    Ok(())
}

fn run(step: &Step) -> Outcome {
    match step.how {
        How::Packages => packages::install(packages::TO_TEST),
        How::Cargo(arguments, variable) => check(&mut command(arguments, variable)),
        How::Fuzz(target) => fuzz::fuzz(target, FUZZ_SECONDS),
        How::Icons => icons::check_rendered(),
        How::Suite(test, tls) => {
            check(&mut cargo(BUILD))?;
            check(&mut suite(test, tls))
        }
    }
}

fn command(arguments: &str, variable: Option<(&str, &str)>) -> Command {
    // "-D warnings" holds a space, but only ever as the value of a variable.
    let mut command = cargo(arguments);
    if let Some((name, value)) = variable {
        command.env(name, value);
    }
    command
}

fn suite(test: &str, tls: &str) -> Command {
    let mut command = cargo(&format!(
        "test -p seacat-agent -p seacat-tests --test {test} -- --nocapture --test-threads=1"
    ));
    command.env("SEACAT_SUITE_TLS", tls);
    command
}

fn repeat(step: &Step) -> String {
    match step.how {
        How::Packages => "cargo xtask packages".to_owned(),
        How::Cargo(arguments, variable) => shown(&command(arguments, variable)),
        How::Icons => "cargo xtask test icons".to_owned(),
        How::Fuzz(target) => format!("cargo xtask fuzz {target} {FUZZ_SECONDS}"),
        How::Suite(test, tls) => shown(&suite(test, tls)),
    }
}

fn summary(times: &[(&str, Duration)]) {
    println!();
    for (name, time) in times {
        println!("{name:16} {:>12}", human(*time));
    }
    let total: Duration = times.iter().map(|(_, time)| *time).sum();
    println!("{:16} {:>12}", "in all", human(total));
}
