//! The environment of all peers: the origin, one certificate, our own programs.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use seacat_tests::{Process, clean_command, free_port, scratch};

use crate::Outcome;
use crate::line::Line;
use crate::networks::{FAR_ADDRESS, Network, Networks};
use crate::procfs::Proc;

/// The environment of a run. Dropping it ends everything in it.
#[derive(Debug)]
pub(crate) struct Place {
    /// Where the origin listens.
    pub(crate) origin: SocketAddr,
    dir: tempfile::TempDir,
    /// The folder our own programs are built into.
    programs: PathBuf,
    /// The two networks with a line between them; otherwise everything is on loopback.
    networks: Option<Networks>,
    origin_process: Process,
}

impl Place {
    /// Everything on loopback.
    pub(crate) fn new() -> Outcome<Self> {
        Self::prepare(None)
    }

    /// The near ends here, the far ends and the origin at the other end of a line.
    pub(crate) fn across(line: &Line) -> Outcome<Self> {
        Self::prepare(Some(line))
    }

    /// The origin, to measure a server's own cost.
    pub(crate) fn origin_process(&self) -> Proc {
        Proc(self.origin_process.id())
    }

    /// Makes a CA and a certificate for `localhost`, and starts the origin.
    fn prepare(line: Option<&Line>) -> Outcome<Self> {
        let own = crate::own_program()?;
        let programs = own.parent().map(Path::to_owned).unwrap_or_default();
        let dir = scratch();
        let gateway = programs.join("seacat-gateway");
        let made = clean_command(&gateway, dir.path())
            .args(["init", "keys", "--name", "localhost"])
            .output()
            .map_err(|error| format!("{}: {error}", gateway.display()))?;
        if !made.status.success() {
            let words = String::from_utf8_lossy(&made.stderr).into_owned();
            return Err(format!("seacat-gateway init: {words}"));
        }
        let networks = line.map(|line| Networks::new(line, dir.path())).transpose()?;
        let origin = SocketAddr::new(far_address(networks.as_ref()), free_port());
        let mut command = clean_command(&own, dir.path());
        command.args(["origin", &origin.to_string()]);
        let far = networks.as_ref().map(Networks::far);
        let process = start("origin", dir.path(), &command, far, origin.port());
        let place = Self { origin, dir, programs, networks, origin_process: process };
        let both = ["server.pem", "server.key"].map(|file| read(&place.keys().join(file)));
        let [certificate, key] = both;
        write(&place.certificate_and_key(), &(certificate? + &key?))?;
        Ok(place)
    }

    /// The address of the far ends.
    pub(crate) fn far_address(&self) -> IpAddr {
        far_address(self.networks.as_ref())
    }

    /// The far ends' network, if it is not ours.
    pub(crate) fn far_network(&self) -> Option<Network> {
        self.networks.as_ref().map(Networks::far)
    }

    /// The near ends' network, if it is not ours.
    pub(crate) fn near_network(&self) -> Option<Network> {
        self.networks.as_ref().map(Networks::near)
    }

    /// The folder with `ca.pem`, `server.pem` and `server.key`.
    pub(crate) fn keys(&self) -> PathBuf {
        self.dir.path().join("keys")
    }

    /// Certificate and key in one file, as haproxy requires.
    pub(crate) fn certificate_and_key(&self) -> PathBuf {
        self.keys().join("both.pem")
    }

    /// One of our own programs, built beside this one.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }
}

fn far_address(networks: Option<&Networks>) -> IpAddr {
    networks.map_or(Ipv4Addr::LOCALHOST, |_| Ipv4Addr::from(FAR_ADDRESS)).into()
}

/// Starts a process in a network, and waits until it listens on a port there.
pub(crate) fn start(
    name: &str,
    dir: &Path,
    command: &Command,
    network: Option<Network>,
    port: u16,
) -> Process {
    let mut process = match network {
        None => Process::start(name, dir, command),
        Some(network) => Process::start(name, dir, &network.command(command)),
    };
    wait_for_port(&mut process, port);
    process
}

/// Waits until there is a listener on a port in a process's network.
pub(crate) fn wait_for_port(process: &mut Process, port: u16) {
    process.wait_until(&format!("a listener on port {port}"), |process| {
        Proc(process.id()).sees_listener(port).then_some(())
    });
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Writes a file whole.
pub(crate) fn write(path: &Path, text: &str) -> Outcome {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
