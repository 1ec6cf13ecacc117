//! The first minute: one command, the line it prints is pasted, Ctrl-C.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a scenario fails where it cannot go on, and says what it measured"
)]

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use seacat_tests::{
    Client, Process, Proxy, World, clean_command, free_port, is_under_wine, request, scratch,
};

/// `seacat-proxy run --demo` in an empty home, on a port that is free.
fn demo(home: &std::path::Path, port: u16) -> Process {
    let mut command = Proxy::command(home);
    command.env("SEACAT_PROXY_PORT", port.to_string()).args(["run", "--demo"]);
    Process::start("seacat-proxy", home, &command)
}

/// The line of its output that is meant to be pasted.
fn printed_line(process: &Process) -> Option<String> {
    let log = process.log();
    let start = log.find("curl -x ")?;
    let line = log[start..].split_once('\n')?.0;
    Some(line.trim_end_matches(['`', '"', '.']).to_owned())
}

#[test]
fn one_command_and_the_line_it_prints() {
    let home = scratch();
    let port = free_port();
    let began = Instant::now();
    let mut proxy = demo(home.path(), port);
    let line = proxy.wait_until("the line to paste", printed_line);
    println!("after {:.0} ms it printed: {line}", began.elapsed().as_secs_f64() * 1000.0);
    assert!(line.contains(&format!("127.0.0.1:{port}")), "{line}");
    assert!(line.contains("http://hello.seacat/"), "{line}");
    let answer = clean_command("sh", home.path()).args(["-c", &line]).output().unwrap();
    let text = String::from_utf8_lossy(&answer.stdout);
    println!("pasted, it answers: {}", text.lines().next().unwrap_or_default());
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    assert!(text.to_lowercase().contains("seacat"), "{text}");

    // The host is the built-in gateway's, over a real channel: the response shows it.
    let answer = Client::connect(port).unwrap().get("http://hello.seacat/").unwrap();
    assert_eq!(answer.status, 200);
    let via = answer.fields("via").join(", ");
    println!("Via: {via}");
    assert!(!via.is_empty(), "{}", answer.head);

    proxy.signal("INT");
    let status = proxy.wait_to_end(Duration::from_secs(10));
    assert_eq!(status.code(), Some(0), "Ctrl-C ends it well: {}", proxy.log());
    assert!(Client::connect(port).is_err(), "there is no listener any more");
    let left: Vec<_> = fs::read_dir(home.path().join("runtime")).unwrap().flatten().collect();
    println!("left behind in the runtime folder: {left:?}");
}

#[test]
fn a_command_works_as_soon_as_the_port_answers() {
    for round in 1..=10 {
        let (home, port) = (scratch(), free_port());
        let mut proxy = demo(home.path(), port);
        // Without a pause, unlike the other tests: the race between port and socket was a
        // millisecond.
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(proxy.ended().is_none(), "{}", proxy.log());
        }
        if is_under_wine() {
            let asked = Proxy::command(home.path()).arg("disconnect").output().unwrap();
            assert!(asked.status.success(), "round {round}: {asked:?}");
            continue;
        }
        let socket = home.path().join("runtime/seacat-proxy/control.sock");
        let connected = UnixStream::connect(&socket);
        assert!(connected.is_ok(), "round {round}: {}: {connected:?}", socket.display());
    }
}

#[test]
fn ctrl_c_lets_requests_finish() {
    let mut world = World::start();
    // Two seconds of answer; the first bytes have come when the signal is sent.
    let mut client = world.proxy.client();
    client.send(request("GET", "http://origin.seacat/drip/50/40").as_bytes()).unwrap();
    let answering = std::thread::spawn(move || client.answer("GET"));
    seacat_tests::wait_for("the request at the origin", Duration::from_secs(10), || {
        let seen = world.origin.take_seen();
        seen.iter().any(|seen| seen.line().contains("/drip/")).then_some(())
    });
    world.proxy.process().signal("INT");
    let signalled = Instant::now();
    let answer = answering.join().unwrap().expect("the answer comes whole");
    assert_eq!((answer.status, answer.body.len()), (200, 50 * 1024));
    let status = world.proxy.process().wait_to_end(Duration::from_secs(10));
    println!(
        "a download of 2 s ended whole {:.1} s after Ctrl-C; the proxy ended with {status}",
        signalled.elapsed().as_secs_f64()
    );
    assert_eq!(status.code(), Some(0), "{}", world.proxy.process().log());
}

#[test]
fn an_error_of_the_gateway_has_the_same_page_as_ours() {
    let world = World::start();
    let mut client = world.proxy.client();
    for (accept, kind, part) in [
        ("text/html", "text/html; charset=utf-8", "<strong>What to do:</strong>"),
        ("application/json", "application/problem+json", "\"code\":\"SC-GW-HOST\""),
        ("*/*", "text/plain; charset=utf-8", "What it means: The connection to the gateway works."),
    ] {
        let head = "GET http://nosuch.seacat/ HTTP/1.1\r\nHost: nosuch.seacat\r\n";
        let asked = format!("{head}Accept: {accept}\r\n\r\n");
        let answer = client.ask(asked.as_bytes()).unwrap();
        assert_eq!(answer.status, 404, "{answer:?}");
        assert_eq!(answer.fields("content-type"), [kind]);
        assert!(answer.text().contains(part), "{}", answer.text());
        let marks = answer.fields("proxy-status");
        assert!(marks.len() == 1 && marks[0].starts_with("seacat-gateway; "), "{marks:?}");
    }
    // A server's own 404 passes as it is.
    let own = client.get("http://web.seacat/no-such-page").unwrap();
    assert_eq!((own.status, own.code()), (404, None), "{own:?}");
}
