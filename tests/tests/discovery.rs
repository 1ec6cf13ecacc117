//! Gateways that DNS announces, with a real name server: priorities, aliases, long answers, dead
//! targets, other answers, silence.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a scenario fails where it cannot go on, and says what it measured"
)]

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use seacat_tests::{
    Dns, GATEWAY_ZONE, Gateway, HOST_ZONE, Host, Origin, Proxy, clean_command, for_proxy,
    free_port, scratch,
};

/// `com.example.test` and `py3`, hashed as the reference client does (wire specification 5.1).
const LABEL: &str = "fcb8e55c185661e4fbc087688c1bb717py3";

/// The least an answer counts, whatever its TTL (wire specification, section 1.6).
const TTL_MIN: Duration = Duration::from_secs(60);

const PATIENCE: Duration = Duration::from_secs(20);

/// Both families: there is no listener on ::1, so the second address is needed as well.
const HOSTS: &str = "gw1 A 127.0.0.1\ngw1 AAAA ::1\ngw2 A 127.0.0.1\nalias CNAME gw2\n";

fn gateway(origin: &Origin) -> Gateway {
    let names = ["gw1", "gw2", "alias"].map(|name| format!("{name}.{HOST_ZONE}"));
    let host = Host { name: "origin", port: origin.port(), tunnel: false };
    Gateway::start_named(&names.each_ref().map(String::as_str), &[host])
}

/// The announcement for a suffix: `PRIORITY WEIGHT PORT HOST`.
fn srv(suffix: &str, data: &str) -> String {
    format!("_seacat._tcp.{LABEL}-{suffix} SRV {data}.{HOST_ZONE}.\n")
}

fn configuration(name_server: &str, suffix: &str, ca: &Path) -> String {
    format!(
        "[channel]\ndns_servers = [\"{name_server}\"]\n\n[[gateway]]\nname = \"found\"\n\
         ca_file = \"{}\"\n[gateway.discover]\napp_id = \"com.example.test\"\nplatform = \"py3\"\n\
         suffix = \"{suffix}\"\ndomain = \"{GATEWAY_ZONE}\"\n",
        for_proxy(ca)
    )
}

/// `gateway test`: whether it ended well, and what it printed.
fn test(configuration: &str) -> (bool, String) {
    let home = scratch();
    fs::write(home.path().join("config.toml"), configuration).unwrap();
    let began = Instant::now();
    let mut command = Proxy::command(home.path());
    let done = command.args(["--config", "config.toml", "gateway", "test"]).output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    println!("{said}({:.1} s)", began.elapsed().as_secs_f64());
    (done.status.success(), said)
}

#[test]
fn what_dns_may_say() {
    let origin = Origin::start();
    let gateway = gateway(&origin);
    let (port, dead) = (gateway.port(), free_port());
    let mut records = String::new();
    // The best is dead, and the next as well.
    records += &srv("order", &format!("9 1 {dead} gw1"));
    records += &srv("order", &format!("1 0 {dead} gw2"));
    records += &srv("order", &format!("20 5 {port} gw1"));
    // The announcement and the target are aliases. The certificate must be for the target's name.
    records += &format!("_seacat._tcp.{LABEL}-alias CNAME elsewhere\n");
    records += &format!("elsewhere SRV 0 0 {port} alias.{HOST_ZONE}.\n");
    // Longer than a datagram may be; the one that works is the best of them.
    records += &srv("long", &format!("0 0 {port} gw2"));
    for i in 0..60 {
        let name = format!("a-name-that-takes-some-room-{i}");
        records += &srv("long", &format!("9 0 443 {name}"));
    }
    // "Decidedly no such service" (RFC 2782).
    records += &format!("_seacat._tcp.{LABEL}-none SRV 0 0 0 .\n");
    records += &srv("lost", "0 0 443 no-such-host");
    let dns = Dns::start(&records, HOSTS);

    let cases: [(&str, bool, &[&str]); 6] = [
        ("order", true, &["priority 1,", "priority 9,", "priority 20,", "gw1.hosts.test:"]),
        ("alias", true, &["alias.hosts.test port", "alias.hosts.test:"]),
        ("long", true, &["gw2.hosts.test port", "gw2.hosts.test:"]),
        ("none", false, &["SC-DNS-NO-GATEWAY"]),
        ("lost", false, &["SC-NO-SUCH-HOST", "no-such-host.hosts.test"]),
        ("absent", false, &["SC-DNS-NO-GATEWAY", LABEL]),
    ];
    for (suffix, well, expected) in cases {
        println!("--- {suffix}");
        let (ended_well, said) = test(&configuration(&dns.address(), suffix, &gateway.ca()));
        assert_eq!(ended_well, well, "{suffix}");
        for words in expected {
            assert!(said.contains(words), "{suffix}: {words}");
        }
    }
}

#[test]
fn a_name_server_that_says_nothing() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let pin = format!("pin = \"sha256/{}=\"\n", "A".repeat(43));
    let with_pin = configuration(&address, "x", Path::new("/")).replace("ca_file = \"/\"\n", &pin);
    let (well, said) = test(&with_pin);
    assert!(!well && said.contains("SC-DNS)"), "{said}");
}

#[test]
fn a_request_succeeds_past_a_dead_target() {
    let origin = Origin::start();
    let gateway = gateway(&origin);
    let records = srv("x", &format!("1 0 {} gw1", free_port()))
        + &srv("x", &format!("2 0 {} gw2", gateway.port()));
    let mut dns = Dns::start(&records, HOSTS);
    let began = Instant::now();
    let lines = configuration(&dns.address(), "x", &gateway.ca());
    let mut proxy = Proxy::configured("origin", &lines, &[]);
    let status = proxy.wait_for_state("connected", PATIENCE);
    println!("connected after {:.2} s: {}", began.elapsed().as_secs_f64(), status["target"]);
    assert_eq!(status["target"], format!("gw2.{HOST_ZONE}:{}", gateway.port()));
    assert_eq!(status["last_failure"]["code"], "SC-TCP-REFUSED");
    let log = proxy.process().log();
    assert!(!log.contains("will try again"), "it waited before the next target: {log}");
    let curl = clean_command("curl", &proxy.home())
        .args(["-sS", "-x", &proxy.url(), "http://origin.seacat/echo"])
        .output()
        .unwrap();
    assert!(curl.status.success(), "{}", String::from_utf8_lossy(&curl.stderr));
    assert_eq!(origin.take_seen().len(), 1);

    // The answer is on disk, for its owner alone, and enough for a start without DNS.
    let folder = proxy.home().join("state/seacat-proxy/discovery");
    let kept = fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
    println!("kept: {}", fs::read_to_string(kept.path()).unwrap().trim());
    assert_eq!(kept.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    dns.process().signal("STOP");
    proxy.restart();
    let began = Instant::now();
    proxy.wait_for_state("connected", PATIENCE);
    println!("with a silent name server: {:.1} s", began.elapsed().as_secs_f64());
    assert!(proxy.process().log().contains("what DNS said last time"));
}

/// An answer counts for its TTL, and a connection that works is left alone; the next reconnect
/// after the TTL follows DNS.
#[test]
fn another_answer_counts_when_the_ttl_is_over() {
    let origin = Origin::start();
    let mut gateway = gateway(&origin);
    let at = |name: &str, port: u16| srv("x", &format!("0 0 {port} {name}"));
    let mut dns = Dns::start(&at("gw1", gateway.port()), HOSTS);
    let asked = Instant::now();
    let lines = configuration(&dns.address(), "x", &gateway.ca());
    let proxy = Proxy::configured("origin", &lines, &[]);
    let target = |status: &serde_json::Value| status["target"].as_str().unwrap().to_owned();
    assert!(target(&proxy.wait_for_state("connected", PATIENCE)).starts_with("gw1."));
    dns.announce(&at("gw2", gateway.port()));

    let mut lose = |proxy: &Proxy| {
        gateway.process().kill();
        proxy.wait_for_state("waiting", PATIENCE);
        gateway.restart();
        target(&proxy.wait_for_state("connected", PATIENCE))
    };
    let again = lose(&proxy);
    println!("{:.0} s after the question: {again}", asked.elapsed().as_secs_f64());
    assert!(asked.elapsed() < TTL_MIN, "the machine is too slow for this test");
    assert!(again.starts_with("gw1."), "the answer still counts");

    // This is what is waited for: a TTL.
    thread::sleep((TTL_MIN + Duration::from_secs(5)).saturating_sub(asked.elapsed()));
    assert!(target(&proxy.status()).starts_with("gw1."), "what works is left alone");
    let moved = lose(&proxy);
    println!("{:.0} s after the question: {moved}", asked.elapsed().as_secs_f64());
    assert!(moved.starts_with("gw2."));
}
