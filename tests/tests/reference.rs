//! What was recorded from the reference client, said again in its order over TLS as it spoke it:
//! by Python's ssl module, which shares no code with us.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a scenario fails where it cannot go on, and says what it measured"
)]

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Lines, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use seacat_tests::{Origin, Process, binary, clean_command, free_port, program_file, scratch};

/// The one suite of the reference client, 0xC028, as OpenSSL calls it.
const SUITE: &str = "ECDHE-RSA-AES256-SHA384";
/// The gateway's name as discovery would give it.
const NAME: &str = "gw.reference.test";
/// The port that was asked for when the tunnel was recorded.
const RECORDED_PORT: u16 = 7000;

/// For how long Linux delays an acknowledgement, in ms: no small upload may take that long.
const DELAYED_ACK: u64 = 40;

struct World {
    dir: tempfile::TempDir,
    gateway: Process,
    port: u16,
    reverse_port: u16,
    origin: Origin,
}

impl World {
    /// A gateway as `init --reference` makes it, that enrols.
    fn start() -> Self {
        let (dir, origin) = (scratch(), Origin::start());
        let (port, reverse_port) = (free_port(), free_port());
        let made = clean_command(binary("seacat-gateway"), dir.path())
            .args(["init", "gateway", "--reference", NAME])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let path = dir.path().join("gateway/gateway.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\ntls = \"compat\"\n"), "as the clients need it");
        let text = text.replace("[::]:8443", &format!("127.0.0.1:{port}"));
        let more = format!(
            "\n[host.backend]\nuri = \"http://127.0.0.1:{}\"\nidentity = true\n\
             \n[enroll]\nmode = \"pending\"\n",
            origin.port()
        );
        fs::write(path, text + &more).unwrap();
        let gateway = run(dir.path(), port);
        Self { dir, gateway, port, reverse_port, origin }
    }

    /// Runs one of the administrator's commands.
    fn command(&self, arguments: &[&str]) {
        let done = clean_command(binary("seacat-gateway"), self.dir.path())
            .args(arguments)
            .args(["--config", "gateway/gateway.toml"])
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Opens a port that leads to a client, which takes a restart.
    fn open_door(&mut self, tag: &str) {
        let path = self.dir.path().join("gateway/gateway.toml");
        let more = format!(
            "\n[reverse.recorded]\nlisten = \"127.0.0.1:{}\"\nclient = \"{tag}\"\n\
             port = {RECORDED_PORT}\n",
            self.reverse_port
        );
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text + &more).unwrap();
        self.gateway.signal("TERM");
        self.gateway.wait_to_end(Duration::from_secs(20));
        self.gateway = run(self.dir.path(), self.port);
    }

    fn client(&self, part: &str) -> Client {
        let golden =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/seacat-proto/tests/golden");
        let mut command = clean_command("/usr/bin/python3", self.dir.path());
        command.arg(program_file("reference_client.py"));
        command.args([&self.port.to_string(), NAME, "gateway/ca.pem"]).arg(golden);
        command.args([SUITE, part]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Client { child, lines }
    }
}

fn run(dir: &Path, port: u16) -> Process {
    let mut command = clean_command(binary("seacat-gateway"), dir);
    command.args(["run", "--config", "gateway/gateway.toml"]);
    let mut process = Process::start("seacat-gateway", dir, &command);
    process.wait_for_port(port);
    process
}

/// The Python program; what it fails at is on its standard error.
struct Client {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Client {
    fn says(&mut self) -> String {
        let line = self.lines.next().expect("the client goes on").unwrap();
        println!("  {line}");
        line
    }

    fn expect(&mut self, lines: &[&str]) {
        for line in lines {
            assert_eq!(self.says(), *line);
        }
    }

    fn go_on(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    fn ends_well(mut self) {
        assert!(self.lines.next().is_none(), "nothing more to say");
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
fn the_recorded_client_is_served() {
    let mut world = World::start();
    let mut client = world.client("anonymous");
    client.expect(&[&format!("tls TLSv1.2 {SUITE}")]);
    // Stored, not yet approved.
    client.expect(&["csr recorded 0x01", "csr own 0x01", "characteristics acknowledged"]);
    let said = client.says();
    let tags: Vec<&str> = said.strip_prefix("tag ").unwrap().split(' ').collect();
    assert_eq!(tags[0], "6X44WDUMSC2PK46D", "the recorded key's");
    tags.iter().for_each(|tag| world.command(&["approve", tag]));
    client.go_on();
    client.expect(&["cert subject=O=Test Org,C=CZ,CN=Test User"]);
    client.expect(&["cert subject=CN=Reference"]);
    client.ends_well();

    world.open_door(tags[1]);
    let mut client = world.client("identified");
    client.expect(&[&format!("tls TLSv1.2 {SUITE}"), "cert known"]);
    client.expect(&[
        "answer get_no_headers 200 True",
        "answer get_5_headers 200 True",
        "answer head 200 False",
        "answer post_small 200 True",
        "answer post_empty_body 200 True",
        "answer post_20000 200 True",
        "pong 1",
        "pong 3",
    ]);
    let said = client.says();
    let median: u64 = said.strip_prefix("uploads ").unwrap().parse().unwrap();
    assert!(median < DELAYED_ACK, "an upload takes {median} ms");
    let seen = world.origin.take_seen();
    let lines: Vec<&str> = seen.iter().map(seacat_tests::Seen::line).collect();
    assert_eq!(lines[..2], ["GET /hello HTTP/1.1", "GET /info?x=1&y=%20z HTTP/1.1"]);
    assert_eq!(seen[1].fields("x-utf8"), ["žluťoučký"]);
    let received = seen[0].fields("x-seacat-client-tag");
    assert_eq!(received, [format!("[{}]", tags[1])], "the back end receives the client's tag");

    client.expect(&["ready for a visitor"]);
    let mut peer = TcpStream::connect((Ipv4Addr::LOCALHOST, world.reverse_port)).unwrap();
    let mut said = [0; 7];
    peer.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"banner\n");
    peer.write_all(b"hello").unwrap();
    peer.read_exact(&mut said[..5]).unwrap();
    assert_eq!(&said[..5], b"HELLO");
    client.expect(&["socket echoed"]);
    peer.write_all(b"last").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    let mut rest = String::new();
    peer.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "LAST", "and then its end");
    client.expect(&["socket ended"]);
    let mut second = TcpStream::connect((Ipv4Addr::LOCALHOST, world.reverse_port)).unwrap();
    client.expect(&["second refused"]);
    let error = second.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    client.go_on();
    client.expect(&["goodbye answered"]);
    client.ends_well();
}
