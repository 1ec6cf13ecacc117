//! The program itself: make a directory, check it, run it, stop it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use seacat_link::Closed;

use crate::support::*;

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_seacat-gateway"))
}

fn output(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

/// Ends the program with its test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
#[cfg(unix)]
fn from_nothing_to_an_answer_to_a_clean_exit() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("gateway");
    let made = output(&["init", text(&dir), "--name", "gw.test", "--name", "192.0.2.1"]);
    assert!(made.status.success(), "{made:?}");
    let again = output(&["init", text(&dir)]);
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(String::from_utf8_lossy(&again.stderr).contains("ca.pem is already there"));

    let config = dir.join("gateway.toml");
    let checked = output(&["check", "--config", text(&config)]);
    assert!(checked.status.success(), "{checked:?}");

    for signal in ["TERM", "INT"] {
        let mut command = program();
        command.args(["run", "--config", text(&config), "--listen", "127.0.0.1:0"]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut running = Running(command.spawn().unwrap());
        let mut line = String::new();
        BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addr = line.strip_prefix("listening on ").unwrap().trim().parse().unwrap();
        let ca_pem = std::fs::read_to_string(dir.join("ca.pem")).unwrap();
        story(async {
            let (tcp, session) = handshake(addr, anonymous(&ca_pem)).await.unwrap();
            let client = Client::over(tcp, session);
            assert_eq!(client.get("hello", "/").await.unwrap().status, 200);
            let pid = running.0.id().to_string();
            let sent = Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap();
            assert!(sent.success());
            assert!(matches!(client.driver.await.unwrap(), Closed::Peer));
        });
        assert_eq!(running.0.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[test]
fn mistakes_are_said_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bad.toml");
    std::fs::write(&file, "[gateway]\nlissten = 1\n").unwrap();
    for command in ["run", "check"] {
        let got = output(&[command, "--config", text(&file)]);
        assert_eq!(got.status.code(), Some(1));
        let said = String::from_utf8(got.stderr).unwrap();
        assert!(said.contains("bad.toml, line 2: unknown field `lissten`"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let made = dir.path().join("made");
    assert!(output(&["init", text(&made)]).status.success());
    let config = made.join("gateway.toml");
    let got = output(&["run", "--config", text(&config), "--listen", &taken]);
    assert_eq!(got.status.code(), Some(1));
    let said = String::from_utf8(got.stderr).unwrap();
    assert!(said.contains(&format!("cannot listen on {taken}")), "{said}");
}
