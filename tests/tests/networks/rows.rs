//! The rows of the table.

use std::collections::{HashMap, HashSet};
use std::thread;
use std::time::{Duration, Instant};

use seacat_tests::{Proxy, succeed, wait_for};

use crate::players::{BALANCER, FOREIGN_CA, HOST, OTHER_NAME, PORTAL, Players, SELF_SIGNED};
use crate::probes::{Kind, Probes, Record};
use crate::topology::{A, B, GATEWAY, OTHER_ADDRESS, Topology};

/// From a change of the network to the first good answer. The promise is two seconds; a busy machine
/// gets half a second more.
const AT_ONCE: Duration = Duration::from_millis(2500);

/// From the end of a hindrance that the proxy cannot notice to the first good answer. The promise is ten
/// seconds; a busy machine gets one more.
const SOON: Duration = Duration::from_secs(11);

/// POSTs that were written before the connection was doubted (a quarter of a second after the first
/// thing that was not answered) and that vanished beyond this computer. Nothing can prove that they did
/// not arrive: they are reported as lost. Two at the pace of the probes, and one on a busy machine.
const UNPROVEN: usize = 3;

/// The same where this computer loses its address: one that was written before the kernel's report of
/// that was read.
const UNREPORTED: usize = 1;

/// For how long the status may say "connected" while nothing passes, with the same allowance.
const LIE: Duration = Duration::from_millis(2500);

/// How long a hindrance lasts that ends without a change of the laptop's network.
const HINDERED: Duration = Duration::from_secs(6);

/// Something that happens, and how long the first good answer may take from its end.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    happens: fn(&mut Story) -> Instant,
    limit: Duration,
    /// What hinders from the beginning, before the proxy starts.
    before: Option<fn(&Topology)>,
    /// What has to be answered well again.
    kind: Kind,
    /// How many POSTs may be reported as lost that did not arrive.
    missing: usize,
}

const fn row(name: &'static str, limit: Duration, happens: fn(&mut Story) -> Instant) -> Row {
    Row { name, happens, limit, before: None, kind: Kind::Get, missing: 0 }
}

/// The long ones first: several run at one time.
pub(crate) const ROWS: &[Row] = &[
    moved("portal-redirects", |story| story.impostor(PORTAL, "SC-CAPTIVE-PORTAL")),
    moved("portal-resets-tls", portal_resets_tls),
    moved("inspection-foreign-ca", |story| story.impostor(FOREIGN_CA, "SC-CERT-CA")),
    moved("inspection-other-name", |story| story.impostor(OTHER_NAME, "SC-CERT-NAME")),
    moved("inspection-self-signed", |story| story.impostor(SELF_SIGNED, "SC-CERT")),
    moved("balancer-without-back-end", |story| story.impostor(BALANCER, "SC-HTTPS-SERVER")),
    row("link-down-briefly", AT_ONCE, |story| story.link_down(Duration::from_secs(3))),
    row("link-down", AT_ONCE, |story| story.link_down(HINDERED)),
    row("link-down-and-nobody-asks", AT_ONCE, link_down_idle),
    vanish("all-dropped", SOON, |story| story.filtered(&["drop"])),
    vanish("upstream-dropped", SOON, |story| story.filtered(&["tcp dport 443 drop"])),
    vanish("downstream-dropped", SOON, |story| story.filtered(&["tcp sport 443 drop"])),
    row("resets", AT_ONCE, |story| story.filtered(&["tcp dport 443 reject with tcp reset"])),
    vanish("syns-ignored", SOON, syns_ignored),
    vanish("third-of-packets-lost", AT_ONCE, |story| {
        story.filtered(&["numgen random mod 100 < 30 drop"])
    }),
    Row {
        before: Some(|topology| topology.filter("udp dport 53 drop")),
        ..row("no-dns-at-start", SOON, no_dns_at_start)
    },
    Row {
        kind: Kind::Upload,
        ..vanish("mtu-black-hole", SOON, |story| story.black_hole(Kind::Upload))
    },
    Row {
        kind: Kind::Download,
        ..vanish("mtu-black-hole-down", SOON, |story| story.black_hole(Kind::Download))
    },
    row("gateway-killed", AT_ONCE, gateway_killed),
    vanish("gateway-stopped", AT_ONCE, |story| story.stopped(false, true)),
    row("proxy-stopped", AT_ONCE, |story| story.stopped(true, false)),
    row("both-stopped", AT_ONCE, |story| story.stopped(true, true)),
    vanish("lid-closed-and-nat-forgets", AT_ONCE, lid_closed),
    vanish("nat-forgets", AT_ONCE, nat_forgets),
    vanish("nat-forgets-and-connect", AT_ONCE, nat_forgets_and_connect),
    Row { missing: UNREPORTED, ..row("roaming", AT_ONCE, roaming) },
    Row { missing: UNREPORTED, ..row("roaming-and-back", AT_ONCE, roaming_and_back) },
    vanish("route-moves", AT_ONCE, route_moves),
    vanish("gateway-moves", AT_ONCE, gateway_moves),
];

/// The same for a row that begins in another network, where something answers in the gateway's place.
const fn moved(name: &'static str, happens: fn(&mut Story) -> Instant) -> Row {
    Row { missing: UNREPORTED, ..row(name, SOON, happens) }
}

/// The same for a row in which packets vanish beyond this computer.
const fn vanish(name: &'static str, limit: Duration, happens: fn(&mut Story) -> Instant) -> Row {
    Row { missing: UNPROVEN, ..row(name, limit, happens) }
}

/// The players of one row.
struct Story<'a> {
    topology: &'a Topology,
    players: Players<'a>,
    proxy: Proxy,
    probes: Probes,
    /// Since when the proxy has been running: what its status says while it is stopped is old.
    awake: Instant,
}

impl Row {
    /// Tells the story and checks what was seen.
    pub(crate) fn run(&self, topology: &Topology) {
        let players = Players::start(topology);
        if let Some(hinder) = self.before {
            hinder(topology);
        }
        let gateway =
            format!("[[gateway]]\nhost = \"{HOST}\"\nca_file = \"{}\"\n", players.ca().display());
        let proxy = Proxy::configured("origin", &gateway, &[]);
        let probes = Probes::start(&proxy);
        if self.before.is_none() {
            probes.wait_for_good(Kind::Get, Instant::now());
            probes.wait_for_good(Kind::Post, Instant::now());
        }
        let began = Instant::now();
        let mut story = Story { topology, players, proxy, probes, awake: began };
        let over = (self.happens)(&mut story);
        let good = story.probes.wait_for_good(self.kind, over);
        // Requests that were under way must be answered, or given up, too.
        let record = story.probes.finish();
        let lie = record.longest_lie(story.awake, good);
        let lost = Lost::of(&record, &story.players.numbers(), began);
        let outage = good - over;
        println!(
            "{:26} good after {:5.2} s, said connected for {:4.2} s; POSTs lost: {} arrived, {} not; \
             {:?}",
            self.name,
            outage.as_secs_f64(),
            lie.as_secs_f64(),
            lost.arrived,
            lost.missing,
            record.failures(began),
        );
        assert!(outage <= self.limit, "the first good answer came late");
        assert!(lie <= LIE, "connected while nothing passed");
        assert!(lost.twice.is_empty(), "POSTs arrived twice: {:?}", lost.twice);
        assert!(lost.missing <= self.missing, "POSTs that did not arrive were reported as lost");
    }
}

/// What became of the POSTs.
struct Lost {
    /// Reported as lost, and they had arrived.
    arrived: usize,
    /// Reported as lost, and they had not.
    missing: usize,
    twice: Vec<u64>,
}

impl Lost {
    /// `numbers`: those that reached the origin. Requests that ended before `began` do not count.
    fn of(record: &Record, numbers: &[u64], began: Instant) -> Self {
        let there: HashSet<u64> = numbers.iter().copied().collect();
        let posts = record.probes.iter().filter(|it| it.kind == Kind::Post && it.ended >= began);
        let lost = posts.filter(|it| it.outcome() == "502 SC-LOST");
        let (arrived, missing): (Vec<u64>, Vec<u64>) =
            lost.map(|it| it.number).partition(|number| there.contains(number));
        let mut times: HashMap<u64, usize> = HashMap::new();
        numbers.iter().for_each(|number| *times.entry(*number).or_default() += 1);
        let twice = times.into_iter().filter(|(_, times)| *times > 1).map(|(number, _)| number);
        Self { arrived: arrived.len(), missing: missing.len(), twice: twice.collect() }
    }
}

impl Story<'_> {
    /// Another network, where something answers in the gateway's place. It goes away a while after
    /// the status has named it.
    fn impostor(&self, port: u16, code: &str) -> Instant {
        self.topology.leave(A);
        self.topology.detour(443, port);
        self.topology.join(B);
        self.named(code)
    }

    fn named(&self, code: &str) -> Instant {
        wait_for(code, Duration::from_secs(20), || {
            let status = self.proxy.status();
            let said = status["failure"]["code"].as_str()?;
            said.starts_with(code).then_some(())
        });
        thread::sleep(HINDERED);
        self.topology.clear();
        Instant::now()
    }

    fn link_down(&self, time: Duration) -> Instant {
        self.topology.cable("down");
        thread::sleep(time);
        self.topology.cable("up");
        Instant::now()
    }

    /// The router filters for a while.
    fn filtered(&self, rules: &[&str]) -> Instant {
        rules.iter().for_each(|rule| self.topology.filter(rule));
        thread::sleep(HINDERED);
        self.topology.clear();
        Instant::now()
    }

    /// A tunnel on the way takes no large packets, and the ICMP messages that report it are lost. It
    /// stays so.
    fn black_hole(&self, kind: Kind) -> Instant {
        let large =
            |link: &str| self.topology.filter(&format!("iifname {link} ip length > 1300 drop"));
        large("s1");
        if kind == Kind::Upload {
            large("a1");
        }
        let over = Instant::now();
        self.probes.ask(kind);
        over
    }

    /// SIGSTOP to either or both, for a while.
    fn stopped(&mut self, proxy: bool, gateway: bool) -> Instant {
        for signal in ["STOP", "CONT"] {
            if proxy {
                self.proxy.process().signal(signal);
            }
            if gateway {
                self.players.gateway().signal(signal);
            }
            if signal == "STOP" {
                thread::sleep(HINDERED);
                self.awake = if proxy { Instant::now() } else { self.awake };
            }
        }
        Instant::now()
    }
}

/// Signing in with TLS cut off and all plain HTTP redirected.
fn portal_resets_tls(story: &mut Story) -> Instant {
    story.topology.leave(A);
    story.topology.filter("tcp dport 443 reject with tcp reset");
    story.topology.detour(80, PORTAL);
    story.topology.join(B);
    story.named("SC-TCP-REFUSED")
}

fn link_down_idle(story: &mut Story) -> Instant {
    story.probes.pause(true);
    let over = story.link_down(HINDERED);
    story.proxy.wait_for_state("connected", AT_ONCE);
    story.probes.pause(false);
    over
}

fn syns_ignored(story: &mut Story) -> Instant {
    story.topology.forget_connections();
    story.filtered(&["tcp flags & (syn|ack) == syn tcp dport 443 drop"])
}

fn no_dns_at_start(story: &mut Story) -> Instant {
    story.named("SC-DNS")
}

/// For longer than requests wait at once.
fn gateway_killed(story: &mut Story) -> Instant {
    story.players.gateway().kill();
    thread::sleep(Duration::from_secs(3));
    story.players.restart_gateway();
    Instant::now()
}

/// The lid is closed, the router forgets the connection, the lid is opened.
fn lid_closed(story: &mut Story) -> Instant {
    story.proxy.process().signal("STOP");
    story.topology.forget_connections();
    thread::sleep(HINDERED);
    let over = Instant::now();
    story.awake = over;
    story.proxy.process().signal("CONT");
    over
}

/// A router forgets the connection and reports nothing.
fn nat_forgets(story: &mut Story) -> Instant {
    story.topology.forget_connections();
    Instant::now()
}

fn nat_forgets_and_connect(story: &mut Story) -> Instant {
    let over = nat_forgets(story);
    let mut connect = Proxy::command(&story.proxy.home());
    succeed(connect.args(["--config", "config.toml", "connect"]));
    over
}

/// Another Wi-Fi: another link, address and route.
fn roaming(story: &mut Story) -> Instant {
    story.topology.leave(A);
    let over = Instant::now();
    story.topology.join(B);
    over
}

fn roaming_and_back(story: &mut Story) -> Instant {
    let there = roaming(story);
    story.probes.wait_for_good(Kind::Get, there);
    story.topology.leave(B);
    let over = Instant::now();
    story.topology.join(A);
    over
}

/// A cable is plugged in: the default route moves, the old address stays, and the old way is dead.
fn route_moves(story: &mut Story) -> Instant {
    story.topology.filter("iifname a1 drop");
    story.topology.filter("oifname a1 drop");
    let over = Instant::now();
    story.topology.join(B);
    over
}

/// The gateway has another address, and the old one is dead.
fn gateway_moves(story: &mut Story) -> Instant {
    story.players.move_gateway(OTHER_ADDRESS);
    story.topology.filter(&format!("ip daddr {GATEWAY} tcp dport 443 drop"));
    story.topology.filter(&format!("ip saddr {GATEWAY} tcp sport 443 drop"));
    Instant::now()
}
