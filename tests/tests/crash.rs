//! The plug is pulled at every step that the agent, the gateway and the administrator's commands
//! take on the disk, one after the other: each is killed before it makes, opens, writes (half and
//! whole), syncs, renames or removes a file. The next start goes on from there, and no key is lost
//! once its request was sent.
//!
//! Real processes: `programs/plug.c`, preloaded, counts the steps and sends the SIGKILL.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a scenario fails where it cannot go on, and says what it measured"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use seacat_tests::{Gateway, Host, Proxy, identity_folder, program_file, scratch, wait_for};
use serde_json::Value;

/// A request may have to wait for its turn, which comes once a minute; and the machine is busy.
const PATIENCE: Duration = Duration::from_secs(150);

/// How many programs are killed at one time: each makes a key.
const AT_ONCE: usize = 4;

/// For what an agent writes when it has all it needs.
const LAST_STEPS: Duration = Duration::from_secs(3);

/// How many next starts run at one time. Most of those that take long wait for their turn.
const NEXT_STARTS: usize = 48;

const IDENTITY: &str = "\n[identity]\nenroll = \"auto\"\nkey_store = \"file\"\n";

/// The preloaded library.
struct Plug {
    library: PathBuf,
    _dir: tempfile::TempDir,
}

impl Plug {
    fn build() -> Self {
        let dir = scratch();
        let library = dir.path().join("plug.so");
        let made = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(&library)
            .arg(program_file("plug.c"))
            .arg("-ldl")
            .status();
        assert!(made.unwrap().success(), "plug.c does not compile");
        Self { library, _dir: dir }
    }

    /// Counts the steps in a folder and notes them in a log; kills before step `at`.
    fn on(&self, folder: &Path, log: &Path, at: Option<usize>) -> Vec<(&'static str, String)> {
        let mut environment = vec![
            ("LD_PRELOAD", self.library.display().to_string()),
            ("PLUG_FOLDER", folder.display().to_string()),
            ("PLUG_LOG", log.display().to_string()),
        ];
        environment.extend(at.map(|at| ("PLUG_AT", at.to_string())));
        environment
    }
}

/// The steps in a log. A client's file is named after its id, which is long.
fn steps(log: &Path) -> Vec<String> {
    let text = fs::read_to_string(log).unwrap_or_default();
    let step = |line: &str| {
        let (what, name) = line.split_once(' ').unwrap().1.rsplit_once(' ').unwrap();
        match name.split_once('.') {
            Some((id, ending)) if id.len() > 20 => format!("{what} {}….{ending}", &id[..8]),
            _ => format!("{what} {name}"),
        }
    };
    text.lines().map(step).collect()
}

/// An agent with its files.
struct Agent(Proxy, u16);

impl Agent {
    fn of(gateway: &Gateway) -> Self {
        let proxy = Proxy::prepared(gateway.port(), &gateway.ca(), "nobody", IDENTITY);
        Self(proxy, gateway.port())
    }

    fn folder(&self) -> PathBuf {
        identity_folder(&self.0.home(), self.1)
    }

    fn note(&self) -> String {
        fs::read_to_string(self.folder().join("state.json")).unwrap_or_default()
    }

    /// The gateway has said that it has the request.
    fn is_enrolled_by_status(&self) -> bool {
        self.note().contains(r#""mark": "waiting""#)
    }

    /// It has its certificate, and nothing is left to do.
    fn is_settled(&self) -> bool {
        let there = |name: &str| self.folder().join(name).exists();
        there("certificate.der")
            && !there("request.der")
            && self.note().contains(r#""acknowledged": 1"#)
    }

    /// What it says about itself, once it can be asked.
    fn show(&self) -> Option<Value> {
        let done = Proxy::command(&self.0.home())
            .args(["--config", "config.toml", "identity", "show", "--json"])
            .output()
            .unwrap();
        serde_json::from_slice(&done.stdout).ok()
    }

    /// The next start; what it has found.
    fn start_again(&mut self) -> String {
        self.0.launch(&[]);
        self.0.wait_until_ready();
        let shown = wait_for("an agent that answers", PATIENCE, || self.show());
        shown["state"].as_str().unwrap().to_owned()
    }

    /// Waits until enrolled; returns the Client Tag. A request may be left from an earlier start.
    fn settle(&self) -> String {
        let settled = || {
            thread::sleep(Duration::from_millis(100));
            let there = self.folder().join("certificate.der").exists();
            if there { self.show() } else { None }.filter(|it| it["state"] == "enrolled")
        };
        let shown = wait_for("an enrolled agent", PATIENCE, settled);
        shown["client_tag"].as_str().unwrap().to_owned()
    }
}

/// Does `work` for each number, so many at a time; the results in order.
fn side_by_side<T: Send>(count: usize, at_once: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..at_once.min(count) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let result = work(number);
                    done.lock().unwrap().push((number, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

fn gateway(mode: &str) -> Gateway {
    // Never requested: the scenarios end when the agent is enrolled.
    let host = Host { name: "nobody", port: 9, tunnel: false };
    Gateway::enrolling(&[host], &format!("mode = \"{mode}\""))
}

fn row(at: usize, step: &str, found: &str, began: Instant) {
    println!("{at:>4}  {step:34} {found:24} {:5.1} s", began.elapsed().as_secs_f64());
}

#[test]
fn the_agent_killed_at_every_step() {
    let plug = Plug::build();
    let gateway = gateway("automatic").started();
    let start = |at: Option<usize>| {
        let mut agent = Agent::of(&gateway);
        let log = agent.0.home().join("plug.log");
        agent.0.launch(&plug.on(&agent.folder(), &log, at));
        // Its last steps follow what it is settled by.
        let mut settled = None;
        let over = || {
            if agent.is_settled() {
                settled.get_or_insert_with(Instant::now);
            }
            let ended = agent.0.process().ended().is_some();
            let untouched = settled.is_some_and(|since| since.elapsed() > LAST_STEPS);
            (ended || untouched).then_some(ended)
        };
        let killed = wait_for("the end", PATIENCE, over);
        if !killed {
            agent.0.process().kill();
        }
        (agent, steps(&log), killed)
    };
    let (_undisturbed, all, killed) = start(None);
    assert!(!killed);

    let killed = side_by_side(all.len(), AT_ONCE, |number| Mutex::new(start(Some(number + 1))));
    println!("{:>4}  {:34} {:24} enrolled after", "", "killed before", "the next start finds");
    let tags = side_by_side(killed.len(), NEXT_STARTS, |number| {
        let mut case = killed[number].lock().unwrap();
        let (agent, steps, killed) = &mut *case;
        let began = Instant::now();
        let found = agent.start_again();
        let tag = agent.settle();
        let step = if *killed { steps.last().unwrap().as_str() } else { "(not killed)" };
        row(number + 1, step, &found, began);
        agent.0.process().kill();
        tag
    });
    let count = killed.iter().filter(|case| case.lock().unwrap().2).count();
    println!("the agent was killed at {count} points");
    assert!(count >= 50, "{count}");
    // Whoever had sent a request came back with the same key: each is known once.
    let known = gateway.command(&["clients"]);
    let tags: BTreeSet<_> = tags.iter().collect();
    assert_eq!(tags.len(), killed.len(), "a key of its own each");
    assert!(tags.iter().all(|tag| known.contains(tag.as_str())), "{known}");
    assert_eq!(known.lines().count(), killed.len() + 1, "a key was lost:\n{known}");
}

#[test]
fn the_gateway_killed_at_every_step() {
    let plug = Plug::build();
    // An agent that has made its key and its request and could not connect.
    let unreachable = gateway("pending");
    let mut first = Agent::of(&unreachable);
    first.0.launch(&[]);
    wait_for("a request", PATIENCE, || first.note().contains(r#""mark": "ready""#).then_some(()));
    first.0.process().kill();

    let scenario = |at: Option<usize>| {
        let mut gateway = gateway("pending");
        let (folder, log) = (gateway.folder().join("state"), gateway.folder().join("plug.log"));
        gateway.launch(&plug.on(&folder, &log, at));
        let mut agent = Agent::of(&gateway);
        copy(&first.folder(), &agent.folder());
        agent.0.launch(&[]);
        agent.0.wait_until_ready();

        let killed = live(&mut gateway, &agent);
        let steps = steps(&log);
        let began = Instant::now();
        if killed {
            // What was reported to the agent holds.
            let enrolled =
                agent.is_enrolled_by_status() || agent.folder().join("certificate.der").exists();
            gateway.launch(&[]);
            gateway.wait_until_ready();
            let known = gateway.command(&["clients"]);
            assert!(known.contains('[') || !enrolled, "the gateway has lost its record: {known}");
            let found = known.split_whitespace().nth(1).filter(|_| known.contains('['));
            let found = found.unwrap_or("nobody").to_owned();
            assert!(!live(&mut gateway, &agent));
            row(at.unwrap(), steps.last().unwrap(), &found, began);
        }
        (steps, killed, agent.settle())
    };
    let (all, killed, tag) = scenario(None);
    assert!(!killed);
    println!("{:>4}  {:34} {:24} enrolled after", "", "killed before", "the next start finds");
    let runs = side_by_side(all.len(), NEXT_STARTS / 2, |number| scenario(Some(number + 1)));
    let count = runs.iter().filter(|(_, killed, _)| *killed).count();
    println!("the gateway was killed at {count} points");
    assert!(count >= 20, "{count}");
    assert!(runs.iter().all(|(_, _, other)| *other == tag), "the agent has one key");
}

/// An agent comes, is approved and gets its certificate, unless the gateway is killed meanwhile:
/// says whether it was.
fn live(gateway: &mut Gateway, agent: &Agent) -> bool {
    wait_for("an enrolled agent or a dead gateway", PATIENCE, || {
        thread::sleep(Duration::from_millis(50));
        if gateway.process().ended().is_some() {
            return Some(true);
        }
        if agent.is_settled() {
            return Some(false);
        }
        let waiting = gateway.administer(&["pending"], &[]);
        let waiting = String::from_utf8_lossy(&waiting.stdout);
        if let Some(tag) = waiting.lines().find_map(tag_of) {
            gateway.administer(&["approve", tag], &[]);
        }
        None
    })
}

fn tag_of(line: &str) -> Option<&str> {
    line.starts_with('[').then(|| line.split_whitespace().next())?
}

fn copy(from: &Path, to: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(to).unwrap();
    for folder in [to, to.parent().unwrap()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    }
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn the_administrator_killed_at_every_step() {
    let plug = Plug::build();
    let mut gateway = gateway("pending").started();
    let mut agent = Agent::of(&gateway);
    agent.0.launch(&[]);
    agent.0.wait_until_ready();
    assert!(!live(&mut gateway, &agent));
    let tag = agent.settle();
    agent.0.process().kill();

    let (folder, log) = (gateway.folder().join("state"), gateway.folder().join("plug.log"));
    let mut count = 0;
    let mut killed_at = |command: &str, before: &str, after: &str, at: usize| {
        let _ = fs::remove_file(&log);
        let done = gateway.administer(&[command, &tag], &plug.on(&folder, &log, Some(at)));
        let killed = done.status.code().is_none();
        // The old or the new, and nothing else.
        let known = gateway.command(&["clients"]);
        let is = |state: &str| known.contains(state);
        assert!(is(before) != is(after), "{known}");
        assert!(killed || is(after), "{known}");
        if killed {
            count += 1;
            let found = if is(after) { after } else { before };
            row(at, &format!("{command}: {}", steps(&log).last().unwrap()), found, Instant::now());
        }
        // And again, undisturbed; that it is so already is no failure here.
        gateway.administer(&[command, &tag], &[]);
        assert!(gateway.command(&["clients"]).contains(after));
        killed
    };
    for at in 1.. {
        let revoking = killed_at("revoke", "enrolled until", "revoked", at);
        // It has the key of its old certificate, and gets that back.
        let approving = killed_at("approve", "revoked", "enrolled until", at);
        if !revoking && !approving {
            break;
        }
    }
    println!("the administrator was killed at {count} points");
    assert!(count >= 10, "{count}");
}
