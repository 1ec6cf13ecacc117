//! Few file descriptors: whatever others hold, there are answers, a status, a connection to the gateway
//! that has come back, and an end to the access of a client that is revoked.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use seacat_tests::{Gateway, Host, Origin, Proxy, wait_for};

use super::stranger::{Stranger, Target};

/// The limits of shells and services (1 024), and one that is hard to live with.
const FILES: [u32; 2] = [64, 1024];
/// A key is made, a certificate fetched; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long what is promised in a second or two may take in the suite, for the same reason.
const SOON: Duration = Duration::from_secs(10);

/// How long it took, printed beside what it was.
fn timed<T>(files: u32, what: &str, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    let took = began.elapsed();
    println!("| {files} descriptors | {what} | {:.2} s |", took.as_secs_f64());
    assert!(took < SOON, "{what} took {took:?} with {files} descriptors");
    done
}

fn get(proxy: &Proxy, url: &str) -> u16 {
    proxy.client().get(url).map_or(0, |answer| answer.status)
}

/// Local connections that have said half a request.
fn half_requests(port: u16, count: usize) -> Vec<TcpStream> {
    let connect = |_| {
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
        client.write_all(b"GET ").ok()?;
        Some(client)
    };
    (0..count).filter_map(connect).collect()
}

#[test]
fn local_clients_that_rest_leave_the_proxy_descriptors() {
    for files in FILES {
        let (mut gateway, _silent) = super::gateway(None);
        let proxy = Proxy::prepared(gateway.port(), &gateway.ca(), "hello", "");
        let proxy = proxy.started_with_files(files);
        let resting = half_requests(proxy.port(), 1100);
        assert!(resting.len() > files as usize, "{} clients", resting.len());
        let hello = "http://hello.seacat/";
        timed(files, "a request beside 1 100 resting clients", || {
            wait_for("an answer", SOON, || (get(&proxy, hello) == 200).then_some(()));
        });
        let status = timed(files, "status", || proxy.status());
        assert_eq!(status["state"], "connected", "{status}");
        gateway.process().kill();
        gateway.restart();
        timed(files, "connected again", || {
            wait_for("an answer", SOON, || (get(&proxy, hello) == 200).then_some(()));
        });
    }
}

/// Connections without an identity, from many addresses, until no more are accepted.
fn strangers(target: &Target, count: usize) -> Vec<Stranger> {
    let addresses = (2..250).cycle();
    addresses.take(count).filter_map(|address| target.connect(address).ok()).collect()
}

#[test]
fn a_revoked_client_loses_access_with_few_descriptors() {
    for files in FILES {
        let origin = Origin::start();
        let host = Host { name: "erp", port: origin.port(), tunnel: false };
        let gateway =
            Gateway::enrolling(&[host], "mode = \"automatic\"").with_files(files).started();
        let identity = "\n[identity]\nenroll = \"auto\"\nkey_store = \"file\"\n";
        let proxy = Proxy::start_with(gateway.port(), &gateway.ca(), "erp", identity);
        let erp = "http://erp.seacat/echo";
        wait_for("an identity", PATIENCE, || (get(&proxy, erp) == 200).then_some(()));

        let target = Target::new(gateway.port(), &gateway.ca());
        let held = strangers(&target, files as usize + 100);
        println!("{} strangers connected to a gateway with {files} descriptors", held.len());
        let answer = timed(files, "an answer for a client with an identity", || get(&proxy, erp));
        assert_eq!(answer, 200);

        let clients = gateway.command(&["clients"]);
        let tag = clients.lines().find(|line| line.starts_with('[')).unwrap();
        gateway.command(&["revoke", tag.split_whitespace().next().unwrap()]);
        let revoked = Instant::now();
        let refused = loop {
            let asked = Instant::now();
            if get(&proxy, erp) != 200 {
                break asked - revoked;
            }
        };
        println!("| {files} descriptors | served after it was revoked | {refused:.2?} |");
        assert!(refused < SOON, "served for {refused:?} after it was revoked");
        drop(held);
    }
}
