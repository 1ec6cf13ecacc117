//! The namespaces, the cables between them, and what the router does to what passes.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use seacat_tests::succeed;

pub(crate) const LAPTOP: &str = "laptop";
pub(crate) const ROUTER: &str = "router";
pub(crate) const SERVER: &str = "server";

/// The addresses of the server: the gateway listens on both, the name server on the first.
pub(crate) const GATEWAY: &str = "10.9.0.2";
pub(crate) const OTHER_ADDRESS: &str = "10.9.0.3";
pub(crate) const ROUTER_ADDRESS: &str = "10.9.0.1";

/// A network of the laptop: its link, its address, the router's address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    link: &'static str,
    address: &'static str,
    router: &'static str,
}

pub(crate) const A: Network = Network { link: "a0", address: "10.1.0.2", router: "10.1.0.1" };
pub(crate) const B: Network = Network { link: "b0", address: "10.2.0.2", router: "10.2.0.1" };

/// The router's table: NAT towards the server, and chains that the rows fill.
const RULES: &str = "
table ip seacat {
    chain detour { type nat hook prerouting priority dstnat; }
    chain source { type nat hook postrouting priority srcnat; oifname \"s1\" masquerade; }
    chain forward { type filter hook forward priority filter; }
}";

/// See the module.
#[derive(Debug)]
pub(crate) struct Topology {
    suffix: String,
    /// They are deleted with this value.
    owned: bool,
}

impl Topology {
    /// The laptop is in network A, and nothing is in the way.
    pub(crate) fn create() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let it = Self { suffix: format!("{}-{count}", std::process::id()), owned: true };
        for name in [LAPTOP, ROUTER, SERVER] {
            succeed(Command::new("ip").args(["netns", "add", &it.namespace(name)]));
            it.shell(name, "ip link set lo up");
        }
        for (near, near_link, far_link) in
            [(LAPTOP, "a0", "a1"), (LAPTOP, "b0", "b1"), (SERVER, "s0", "s1")]
        {
            succeed(
                Command::new("ip")
                    .args(["link", "add", near_link, "netns", &it.namespace(near), "type", "veth"])
                    .args(["peer", "name", far_link, "netns", &it.namespace(ROUTER)]),
            );
            // Packets as they are on a real cable, so that the router sees their lengths.
            it.shell(near, &format!("ip link set {near_link} gso_max_segs 1"));
        }
        it.shell(
            SERVER,
            &format!(
                "ip addr add {GATEWAY}/24 dev s0; ip addr add {OTHER_ADDRESS}/24 dev s0
                 ip link set s0 up; ip route add default via {ROUTER_ADDRESS}"
            ),
        );
        let links =
            [("a1", A.router), ("b1", B.router), ("s1", ROUTER_ADDRESS)].map(|(link, address)| {
                format!("ip addr add {address}/24 dev {link}; ip link set {link} up\n")
            });
        let (links, forward) = (links.concat(), "echo 1 > /proc/sys/net/ipv4/ip_forward");
        it.shell(ROUTER, &format!("{links}{forward}\nnft -f - <<'END'{RULES}\nEND"));
        it.join(A);
        it
    }

    /// The one that another process has created.
    pub(crate) fn existing(suffix: &str) -> Self {
        Self { suffix: suffix.to_owned(), owned: false }
    }

    pub(crate) fn suffix(&self) -> &str {
        &self.suffix
    }

    fn namespace(&self, name: &str) -> String {
        format!("seacat-{name}-{}", self.suffix)
    }

    /// A program in a namespace.
    pub(crate) fn command(&self, namespace: &str, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(namespace)]).arg(program);
        command
    }

    /// The same for a command with arguments, environment and folder.
    pub(crate) fn within(&self, namespace: &str, inner: &Command) -> Command {
        let mut command = self.command(namespace, inner.get_program());
        command.args(inner.get_args());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(inner.get_current_dir().unwrap_or(Path::new("/")));
        command
    }

    pub(crate) fn shell(&self, namespace: &str, script: &str) -> String {
        succeed(self.command(namespace, "sh").args(["-ec", script]))
    }

    /// The laptop joins a network and sends everything through it.
    pub(crate) fn join(&self, Network { link, address, router }: Network) {
        self.shell(
            LAPTOP,
            &format!(
                "ip link set {link} up; ip addr replace {address}/24 dev {link}
                 ip route replace default via {router} dev {link}"
            ),
        );
    }

    /// The laptop leaves a network: no link, no address.
    pub(crate) fn leave(&self, Network { link, .. }: Network) {
        self.shell(LAPTOP, &format!("ip addr flush dev {link}; ip link set {link} down"));
    }

    /// Pulls the cable of network A, or plugs it in again.
    pub(crate) fn cable(&self, state: &str) {
        self.shell(ROUTER, &format!("ip link set a1 {state}"));
    }

    /// The router filters what passes by this nftables rule.
    pub(crate) fn filter(&self, rule: &str) {
        self.rule("forward", rule);
    }

    /// The router forgets the laptop's connections to the gateway: their packets go nowhere, and
    /// the ends are not told.
    pub(crate) fn forget_connections(&self) {
        let list = format!("ss -Htn state established dst {GATEWAY}");
        for line in self.shell(LAPTOP, &list).lines() {
            let local = line.split_whitespace().nth(2).expect("a local address");
            let (_, port) = local.rsplit_once(':').expect("a port");
            self.filter(&format!("tcp sport {port} drop"));
            self.filter(&format!("tcp dport {port} drop"));
        }
    }

    /// The router answers in the gateway's place, on new connections.
    pub(crate) fn detour(&self, port: u16, to: u16) {
        let server = format!("ip daddr {{ {GATEWAY}, {OTHER_ADDRESS} }}");
        self.rule("detour", &format!("{server} tcp dport {port} dnat to {ROUTER_ADDRESS}:{to}"));
    }

    fn rule(&self, chain: &str, rule: &str) {
        succeed(self.command(ROUTER, "nft").arg(format!("add rule ip seacat {chain} {rule}")));
    }

    /// Nothing is in the way any more.
    pub(crate) fn clear(&self) {
        self.shell(ROUTER, "nft flush chain ip seacat forward; nft flush chain ip seacat detour");
    }
}

impl Drop for Topology {
    fn drop(&mut self) {
        if self.owned {
            for name in [LAPTOP, ROUTER, SERVER] {
                let _ = Command::new("ip").args(["netns", "del", &self.namespace(name)]).status();
            }
        }
    }
}
