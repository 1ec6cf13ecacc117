//! Reverse sockets through real processes: a port of the gateway leads to a service beside the
//! proxy, both ways, many at once, and ends on both sides when either does.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a scenario fails where it cannot go on, and says what it measured"
)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use seacat_tests::{Gateway, Host, Origin, Proxy, free_port, sha256_of, wait_for};
use serde_json::Value;

/// For what takes a poll of ten seconds, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);
/// For bytes that are on their way.
const READ_LIMIT: Duration = Duration::from_secs(20);
const TEN_MEGABYTES: usize = 10 * 1024 * 1024;

const IDENTITY: &str = "\n[identity]\nenroll = \"auto\"\nkey_store = \"file\"\n";

/// A TCP service that treats every connection alike; its port.
fn service(treat: impl Fn(TcpStream) + Send + Clone + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for tcp in listener.incoming() {
            let (tcp, treat) = (tcp.unwrap(), treat.clone());
            thread::spawn(move || treat(tcp));
        }
    });
    port
}

/// Speaks first, as ssh does, then gives back what comes, then its end.
fn echo(mut tcp: TcpStream) {
    let _ = tcp.write_all(b"banner\n");
    let mut from = tcp.try_clone().unwrap();
    let _ = io::copy(&mut from, &mut tcp);
    let _ = tcp.shutdown(Shutdown::Write);
}

/// Ends its half first, then reads to the end; reports what it read.
fn speaker(read: std::sync::mpsc::Sender<String>) -> impl Fn(TcpStream) + Send + Clone {
    move |mut tcp| {
        tcp.write_all(b"that is all").unwrap();
        tcp.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        tcp.read_to_string(&mut text).unwrap();
        read.send(text).unwrap();
    }
}

/// Sends "here" and reports how its connection ended.
fn witness(ended: std::sync::mpsc::Sender<io::Result<usize>>) -> impl Fn(TcpStream) + Send + Clone {
    move |mut tcp| {
        tcp.write_all(b"here").unwrap();
        ended.send(tcp.read(&mut [0; 16])).unwrap();
    }
}

/// The ports of the gateway and what stands behind each.
struct Ports {
    echo: u16,
    speaker: u16,
    witness: u16,
    /// Nobody listens at its target.
    dead: u16,
    /// The client has no such port.
    unknown: u16,
}

struct Scenario {
    began: Instant,
    gateway: Gateway,
    proxy: Proxy,
    ports: Ports,
    received: Receiver<String>,
    ended: Receiver<io::Result<usize>>,
}

impl Scenario {
    /// Enrols a client, then restarts the gateway with reverse ports to it.
    fn begin() -> Self {
        let began = Instant::now();
        let (report, received) = channel();
        let (end, ended) = channel();
        let targets = [service(echo), service(speaker(report)), service(witness(end)), free_port()];
        let reverse: String = (1..)
            .zip(targets)
            .map(|(port, target)| {
                format!("\n[[reverse]]\nport = {port}\ntarget = \"127.0.0.1:{target}\"\n")
            })
            .collect();
        let origin = Origin::start();
        let host = Host { name: "origin", port: origin.port(), tunnel: false };
        let mut gateway = Gateway::start_enrolling(&[host]);
        let more = format!("{IDENTITY}{reverse}");
        let proxy = Proxy::start_with(gateway.port(), &gateway.ca(), "origin", &more);
        let waiting = wait_for_identity(&proxy, "waiting");
        let tag = waiting["client_tag"].as_str().unwrap().to_owned();
        gateway.command(&["approve", &tag]);
        wait_for_identity(&proxy, "enrolled");

        let ports = Ports {
            echo: free_port(),
            speaker: free_port(),
            witness: free_port(),
            dead: free_port(),
            unknown: free_port(),
        };
        let reverse_ports: String =
            [ports.echo, ports.speaker, ports.witness, ports.dead, ports.unknown]
                .into_iter()
                .zip(1..)
                .map(|(listen, port)| {
                    format!(
                        "\n[reverse.p{port}]\nlisten = \"127.0.0.1:{listen}\"\n\
                         client = \"{tag}\"\nport = {port}\n"
                    )
                })
                .collect();
        gateway.process().signal("TERM");
        gateway.process().wait_to_end(PATIENCE);
        gateway.add_to_configuration(&reverse_ports);
        gateway.restart();
        let scenario = Self { began, gateway, proxy, ports, received, ended };
        scenario.wait_for_the_client();
        scenario
    }

    fn log(&self, what: &str) {
        println!("{:6.1} s  {what}", self.began.elapsed().as_secs_f64());
    }

    /// Until the client is connected, visitors are turned away at once.
    fn wait_for_the_client(&self) {
        seacat(&self.proxy, &["connect"]);
        wait_for("a way to the client", PATIENCE, || {
            let mut tcp = visit(self.ports.echo);
            tcp.read_exact(&mut [0; 7]).ok()
        });
        self.log("the client is there");
    }

    fn status(&self) -> Value {
        serde_json::from_str(&seacat(&self.proxy, &["status", "--json"])).unwrap()
    }

    /// Connections open at a port of the client.
    fn open(&self, port: u64) -> u64 {
        let status = self.status();
        let ports = status["reverse"].as_array().unwrap();
        ports.iter().find(|it| it["port"] == port).unwrap()["open"].as_u64().unwrap()
    }
}

/// `seacat-proxy …` beside the running one; what it prints.
fn seacat(proxy: &Proxy, arguments: &[&str]) -> String {
    let done = Proxy::command(&proxy.home())
        .args(["--config", "config.toml"])
        .args(arguments)
        .output()
        .unwrap();
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn wait_for_identity(proxy: &Proxy, state: &str) -> Value {
    wait_for(&format!("the state {state}"), PATIENCE, || {
        thread::sleep(Duration::from_millis(100));
        let seen: Value =
            serde_json::from_str(&seacat(proxy, &["identity", "show", "--json"])).ok()?;
        (seen["state"] == state).then_some(seen)
    })
}

fn visit(port: u16) -> TcpStream {
    let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    tcp.set_read_timeout(Some(READ_LIMIT)).unwrap();
    tcp
}

fn read_to_end(tcp: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    tcp.read_to_end(&mut all).unwrap();
    all
}

#[test]
fn a_port_here_is_a_port_there() {
    let mut scenario = Scenario::begin();
    a_dialogue(&scenario);
    half_close_each_way(&scenario);
    several_at_once(&scenario);
    ten_megabytes_each_way(&scenario);
    what_leads_nowhere_is_reset(&mut scenario);
    either_end_lost_ends_both(&mut scenario);
}

fn a_dialogue(scenario: &Scenario) {
    let mut tcp = visit(scenario.ports.echo);
    let mut banner = [0; 7];
    tcp.read_exact(&mut banner).unwrap();
    assert_eq!(&banner, b"banner\n", "the service speaks first");
    for line in ["SSH-2.0-visitor\r\n", "key exchange", "bye"] {
        tcp.write_all(line.as_bytes()).unwrap();
        let mut back = vec![0; line.len()];
        tcp.read_exact(&mut back).unwrap();
        assert_eq!(back, line.as_bytes());
    }
    let text = seacat(&scenario.proxy, &["status"]);
    assert!(text.contains("port 1 -> 127.0.0.1:") && text.contains("1 open"), "{text}");
    drop(tcp);
    wait_for("its end in the status", PATIENCE, || (scenario.open(1) == 0).then_some(()));
    let letters = seacat(&scenario.proxy, &["status", "--reference"]);
    assert_eq!(letters.trim(), "E**YNn");
    scenario.log("a dialogue, seen in the status");
}

fn half_close_each_way(scenario: &Scenario) {
    // The visitor ends first: the echo comes, and then its end.
    let mut tcp = visit(scenario.ports.echo);
    tcp.write_all(b"last words").unwrap();
    tcp.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut tcp), b"banner\nlast words");
    // The service ends first: it still receives our bytes, and then our end.
    let mut tcp = visit(scenario.ports.speaker);
    assert_eq!(read_to_end(&mut tcp), b"that is all");
    tcp.write_all(b"understood").unwrap();
    drop(tcp);
    assert_eq!(scenario.received.recv_timeout(READ_LIMIT).unwrap(), "understood");
    scenario.log("half-close, either end first");
}

fn several_at_once(scenario: &Scenario) {
    const MANY: usize = 20;
    let mut all: Vec<TcpStream> = (0..MANY).map(|_| visit(scenario.ports.echo)).collect();
    for tcp in &mut all {
        tcp.read_exact(&mut [0; 7]).unwrap();
    }
    assert_eq!(scenario.open(1), MANY as u64);
    for (nth, tcp) in all.iter_mut().enumerate().rev() {
        tcp.write_all(format!("visitor {nth:02}").as_bytes()).unwrap();
    }
    for (nth, tcp) in all.iter_mut().enumerate() {
        let mut back = [0; 10];
        tcp.read_exact(&mut back).unwrap();
        assert_eq!(back, format!("visitor {nth:02}").as_bytes());
    }
    scenario.log("20 connections at once on one port");
}

fn ten_megabytes_each_way(scenario: &Scenario) {
    let bytes: Vec<u8> = (0..TEN_MEGABYTES).map(|at| (at * 7 % 251) as u8).collect();
    let began = Instant::now();
    let mut tcp = visit(scenario.ports.echo);
    let mut to = tcp.try_clone().unwrap();
    let sent = bytes.clone();
    let writer = thread::spawn(move || {
        to.write_all(&sent).unwrap();
        to.shutdown(Shutdown::Write).unwrap();
    });
    tcp.read_exact(&mut [0; 7]).unwrap();
    let (sum, length) = sha256_of(&mut tcp).unwrap();
    writer.join().unwrap();
    assert_eq!((sum, length), sha256_of(&bytes[..]).unwrap());
    let rate = 2.0 * TEN_MEGABYTES as f64 / began.elapsed().as_secs_f64() / 1e6;
    scenario.log(&format!("10 MiB there and back, SHA-256 equal: {rate:.0} MB/s"));
}

fn what_leads_nowhere_is_reset(scenario: &mut Scenario) {
    for (port, why) in [
        (scenario.ports.unknown, "port not configured (2)"),
        (scenario.ports.dead, "general failure (1)"),
    ] {
        let error = visit(port).read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "not an empty answer");
        wait_for(why, PATIENCE, || scenario.gateway.process().log().contains(why).then_some(()));
    }
    scenario.log("no such port: 2; no listener behind it: 1");
}

fn either_end_lost_ends_both(scenario: &mut Scenario) {
    // The gateway is killed: both ends see it.
    let mut tcp = visit(scenario.ports.witness);
    tcp.read_exact(&mut [0; 4]).unwrap();
    scenario.gateway.process().signal("KILL");
    scenario.gateway.process().wait_to_end(PATIENCE);
    let end = scenario.ended.recv_timeout(READ_LIMIT).unwrap();
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset, "a torn end is no end");
    assert!(!matches!(tcp.read(&mut [0; 1]), Ok(1..)));
    scenario.log("gateway killed: both ends reset");
    scenario.gateway.restart();
    scenario.wait_for_the_client();

    // The proxy dies: the same.
    let mut tcp = visit(scenario.ports.witness);
    tcp.read_exact(&mut [0; 4]).unwrap();
    scenario.proxy.process().signal("KILL");
    scenario.proxy.process().wait_to_end(PATIENCE);
    let error = tcp.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "a torn end is no end");
    assert!(!matches!(scenario.ended.recv_timeout(READ_LIMIT).unwrap(), Ok(1..)));
    // And from now on visitors are turned away.
    let error = visit(scenario.ports.echo).read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    scenario.log("proxy killed: both ends reset");
}
