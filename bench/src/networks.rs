//! Two networks of their own with a [`Line`] between them.
//!
//! ```text
//! near network                                far network
//! load generator ─► near end ─TUN─ Line ─TUN─ far end ─► origin
//! ```
//!
//! They are isolated from all other networks. A network exists as long as a process in it, and
//! those end with the bench.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use seacat_tests::{Process, clean_command};
use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::line::{FAR, Line, NEAR};

/// The addresses of the near and the far end, of a range reserved for documentation (RFC 5737).
const NEAR_ADDRESS: &str = "192.0.2.1";
pub(crate) const FAR_ADDRESS: [u8; 4] = [192, 0, 2, 2];

/// What TCP does in both networks. The peers' numbers in the notes are with cubic, most lines carry it, and
/// machines differ in their default.
const CONGESTION_CONTROL: &str = "cubic";
/// Which algorithms the kernel lets a network choose that is not the machine's own.
const ALLOWED: &str = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";
/// How many packets wait for the line's process to fetch them: several times the line's own buffer, so that
/// only the line drops.
const QUEUE: &str = "10000";

/// The network of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Network(u32);

impl Network {
    /// The prefix that runs a command in this network, as one process with one id.
    pub(crate) fn enter(self) -> [String; 3] {
        ["nsenter".to_owned(), format!("--net=/proc/{}/ns/net", self.0), "--".to_owned()]
    }

    /// A command with that prefix.
    pub(crate) fn command(self, command: &Command) -> Command {
        wrap(&self.enter(), command)
    }

    fn run(self, words: &str) -> Outcome {
        let mut words = words.split_whitespace();
        let mut command = clean_command(words.next().unwrap_or_default(), Path::new("/"));
        command.args(words);
        run(&mut self.command(&command))
    }

    /// Sets the `net.ipv4` parameters of a network.
    fn set(self, name: &str, value: &str) -> Outcome {
        let mut command = clean_command("sh", Path::new("/"));
        command.args(["-c", &format!("echo {value} > /proc/sys/net/ipv4/{name}")]);
        run(&mut self.command(&command))
    }
}

/// Both networks, and the line between them.
#[derive(Debug)]
pub(crate) struct Networks {
    line: Process,
    far: Process,
}

impl Networks {
    /// Creates two networks and the line. The output of the processes is written to `dir`.
    ///
    /// # Errors
    /// When the system does not allow it: it takes root, and a kernel with TUN devices.
    pub(crate) fn new(line: &Line, dir: &Path) -> Outcome<Self> {
        possible()?;
        let text =
            serde_json::to_string(line).map_err(|error| format!("a line as JSON: {error}"))?;
        let mut command = clean_command(crate::own_program()?, dir);
        command.args(["line", &text]);
        let mut line = Process::start("line", dir, &apart(&command));
        // An idle process: a network needs one before it can be given a device.
        let mut command = clean_command("sleep", dir);
        command.arg("infinity");
        let mut far = Process::start("far", dir, &apart(&command));
        line.wait_until("its devices", |line| has_device(line.id(), FAR).then_some(()));
        far.wait_until("a network of its own", |far| is_apart(far.id()).then_some(()));
        let networks = Self { line, far };
        networks.lay()?;
        Ok(networks)
    }

    pub(crate) fn near(&self) -> Network {
        Network(self.line.id())
    }

    pub(crate) fn far(&self) -> Network {
        Network(self.far.id())
    }

    fn lay(&self) -> Outcome {
        let (near, far) = (self.near(), self.far());
        near.run(&format!("ip link set {FAR} netns {}", self.far.id()))?;
        let far_address = std::net::Ipv4Addr::from(FAR_ADDRESS).to_string();
        for (network, device, address, other) in [
            (near, NEAR, NEAR_ADDRESS, far_address.as_str()),
            (far, FAR, far_address.as_str(), NEAR_ADDRESS),
        ] {
            network.run("ip link set lo up")?;
            network.run(&format!("ip address add {address} peer {other} dev {device}"))?;
            network.run(&format!("ip link set {device} txqueuelen {QUEUE} up"))?;
            // TCP metrics of one peer's connections must not influence the next one's.
            network.set("tcp_no_metrics_save", "1")?;
        }
        choose_congestion_control(&[near, far])
    }
}

/// A network may choose only algorithms that the machine's own network allows, so the list is
/// extended temporarily.
fn choose_congestion_control(networks: &[Network]) -> Outcome {
    let wrong = |error| format!("{ALLOWED}: {error}");
    let allowed = fs::read_to_string(ALLOWED).map_err(wrong)?;
    let allowed = allowed.trim();
    let missing = !allowed.split(' ').any(|word| word == CONGESTION_CONTROL);
    if missing {
        fs::write(ALLOWED, format!("{allowed} {CONGESTION_CONTROL}")).map_err(wrong)?;
    }
    let choose = |network: &Network| network.set("tcp_congestion_control", CONGESTION_CONTROL);
    let chosen = networks.iter().try_for_each(choose);
    if missing {
        fs::write(ALLOWED, allowed).map_err(wrong)?;
    }
    chosen
}

/// Whether this is possible on this machine.
fn possible() -> Outcome {
    let device = Path::new("/dev/net/tun").exists();
    let network = run(&mut apart(&clean_command("true", Path::new("/"))));
    match (device, network) {
        (true, Ok(())) => Ok(()),
        (false, _) => Err("the line needs TUN devices, and /dev/net/tun is not there".to_owned()),
        (_, Err(why)) => {
            Err(format!("the line needs networks of its own, so run it as root ({why})"))
        }
    }
}

/// The same command in a new network.
fn apart(command: &Command) -> Command {
    wrap(&["unshare", "--net", "--"], command)
}

/// A command with a prefix, with its folder and its environment.
fn wrap(words: &[impl AsRef<OsStr>; 3], command: &Command) -> Command {
    let mut inside = Command::new(&words[0]);
    inside.args(&words[1..]).arg(command.get_program()).args(command.get_args()).env_clear();
    inside.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(dir) = command.get_current_dir() {
        inside.current_dir(dir);
    }
    inside
}

fn run(command: &mut Command) -> Outcome {
    // Without its environment: the error may be published in a table.
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    let words = words.join(" ");
    let done = command.output().map_err(|error| format!("{words}: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    Err(format!("{words}: {}", said.trim()))
}

/// Whether the process is in another network than this one.
fn is_apart(id: u32) -> bool {
    let network = |id: &str| fs::read_link(format!("/proc/{id}/ns/net")).ok();
    let theirs = network(&id.to_string());
    theirs.is_some() && theirs != network("self")
}

/// Whether the process's network has a device.
fn has_device(id: u32, name: &str) -> bool {
    let text = fs::read_to_string(format!("/proc/{id}/net/dev")).unwrap_or_default();
    text.lines().any(|line| line.trim_start().starts_with(&format!("{name}:")))
}
