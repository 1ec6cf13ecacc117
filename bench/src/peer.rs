//! The measured programs and how each is started: a near end for the clients, a far end beside the
//! origin, TLS between the two.
//!
//! The packaged peers get the command lines and configurations in this file and no further tuning;
//! docs/performance-diary.md quotes them. All ends run in one process each and, where it can be
//! configured, on one thread, as ours do.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use clap::ValueEnum;
use seacat_tests::{Process, clean_command, free_port, scratch};
use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::http::Target;
use crate::place::{self, Place, write};
use crate::procfs::{Clock, Proc};

/// One column of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Peer {
    /// No proxy at all: the floor.
    Direct,
    /// This project.
    Seacat,
    /// nghttpx as a forward proxy to another nghttpx, one HTTP/2 connection.
    Nghttpx,
    /// The same with windows of 16 MiB. Only a long line shows a difference.
    #[value(name = "nghttpx-16m")]
    #[serde(rename = "nghttpx-16m")]
    NghttpxWide,
    /// haproxy to haproxy, HTTP/2.
    Haproxy,
    /// stunnel to stunnel: one TLS connection and one thread for each client's.
    Stunnel,
}

impl Peer {
    pub(crate) const ALL: [Self; 6] = [
        Self::Direct,
        Self::Seacat,
        Self::Nghttpx,
        Self::NghttpxWide,
        Self::Haproxy,
        Self::Stunnel,
    ];
    /// The peers that send many requests over one connection, as we do.
    pub(crate) const MUXES: [Self; 2] = [Self::Nghttpx, Self::Haproxy];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Seacat => "seacat",
            Self::Nghttpx => "nghttpx",
            Self::NghttpxWide => "nghttpx 16 MiB",
            Self::Haproxy => "haproxy",
            Self::Stunnel => "stunnel",
        }
    }

    /// The command that prints its version.
    pub(crate) fn version(self) -> Option<Command> {
        let (program, argument) = match self {
            Self::Direct | Self::Seacat | Self::NghttpxWide => return None,
            Self::Nghttpx => ("nghttpx", "--version"),
            Self::Haproxy => ("haproxy", "-v"),
            Self::Stunnel => ("stunnel", "-version"),
        };
        let mut command = clean_command(program, Path::new("/"));
        command.arg(argument);
        Some(command)
    }

    /// stunnel starts a thread for each client; the time of ended threads is only part of the
    /// process's sum.
    pub(crate) fn clock(self) -> Clock {
        match self {
            Self::Stunnel => Clock::Process,
            _ => Clock::Threads,
        }
    }
}

/// A proxy chain: load generator, near end, far end, origin.
#[derive(Debug)]
pub(crate) struct ProxyChain {
    /// The program at both ends.
    pub(crate) peer: Peer,
    target: Target,
    dir: tempfile::TempDir,
    far: Option<Process>,
    near: Option<Process>,
}

impl ProxyChain {
    /// Starts the far end, and prepares the near one.
    pub(crate) fn far_end(peer: Peer, place: &Place) -> Outcome<Self> {
        let dir = scratch();
        let network = place.near_network();
        if peer == Peer::Direct {
            let target = Target { address: place.origin, network, absolute: false };
            return Ok(Self { peer, target, dir, far: None, near: None });
        }
        let port = free_port();
        let far_port = free_port();
        configure(peer, dir.path(), place, port, far_port)?;
        let command = far_command(peer, dir.path(), place);
        let name = format!("{}-far", peer.name());
        let far = place::start(&name, dir.path(), &command, place.far_network(), far_port);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let target = Target { address, network, absolute: peer != Peer::Stunnel };
        Ok(Self { peer, target, dir, far: Some(far), near: None })
    }

    /// Starts both ends and waits until the near end accepts connections.
    pub(crate) fn start(peer: Peer, place: &Place) -> Outcome<Self> {
        let mut chain = Self::far_end(peer, place)?;
        chain.start_near(place);
        chain.wait_for_near();
        Ok(chain)
    }

    /// Starts the near end and does not wait.
    pub(crate) fn start_near(&mut self, place: &Place) {
        if self.peer != Peer::Direct {
            let mut command = near_command(self.peer, self.dir.path(), place);
            if let Some(network) = place.near_network() {
                command = network.command(&command);
            }
            self.near = Some(Process::start(self.peer.name(), self.dir.path(), &command));
        }
    }

    /// Waits until the near end, if there is one, accepts connections.
    pub(crate) fn wait_for_near(&mut self) {
        if let Some(near) = &mut self.near {
            place::wait_for_port(near, self.target.address.port());
        }
    }

    /// Ends the near end.
    pub(crate) fn stop_near(&mut self) {
        self.near = None;
    }

    /// The address for clients and the form of their requests.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// The near end's process, whose cost is measured.
    pub(crate) fn near(&self) -> Option<Proc> {
        self.near.as_ref().map(|process| Proc(process.id()))
    }

    /// The far end's process.
    pub(crate) fn far(&self) -> Option<Proc> {
        self.far.as_ref().map(|process| Proc(process.id()))
    }
}

/// Writes the configuration files of both ends.
fn configure(peer: Peer, dir: &Path, place: &Place, port: u16, far_port: u16) -> Outcome {
    let (far_address, origin) = (place.far_address(), place.origin);
    let (origin_address, origin_port) = (origin.ip(), origin.port());
    let keys = place.keys();
    let (cert, key, ca) = (keys.join("server.pem"), keys.join("server.key"), keys.join("ca.pem"));
    let (cert, key, ca) = (cert.display(), key.display(), ca.display());
    let both = place.certificate_and_key();
    let both = both.display();
    let (near, far) = match peer {
        Peer::Direct => return Ok(()),
        Peer::Seacat => (
            format!(
                "[proxy]\nport = {port}\nlisten = [\"127.0.0.1\"]\nmax_connections = 16384\n\n\
                 [identity]\nenroll = \"off\"\n\n\
                 [[gateway]]\nhost = \"localhost\"\naddress = \"{far_address}\"\n\
                 port = {far_port}\nca_file = \"{ca}\"\n"
            ),
            format!(
                "[gateway]\nlisten = \"{far_address}:{far_port}\"\n\
                 certificate = \"{cert}\"\nkey = \"{key}\"\n\n\
                 [host.bench]\nuri = \"http://{origin}\"\n"
            ),
        ),
        Peer::Nghttpx | Peer::NghttpxWide => {
            let windows = |end| match peer {
                Peer::NghttpxWide => {
                    format!("{end}-http2-window-size=16M\n{end}-http2-connection-window-size=16M\n")
                }
                _ => String::new(),
            };
            (
                format!(
                    "frontend=127.0.0.1,{port};no-tls\n\
                     backend={far_address},{far_port};;proto=h2;tls\n\
                     http2-proxy=yes\ninsecure=yes\nsingle-process=yes\nsingle-thread=yes\n{}",
                    windows("backend")
                ),
                format!(
                    "frontend={far_address},{far_port}\nbackend={origin_address},{origin_port}\n\
                     private-key-file={key}\ncertificate-file={cert}\nno-ocsp=yes\n\
                     single-process=yes\nsingle-thread=yes\n{}",
                    windows("frontend")
                ),
            )
        }
        Peer::Haproxy => {
            let common = "global\n  nbthread 1\n\ndefaults\n  mode http\n  \
                          timeout connect 5s\n  timeout client 300s\n  timeout server 300s\n";
            (
                format!(
                    "{common}\nfrontend near\n  bind 127.0.0.1:{port}\n  default_backend far\n\n\
                     backend far\n  http-reuse always\n  \
                     server far {far_address}:{far_port} ssl verify none alpn h2\n"
                ),
                format!(
                    "{common}\nfrontend far\n  bind {far_address}:{far_port} ssl crt {both} alpn h2\n  \
                     default_backend origin\n\n\
                     backend origin\n  http-reuse always\n  server origin {origin}\n"
                ),
            )
        }
        Peer::Stunnel => {
            // Without an empty `pid` it writes to a system folder.
            let common = "foreground = yes\npid =\ndebug = warning\n\
                          socket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n";
            (
                format!(
                    "{common}\n[near]\nclient = yes\naccept = 127.0.0.1:{port}\n\
                     connect = {far_address}:{far_port}\n"
                ),
                format!(
                    "{common}\n[far]\naccept = {far_address}:{far_port}\n\
                     connect = {origin}\ncert = {cert}\nkey = {key}\n"
                ),
            )
        }
    };
    write(&dir.join("near.conf"), &near)?;
    write(&dir.join("far.conf"), &far)
}

fn near_command(peer: Peer, dir: &Path, place: &Place) -> Command {
    match peer {
        Peer::Seacat => {
            let mut command = clean_command(place.program("seacat-proxy"), dir);
            // The control socket's folder; everything else follows HOME.
            command.env("XDG_RUNTIME_DIR", dir);
            command.args(["--config", "near.conf", "run"]);
            command
        }
        _ => packaged(peer, dir, "near.conf"),
    }
}

fn far_command(peer: Peer, dir: &Path, place: &Place) -> Command {
    match peer {
        Peer::Seacat => {
            let mut command = clean_command(place.program("seacat-gateway"), dir);
            command.args(["run", "--config", "far.conf"]);
            command
        }
        _ => packaged(peer, dir, "far.conf"),
    }
}

fn packaged(peer: Peer, dir: &Path, configuration: &str) -> Command {
    let program = if peer == Peer::NghttpxWide { Peer::Nghttpx } else { peer };
    let mut command = clean_command(program.name(), dir);
    match program {
        Peer::Nghttpx => command.arg(format!("--conf={configuration}")),
        Peer::Haproxy => command.args(["-db", "-f", configuration]),
        _ => command.arg(configuration),
    };
    command
}
