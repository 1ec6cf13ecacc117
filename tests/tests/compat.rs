//! Gateways of the reference era: what a modern client says of one, what both kinds of TLS put on
//! the wire. (`SEACAT_SUITE_TLS=reference` runs the suites of clients and identity over it.)

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a scenario fails where it cannot go on, and says what it measured"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use seacat_tests::{
    Capture, ChannelTls, Gateway, Host, Nginx, Origin, Proxy, clean_command, free_port, scratch,
    succeed, tshark, wait_for,
};
use serde_json::Value;

/// How long a verdict about a gateway on this machine may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// `seacat-proxy …` beside the running one; what it prints.
fn cli(proxy: &Proxy, arguments: &[&str]) -> String {
    let done = Proxy::command(&proxy.home())
        .args(["--config", "config.toml"])
        .args(arguments)
        .output()
        .unwrap();
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn status(proxy: &Proxy, state: &str) -> Value {
    wait_for(&format!("the state {state}"), PATIENCE, || {
        let status: Value = serde_json::from_str(&cli(proxy, &["status", "--json"])).ok()?;
        (status["state"] == state).then_some(status)
    })
}

fn gateway(tls: ChannelTls, origin: &Origin) -> Gateway {
    let host = Host { name: "origin", port: origin.port(), tunnel: false };
    Gateway::start_speaking(tls, free_port(), &[host])
}

fn get(proxy: &Proxy) -> u16 {
    proxy.client().get("http://origin.seacat/echo").unwrap().status
}

#[test]
fn a_modern_client_names_the_switch_and_the_switch_works() {
    let origin = Origin::start();
    let gateway = gateway(ChannelTls::Reference, &origin);
    let modern =
        Proxy::start_speaking(ChannelTls::Modern, gateway.port(), &gateway.ca(), "origin", None);
    let failed = status(&modern, "waiting");
    println!("modern, to a gateway with 0xC028 alone: {}", failed["sentence"]);
    let message = failed.to_string();
    assert!(message.contains("SC-TLS-SUITE"), "{message}");
    assert!(message.contains("no TLS cipher suite in common"), "{message}");
    assert!(message.contains(r#"`tls = \"compat\"`"#), "{message}");
    assert_eq!(get(&modern), 503);

    let tested = cli(&modern, &["gateway", "test"]);
    println!("{tested}");
    let works = "tls = \"compat\" works: TLS 1.2, TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384";
    assert!(tested.contains("(SC-TLS-SUITE)") && tested.contains(works), "{tested}");
    assert!(tested.contains("-> set tls = \"compat\" for this gateway"), "{tested}");

    let compat =
        Proxy::start_speaking(ChannelTls::Reference, gateway.port(), &gateway.ca(), "origin", None);
    assert_eq!(get(&compat), 200);
    let connected = status(&compat, "connected").to_string();
    assert!(connected.contains("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384"), "{connected}");
    let tested = cli(&compat, &["gateway", "test"]);
    assert!(tested.contains("tls = \"modern\" would fail"), "{tested}");
}

/// Gives the gateway a certificate of X.509 version 1, which is what OpenSSL made without extensions;
/// the pin of its key.
const VERSION_1: &str = "openssl req -new -key server.key -subj /CN=localhost -out request.pem
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out server.pem
openssl pkey -in server.key -pubout -outform DER | openssl dgst -sha256 -binary | base64";

#[test]
fn an_old_certificate_needs_its_pin() {
    let origin = Origin::start();
    let mut gateway = gateway(ChannelTls::Reference, &origin);
    gateway.process().kill();
    let mut shell = clean_command("sh", gateway.folder());
    let pin = succeed(shell.args(["-ec", VERSION_1]));
    gateway.restart();
    let lines = format!(
        "[[gateway]]\nhost = \"localhost\"\nport = {}\nca_file = \"{}\"\ntls = \"compat\"\n",
        gateway.port(),
        gateway.ca().display()
    );
    let without = Proxy::configured("origin", &lines, &[]);
    let failed = status(&without, "waiting");
    println!("without a pin: {}", failed["sentence"]);
    assert_eq!(failed["failure"]["code"], "SC-CERT-BAD", "{failed}");
    let pinned = format!("{lines}pin = \"sha256/{}\"\n", pin.trim());
    assert_eq!(get(&Proxy::configured("origin", &pinned, &[])), 200);
}

#[test]
fn both_kinds_of_client_speak_tls_1_3_where_there_is_nothing_else() {
    let origin = Origin::start();
    let gateway = gateway(ChannelTls::Tls13, &origin);
    for tls in [ChannelTls::Modern, ChannelTls::Tls13] {
        let proxy = Proxy::start_speaking(tls, gateway.port(), &gateway.ca(), "origin", None);
        assert_eq!(get(&proxy), 200, "{tls:?}");
        let connected = status(&proxy, "connected").to_string();
        assert!(connected.contains("TLS 1.3"), "{connected}");
    }
    let modern =
        Proxy::start_speaking(ChannelTls::Modern, gateway.port(), &gateway.ca(), "origin", None);
    let tested = cli(&modern, &["gateway", "test"]);
    assert!(tested.contains("tls = \"compat\" works too: TLS 1.3"), "{tested}");
}

/// Clients at one time, and what each of them sends and fetches.
const CLIENTS: usize = 8;
const BODY: usize = 800_000;
const SMALL_REQUESTS: usize = 20;

#[test]
fn one_frame_is_one_record_and_many_records_are_one_write() {
    for tls in [ChannelTls::Modern, ChannelTls::Reference, ChannelTls::Tls13] {
        let dir = scratch();
        let (origin, nginx, port) = (Origin::start(), Nginx::start(), free_port());
        let capture = Capture::start(dir.path(), &[port]);
        let host = |name, port| Host { name, port, tunnel: false };
        let hosts = [host("origin", origin.port()), host("web", nginx.port())];
        let gateway = Gateway::start_speaking(tls, port, &hosts);
        let keys = dir.path().join("keys");
        let proxy = Proxy::start_speaking(tls, port, &gateway.ca(), "origin", Some(&keys));
        fs::write(nginx.site().join("big"), vec![b'x'; BODY]).unwrap();
        load(&proxy);
        drop((proxy, gateway));
        let file = capture.stop(port);
        for (way, is_ours) in [("client to gateway", true), ("gateway to client", false)] {
            measure(
                tls,
                way,
                &records(&file, &keys, port, is_ours),
                segments(&file, port, is_ours),
            );
        }
    }
}

/// Bodies both ways and small requests, all at once.
fn load(proxy: &Proxy) {
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = proxy.client();
                let upload = format!(
                    "POST http://origin.seacat/sum HTTP/1.1\r\nHost: origin\r\n\
                     Content-Length: {BODY}\r\n\r\n{}",
                    "y".repeat(BODY)
                );
                assert_eq!(client.ask(upload.as_bytes()).unwrap().status, 200);
                let big = client.get("http://web.seacat/big").unwrap();
                assert_eq!((big.status, big.body.len()), (200, BODY));
                for _ in 0..SMALL_REQUESTS {
                    assert_eq!(client.get("http://web.seacat/hello.txt").unwrap().status, 200);
                }
            });
        }
    });
}

/// The plaintext of each record of application data in one direction, by the session's keys.
fn records(file: &Path, keys: &Path, port: u16, is_ours: bool) -> Vec<Vec<u8>> {
    let keys = format!("tls.keylog_file:{}", keys.display());
    let decode = format!("tcp.port=={port},tls");
    let follow = format!("follow,tls,raw,{}", channel(file));
    let text = tshark(file, &["-o", &keys, "-d", &decode, "-q", "-z", &follow]);
    // The other side's bytes are indented by a tab.
    let lines = text.lines().filter(|line| line.starts_with('\t') != is_ours).map(str::trim);
    let hex = lines.filter(|line| !line.is_empty() && line.bytes().all(|b| b.is_ascii_hexdigit()));
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    hex.map(|line| line.as_bytes().chunks(2).map(byte).collect()).collect()
}

/// tshark's number of the one connection that says anything.
fn channel(file: &Path) -> String {
    let numbers = tshark(file, &["-Y", "tcp.len > 0", "-T", "fields", "-e", "tcp.stream"]);
    let numbers: BTreeSet<&str> = numbers.lines().collect();
    assert_eq!(numbers.len(), 1, "one channel");
    numbers.into_iter().next().unwrap().to_owned()
}

/// How many segments carry bytes in one direction. With TCP_NODELAY a write leaves as one segment
/// or more, unless the other side's window is full.
fn segments(file: &Path, port: u16, is_ours: bool) -> usize {
    let side = if is_ours { "dstport" } else { "srcport" };
    tshark(file, &["-Y", &format!("tcp.len > 0 && tcp.{side} == {port}")]).lines().count()
}

fn measure(tls: ChannelTls, way: &str, records: &[Vec<u8>], segments: usize) {
    // A frame is 8 bytes of head, the last three of which are the length of the rest.
    let whole = records.iter().filter(|record| match record[..] {
        [_, _, _, _, _, a, b, c, ref rest @ ..] => {
            usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c) == rest.len()
        }
        _ => false,
    });
    let (frames, count) = (whole.count(), records.len());
    let ratio = count as f64 / segments as f64;
    println!(
        "{tls:?}, {way}: {frames} frames in {count} records (1 each), {ratio:.1} records a write"
    );
    assert_eq!(frames, count, "every record is one whole frame");
    assert!(count > CLIENTS * (BODY / 16_384 + SMALL_REQUESTS), "all of the load was decoded");
    assert!(ratio > 1.5, "{ratio} records in a segment: they are not written together");
}
