//! What an observer on the network sees: TLS to a named server, and nothing of a request.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a scenario fails where it cannot go on, and says what it measured"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use seacat_tests::{Capture, Gateway, Host, Origin, Proxy, free_port, scratch, tshark};

/// What is secret in the requests: a path, a query, a field, a cookie, a body, the host's name.
const SECRETS: [&str; 6] = [
    "path-81c7d2",
    "query-5520ee",
    "field-9af31b",
    "cookie-77d0c4",
    "body-c3e9a6",
    "origin.seacat",
];

/// Extensions of a ClientHello that browsers of our days send too (IANA's registry).
const KNOWN_EXTENSIONS: [(u16, &str); 14] = [
    (0, "server_name"),
    (5, "status_request"),
    (10, "supported_groups"),
    (11, "ec_point_formats"),
    (13, "signature_algorithms"),
    (16, "application_layer_protocol_negotiation"),
    (23, "extended_master_secret"),
    (35, "session_ticket"),
    (41, "pre_shared_key"),
    (43, "supported_versions"),
    (45, "psk_key_exchange_modes"),
    (50, "signature_algorithms_cert"),
    (51, "key_share"),
    (65281, "renegotiation_info"),
];

#[test]
fn the_channel_is_plain_tls_and_discloses_nothing() {
    let dir = scratch();
    let (origin, gateway) = (Origin::start(), free_port());
    // First of all, so that the handshake is captured too.
    let capture = Capture::start(dir.path(), &[gateway, origin.port()]);
    let host = Host { name: "origin", port: origin.port(), tunnel: false };
    let server = Gateway::start_on(gateway, &[host]);
    let proxy = Proxy::start(gateway, &server.ca(), "origin");
    say_secrets(&proxy);
    drop((proxy, server));
    let file = capture.stop(gateway);

    // The search can find: what the gateway said to the origin, in the clear, is in the capture.
    let clear = only(&file, origin.port());
    for secret in &SECRETS[..5] {
        assert!(contains(&clear, secret), "{secret} was never sent");
    }
    let channel = only(&file, gateway);
    for secret in SECRETS {
        assert!(!contains(&channel, secret), "{secret} can be read on the wire");
    }
    println!("{} bytes of capture of the channel: none of {SECRETS:?} is in it", channel.len());
    dissected_as_tls(&file, gateway);
    records_only(&file, gateway);
    hello(&file, gateway);
}

/// One request with everything that must stay confidential.
fn say_secrets(proxy: &Proxy) {
    let [path, query, field, cookie, body, host] = SECRETS;
    let request = format!(
        "POST http://{host}/{path}?{query} HTTP/1.1\r\nHost: {host}\r\nX-Secret: {field}\r\n\
         Cookie: a={cookie}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = proxy.client().ask(request.as_bytes()).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let echo = request.replace(&format!("/{path}?{query}"), "/echo");
    let answer = proxy.client().ask(echo.as_bytes()).expect("an answer");
    assert!(answer.text().contains(body), "the answer carries it back: {}", answer.text());
}

/// The raw bytes of a capture with only the packets of one port.
fn only(file: &Path, port: u16) -> Vec<u8> {
    let part = file.with_extension(format!("{port}.pcapng"));
    tshark(file, &["-Y", &format!("tcp.port == {port}"), "-w", part.to_str().unwrap()]);
    fs::read(&part).unwrap_or_else(|e| panic!("{}: {e}", part.display()))
}

fn contains(bytes: &[u8], words: &str) -> bool {
    bytes.windows(words.len()).any(|window| window == words.as_bytes())
}

/// Every segment with content is TLS to tshark, or a piece of a record that is.
fn dissected_as_tls(file: &Path, port: u16) {
    let decode = format!("tcp.port=={port},tls");
    let count = |filter: &str| {
        let filter = format!("tcp.port == {port} && {filter}");
        tshark(file, &["-d", &decode, "-Y", &filter]).lines().count()
    };
    let all = count("tcp.len > 0");
    let other = count("tcp.len > 0 && !tls && !tcp.segment_data && !tcp.reassembled_in");
    let broken = count("(_ws.malformed || tls.alert_message.level == 2)");
    println!("tshark: {all} segments with content, {other} that are not TLS, {broken} malformed");
    assert!(all >= 8 && other == 0 && broken == 0);
}

/// The bytes of each direction are TLS records from the first to the last.
fn records_only(file: &Path, port: u16) {
    /// change_cipher_spec, alert, handshake, application_data (RFC 8446 section 5.1).
    const KINDS: std::ops::RangeInclusive<u8> = 20..=23;
    /// The largest record: 2^14 and 256 for encryption.
    const LARGEST: usize = 16_384 + 256;
    let content = format!("tcp.port == {port} && tcp.len > 0");
    let streams = tshark(file, &["-Y", &content, "-T", "fields", "-e", "tcp.stream"]);
    let streams: BTreeSet<&str> = streams.lines().collect();
    let mut records = 0;
    for stream in &streams {
        let text = tshark(file, &["-q", "-z", &format!("follow,tcp,raw,{stream}")]);
        // The other side's bytes are indented by a tab.
        for theirs in [false, true] {
            let hex: String = text
                .lines()
                .filter(|line| line.starts_with('\t') == theirs)
                .map(str::trim)
                .filter(|line| line.len() >= 2 && line.bytes().all(|b| b.is_ascii_hexdigit()))
                .collect();
            let bytes: Vec<u8> = (0..hex.len() / 2)
                .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap())
                .collect();
            let mut rest = bytes.as_slice();
            while let [kind, 3, minor, high, low, after @ ..] = rest {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                assert!(KINDS.contains(kind) && (1..=3).contains(minor) && length <= LARGEST);
                assert!(length <= after.len(), "a record cut short");
                rest = &after[length..];
                records += 1;
            }
            assert!(rest.is_empty(), "{} bytes behind the last record", rest.len());
        }
    }
    println!("{records} TLS records in {} connections, and nothing between them", streams.len());
    assert!(records >= 8);
}

/// The ClientHello names the server and offers nothing unheard of.
fn hello(file: &Path, port: u16) {
    let fields = tshark(
        file,
        &[
            "-d",
            &format!("tcp.port=={port},tls"),
            "-Y",
            &format!("tcp.dstport == {port} && tls.handshake.type == 1"),
            "-T",
            "fields",
            "-E",
            "separator=|",
            "-e",
            "tls.handshake.extensions_server_name",
            "-e",
            "tls.handshake.extension.type",
            "-e",
            "tls.handshake.ciphersuite",
        ],
    );
    let first = fields.lines().next().expect("a ClientHello was captured");
    let [name, extensions, suites] = first.split('|').collect::<Vec<_>>()[..] else {
        panic!("three fields, not {first:?}")
    };
    assert_eq!(name, "localhost", "SNI");
    let mut names = Vec::new();
    for number in extensions.split(',') {
        let number: u16 = number.parse().unwrap();
        let known = KNOWN_EXTENSIONS.iter().find(|(known, _)| *known == number);
        names.push(known.unwrap_or_else(|| panic!("extension {number} is not known")).1);
    }
    println!("ClientHello: SNI {name:?}; extensions {}", names.join(", "));
    println!("suites offered: {suites}");
}
