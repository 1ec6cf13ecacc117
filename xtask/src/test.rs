//! `cargo xtask test`: all checks of a change.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::step::{cargo, check, human, shown, target_dir, timed};
use crate::{Outcome, fuzz, guard, icons, package, packages, tools, ui};

/// How long each fuzz target runs here, in seconds. Long enough to replay the corpus many times
/// over and to fall over anything shallow; looking deeper is `cargo xtask fuzz TARGET 3600`.
const FUZZ_SECONDS: u32 = 60;

/// One check.
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
    /// The pages that the window's program holds.
    Ui,
    /// A script of ui/package.json; a browser's needs the engine, too.
    Npm(&'static [&'static str]),
    Package,
    /// Clients and servers from npm and PyPI.
    Tools,
    /// The spell checker, by typos.toml.
    Spelling,
    Guard,
    /// A test of `tests/`, and which TLS its channel speaks (`ChannelTls` in tests/src/channel_tls.rs). It
    /// starts the programs, so they are built first.
    Suite(&'static str, &'static str),
    /// The same for one that mostly waits (for the minute between two requests for a certificate,
    /// for an icon to be left alone): neighbours of this kind run together.
    Patient(&'static str, &'static str),
    /// A suite that makes network namespaces, which not every place allows.
    Namespaces(&'static str),
    /// One test of a suite, its programs built as they are released.
    Released(&'static str, &'static str),
}

impl Step {
    const fn suite(name: &'static str, what: &'static str, test: &'static str) -> Self {
        Self { name, what, how: How::Suite(test, "modern") }
    }

    const fn patient(name: &'static str, what: &'static str, test: &'static str) -> Self {
        Self { name, what, how: How::Patient(test, "modern") }
    }

    /// The same over another TLS.
    const fn patient_again(
        name: &'static str,
        what: &'static str,
        tls: &'static str,
        test: &'static str,
    ) -> Self {
        Self { name, what, how: How::Patient(test, tls) }
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

    fn is_patient(&self) -> bool {
        matches!(self.how, How::Patient(..))
    }

    const fn cargo(name: &'static str, what: &'static str, command: &'static str) -> Self {
        Self { name, what, how: How::Cargo(command, None) }
    }
}

/// Builds the suites and the programs they start.
///
/// Every step asks cargo for the whole workspace and for tests: it unites features over what it is
/// asked for, and would build tokio and all that uses it again for every other set.
pub(crate) const BUILD: &str = "build --workspace --bins --tests";

/// Concurrent suites that mostly wait. They share two processors, and limits of seconds must hold.
const AT_ONCE: usize = 4;

/// One at a time: a child that is being started holds copies of the other tests' sockets until
/// its exec. The modules of that name are in tests/src.
const HARNESS: &str = "test --workspace --lib -- --test-threads=1 harness::";

/// The tests whose outcome depends on the features: each program links OpenSSL or does not, and
/// lists its TLS profiles. The packages are those of "unit", so that nothing but our own crates is
/// built again.
const MINIMAL: &str = "test --workspace --exclude seacat-tests --no-default-features \
                       --test program --test gateway openssl_comes";

const UI_UNIT: &[&str] = &["check", "test"];
const UI_BROWSER: &[&str] = &["test:browser"];

const IDENTITY: &str = "enrolled, renewed under load, revoked, enrolled again, reset";

/// Cheap before dear: what fails in a second should not wait for what takes minutes.
const STEPS: &[Step] = &[
    Step { name: "packages", what: "system packages the suite needs", how: How::Packages },
    Step::cargo("fmt", "formatting", "fmt --all --check"),
    Step::cargo("fmt-fuzz", "formatting", "fmt --manifest-path fuzz/Cargo.toml --check"),
    Step { name: "spelling", what: "texts, comments and names", how: How::Spelling },
    Step { name: "icons", what: "rendered icons match their sources", how: How::Icons },
    Step { name: "ui", what: "the window's pages", how: How::Ui },
    Step { name: "ui-unit", what: "their types, texts, lists and forms", how: How::Npm(UI_UNIT) },
    Step::cargo("clippy", "lints", "clippy --workspace --all-targets -- -D warnings"),
    Step {
        name: "doc",
        what: "documentation without warnings",
        how: How::Cargo("doc --workspace --no-deps", Some(("RUSTDOCFLAGS", "-D warnings"))),
    },
    Step::cargo("unit", "the crates' own tests", "test --workspace --exclude seacat-tests"),
    Step::cargo("minimal", "the programs without OpenSSL", MINIMAL),
    Step { name: "bench-guard", what: "instructions of codec, outbox, exchange", how: How::Guard },
    Step { name: "fuzz-decoder", what: "arbitrary bytes, cut anywhere", how: How::Fuzz("decoder") },
    Step {
        name: "fuzz-connection",
        what: "arbitrary bytes and calls on a whole connection",
        how: How::Fuzz("connection"),
    },
    Step::cargo("build", "the programs the suite starts", BUILD),
    Step::cargo("suite-harness", "the harness itself", HARNESS),
    Step {
        name: "ui-browser",
        what: "the pages in Chromium: axe, keyboard, ten thousand requests",
        how: How::Npm(UI_BROWSER),
    },
    Step::suite("suite-run", "first run: one command, one line pasted", "run"),
    Step::suite("suite-clients", "curl, wget, Python, Java, git, WebSocket", "clients"),
    Step { name: "tools", what: "clients and servers from npm and PyPI", how: How::Tools },
    Step::suite("suite-applications", "thirty clients, nine servers, one gateway", "applications"),
    Step::suite("suite-logins", "NTLM and Kerberos: no answer for the wrong user", "logins"),
    Step::suite(
        "suite-reverse",
        "reverse sockets: from a port of the gateway to the client",
        "reverse",
    ),
    Step::suite(
        "suite-reference",
        "the recorded reference client, over its own suite",
        "reference",
    ),
    Step::suite("suite-compat", "gateways of the reference era, records on the wire", "compat"),
    Step::again("suite-compat-clients", "clients over 0xC028", "reference", "clients"),
    Step::again("suite-tls13-clients", "clients over OpenSSL's TLS 1.3", "tls13", "clients"),
    Step::suite("suite-hostile", "ambiguous and unusual requests", "hostile"),
    Step::suite("suite-users", "other users of this computer", "users"),
    Step::suite("suite-programs", "which program sent a request, why it failed", "programs"),
    Step::suite("suite-browser", "web pages in Chromium against the ports", "browser"),
    Step::suite("suite-wire", "what the network sees", "wire"),
    Step::suite("suite-many", "256 clients, 100 000 requests, one connection", "many"),
    Step::suite("suite-flood", "strangers flood the gateway: memory, files, places", "flood"),
    Step::suite("suite-kill", "the gateway killed under load", "kill"),
    Step::suite("suite-restart", "the gateway restarted and killed under load", "restart"),
    Step {
        name: "suite-networks",
        what: "roaming, NAT, portals, sleep: namespaces, as root",
        how: How::Namespaces("networks"),
    },
    Step::suite("suite-bulk", "1 GiB each way, memory bounded", "bulk"),
    Step::suite("suite-window", "the real window: scenarios, pictures, memory, load", "window"),
    Step {
        name: "suite-costs",
        what: "tray and engine as released: memory, wake-ups",
        how: How::Released("tray", "what_it_costs"),
    },
    Step { name: "package", what: "a .deb and an .rpm, and older ones", how: How::Package },
    // Alone: dpkg and rpm sync the whole build to the disk, which delays all other writers (by half
    // a minute in one run, a third of a certificate's lifetime in the suites below).
    Step::suite("suite-package", "installed, upgraded, purged in a clean system", "package"),
    Step::patient("suite-identity", IDENTITY, "identity"),
    Step::patient_again("suite-compat-identity", "the same over 0xC028", "reference", "identity"),
    Step::patient_again("suite-tls13-identity", "over OpenSSL's TLS 1.3", "tls13", "identity"),
    Step::patient("suite-identity-cli", "exit codes, questions, key files", "identity_cli"),
    Step::patient(
        "suite-companies",
        "an identity for each gateway, failover, a wrong clock",
        "companies",
    ),
    Step::patient("suite-keyring", "GNOME's keyring: there, locked, frozen, killed", "keyring"),
    Step::patient("suite-crash", "killed at every step on the disk, both programs", "crash"),
    Step::patient("suite-secrets", "no key and no password where they do not belong", "secrets"),
    Step::patient("suite-discovery", "gateways that DNS announces: Knot DNS", "discovery"),
    Step::patient("suite-fleet", "two gateways, one PostgreSQL: shared, lost, crashed", "fleet"),
    Step::patient("suite-upstream", "out through squid with Basic authentication", "upstream"),
    Step::patient("suite-diagnose", "thirty staged faults, each called by its name", "diagnose"),
    Step::patient("suite-tray", "menu, icon, notices, memory, wake-ups: a panel", "tray"),
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
    let (steps, impossible): (Vec<&Step>, Vec<&Step>) =
        steps.into_iter().partition(|step| obstacle(step).is_none());
    for batch in steps.chunk_by(|a, b| a.is_patient() && b.is_patient()) {
        let done = if batch.len() > 1 { together(batch) } else { vec![alone(batch[0])] };
        let mut failed = Vec::new();
        for (step, (outcome, time)) in batch.iter().zip(done) {
            match outcome {
                Ok(()) => times.push((step.name, time)),
                Err(why) => failed.push(format!(
                    "{} failed: {why}\nrepeat it with: {}",
                    step.name,
                    repeat(step)
                )),
            }
        }
        if !failed.is_empty() {
            summary(&times);
            return Err(failed.join("\n"));
        }
    }
    summary(&times);
    println!("\nall {} steps hold", times.len());
    for step in impossible {
        println!("NOT RUN: {}: {}", step.name, obstacle(step).unwrap_or_default());
    }
    Ok(())
}

/// Why a step cannot be run here, if it cannot.
fn obstacle(step: &Step) -> Option<String> {
    let How::Namespaces(_) = step.how else {
        return None;
    };
    match Command::new("unshare").args(["--net", "true"]).output() {
        Ok(done) if done.status.success() => None,
        Ok(done) => {
            let why = String::from_utf8_lossy(&done.stderr).trim().to_owned();
            Some(format!("network namespaces need root ({why})"))
        }
        Err(error) => Some(format!("unshare: {error}")),
    }
}

type Done = (Outcome, Duration);

fn alone(step: &Step) -> Done {
    let began = Instant::now();
    let outcome = timed(step.name, step.what, || run(step));
    (outcome, began.elapsed())
}

/// Runs suites that mostly wait concurrently; the output of each is printed when it has ended.
fn together(steps: &[&Step]) -> Vec<Done> {
    let names: Vec<&str> = steps.iter().map(|step| step.name).collect();
    println!("\n=== side by side: {}", names.join(", "));
    if let Err(why) = build() {
        return steps.iter().map(|_| (Err(why.clone()), Duration::ZERO)).collect();
    }
    let next = AtomicUsize::new(0);
    let done: Vec<Mutex<Done>> =
        steps.iter().map(|_| Mutex::new((Err("did not run".to_owned()), Duration::ZERO))).collect();
    let work = || {
        loop {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            let Some(step) = steps.get(nth) else {
                return;
            };
            let began = Instant::now();
            let outcome = quietly(step);
            *done[nth].lock().unwrap_or_else(PoisonError::into_inner) = (outcome, began.elapsed());
        }
    };
    thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
    done.into_iter().map(|it| it.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}

fn quietly(step: &Step) -> Outcome {
    let (How::Suite(test, tls) | How::Patient(test, tls)) = step.how else {
        return run(step);
    };
    let began = Instant::now();
    let output = suite(test, tls).output().map_err(|error| format!("cannot start: {error}"))?;
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    // In one piece: others end at the same time.
    let said = String::from_utf8_lossy(&said).into_owned();
    let word = if output.status.success() { "ok" } else { "FAILED" };
    let time = human(began.elapsed());
    println!("\n=== {}: {}\n{said}=== {}: {word} after {time}", step.name, step.what, step.name);
    if output.status.success() { Ok(()) } else { Err(format!("it ended with {}", output.status)) }
}

fn run(step: &Step) -> Outcome {
    match step.how {
        How::Packages => packages::install(packages::TO_TEST),
        How::Cargo(arguments, variable) => check(&mut command(arguments, variable)),
        How::Fuzz(target) => fuzz::fuzz(target, FUZZ_SECONDS),
        How::Icons => icons::check_rendered(),
        How::Ui => ui::build(),
        How::Npm(scripts) => {
            ui::install()?;
            if scripts == UI_BROWSER {
                build()?;
            }
            scripts.iter().try_for_each(|script| check(ui::npm().args(["run", script])))
        }
        How::Package => package::package_for_suite(),
        How::Tools => tools::install(),
        How::Spelling => tools::check_spelling(),
        How::Guard => guard::check_counts(),
        How::Namespaces(test) => {
            build()?;
            check(&mut suite(test, "modern"))
        }
        How::Suite(test, tls) | How::Patient(test, tls) => {
            build()?;
            check(&mut suite(test, tls))
        }
        How::Released(suite, test) => {
            build()?;
            check(&mut cargo("build --release -p seacat-agent --bins"))?;
            check(&mut released(suite, test))
        }
    }
}

/// Everything that a suite starts: the window's program holds its pages.
pub(crate) fn build() -> Outcome {
    ui::build()?;
    check(&mut cargo(BUILD))
}

fn command(arguments: &str, variable: Option<(&str, &str)>) -> Command {
    // "-D warnings" holds a space, but only ever as the value of a variable.
    let mut command = cargo(arguments);
    if let Some((name, value)) = variable {
        command.env(name, value);
    }
    command
}

pub(crate) fn suite(test: &str, tls: &str) -> Command {
    let mut command =
        cargo(&format!("test --workspace --test {test} -- --nocapture --test-threads=1"));
    command.env("SEACAT_SUITE_TLS", tls);
    command
}

/// The floods against programs as they are released, each for so many seconds.
pub(crate) fn flood(seconds: u32) -> Outcome {
    check(&mut cargo("build --release -p seacat-gateway -p seacat-agent --bins"))?;
    println!(
        "| flood | peak memory | spool | descriptors | p50 | p99 | slowest | failed | newcomer |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    check(released("flood", "--test-threads=1").env("SEACAT_FLOOD_SECONDS", seconds.to_string()))
}

fn released(suite: &str, test: &str) -> Command {
    let mut command = cargo(&format!("test --workspace --test {suite} -- --nocapture {test}"));
    command.env("SEACAT_PROGRAMS", target_dir().join("release"));
    command
}

fn repeat(step: &Step) -> String {
    match step.how {
        How::Packages => "cargo xtask packages".to_owned(),
        How::Cargo(arguments, variable) => shown(&command(arguments, variable)),
        How::Icons => "cargo xtask test icons".to_owned(),
        How::Ui => "cargo xtask ui".to_owned(),
        How::Npm(_) => format!("cargo xtask test {}", step.name),
        How::Package => "cargo xtask test package".to_owned(),
        How::Tools => "cargo xtask test tools".to_owned(),
        How::Spelling => "cargo xtask test spelling".to_owned(),
        How::Guard => "cargo xtask test bench-guard".to_owned(),
        How::Fuzz(target) => format!("cargo xtask fuzz {target} {FUZZ_SECONDS}"),
        How::Namespaces(test) => shown(&suite(test, "modern")),
        How::Suite(test, tls) | How::Patient(test, tls) => shown(&suite(test, tls)),
        How::Released(suite, test) => shown(&released(suite, test)),
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
