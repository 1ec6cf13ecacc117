//! The program itself: make a directory, check it, run it, stop it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use seacat_link::Closed;

use crate::enroll::{APPROVED, Machine, REJECTED, STORED, is_revoked};
use crate::support::*;

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_seacat-gateway"))
}

fn output(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

/// Ends the program with its test, however that ends.
struct Running {
    child: Child,
    addr: SocketAddr,
}

impl Running {
    /// Starts it and waits until it listens.
    fn start(config: &Path) -> Self {
        let mut command = program();
        command.args(["run", "--config", text(config), "--listen", "127.0.0.1:0"]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addr = line.strip_prefix("listening on ").unwrap().trim();
        Self { child, addr: addr.parse().unwrap() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill(); // SIGKILL, where there are signals
        let _ = self.child.wait();
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
    let words = |said: &[u8]| {
        let said = String::from_utf8_lossy(said).into_owned();
        let line = said.lines().find_map(|line| line.strip_prefix("in four words:"));
        line.expect("the words of the CA").trim().to_owned()
    };
    assert_eq!(words(&made.stdout).split(' ').count(), 4);
    assert_eq!(words(&made.stdout), words(&checked.stdout));

    for signal in ["TERM", "INT"] {
        let mut running = Running::start(&config);
        let addr = running.addr;
        let ca_pem = std::fs::read_to_string(dir.join("ca.pem")).unwrap();
        scenario(async {
            let (tcp, session) = handshake(addr, anonymous(&ca_pem)).await.unwrap();
            let client = Client::over(tcp, session);
            assert_eq!(client.get("hello", "/").await.unwrap().status, 200);
            let pid = running.child.id().to_string();
            let sent = Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap();
            assert!(sent.success());
            // Told that the gateway goes away, the client may be the first to say goodbye.
            let closed = client.driver.await.unwrap();
            assert!(matches!(closed, Closed::Peer | Closed::Local), "{closed}");
        });
        assert_eq!(running.child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[test]
fn mistakes_are_reported_in_one_line() {
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

/// A directory of a gateway that enrols.
fn enrolling(dir: &Path, settings: &str) -> PathBuf {
    assert!(output(&["init", text(dir)]).status.success());
    let config = dir.join("gateway.toml");
    let made = std::fs::read_to_string(&config).unwrap();
    let wanted = made.replace("#[enroll]\n", &format!("[enroll]\n{settings}\n"));
    let inner = "\n[host.inner]\nbuiltin = \"echo\"\nidentity = true\n";
    std::fs::write(&config, wanted + inner).unwrap();
    config
}

/// Runs an administrator's command that must succeed; says what it prints.
fn admin(config: &Path, arguments: &[&str]) -> String {
    let got = output(&[arguments, &["--config", text(config)]].concat());
    assert!(got.status.success(), "{arguments:?}: {got:?}");
    String::from_utf8(got.stdout).unwrap()
}

/// Runs one that must fail; says why it does.
fn refused(config: &Path, arguments: &[&str]) -> String {
    let got = output(&[arguments, &["--config", text(config)]].concat());
    assert_eq!(got.status.code(), Some(1), "{arguments:?}: {got:?}");
    String::from_utf8(got.stderr).unwrap()
}

#[test]
fn an_administrator_decides_while_the_gateway_runs() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("gateway");
    let config = enrolling(&dir, "mode = \"pending\"\nvalidity = 600");
    let ca_pem = std::fs::read_to_string(dir.join("ca.pem")).unwrap();
    let (machine, other) = (Machine::number(0), Machine::number(1));
    let tag = machine.id().tag();
    let running = Running::start(&config);
    assert_eq!(admin(&config, &["pending"]), "no client waits for approval\n");
    assert_eq!(admin(&config, &["clients"]), "there are no clients\n");
    let unknown = refused(&config, &["approve", &tag]);
    assert!(unknown.contains("no client of this gateway"), "{unknown}");
    scenario(async {
        let (tcp, session) = handshake(running.addr, anonymous(&ca_pem)).await.unwrap();
        let mut stranger = Client::over(tcp, session);
        assert_eq!(stranger.submit(machine.csr("Anna \u{1b}[31m")).await, STORED);
        assert_eq!(stranger.submit(other.csr("Bob")).await, STORED);
        let waiting = admin(&config, &["pending"]);
        // What a client calls itself is shown and not obeyed.
        let line = format!("{tag}  CN=Anna \\u{{1b}}[31m\n");
        assert!(waiting.contains(&line), "{waiting}");
        assert!(waiting.contains(&other.id().to_string()), "{waiting}");

        let done = admin(&config, &["approve", tag.trim_matches(['[', ']'])]);
        assert!(done.starts_with(&format!("approved: {tag}")), "{done}");
        let again = refused(&config, &["approve", &tag]);
        assert!(again.contains("it is approved already"), "{again}");
        let done = admin(&config, &["reject", &other.id().to_string()]);
        assert!(done.starts_with("rejected: "), "{done}");
        assert_eq!(stranger.submit(other.csr("Bob")).await, REJECTED);

        let key = machine.public_key();
        let (_, certificate) = stranger.query(key).await;
        let client = machine.connect_to(running.addr, &ca_pem, &certificate).await;
        assert_eq!(client.get("inner", "/").await.unwrap().status, 200);
        let listed = admin(&config, &["clients"]);
        assert!(listed.contains(&format!("{tag}  enrolled until ")), "{listed}");
        assert!(listed.contains(&format!("{}  rejected ", other.id().tag())), "{listed}");

        let done = admin(&config, &["revoke", &tag]);
        assert!(done.starts_with("revoked: "), "{done}");
        assert!(matches!(client.driver.await.unwrap(), Closed::Peer));
        let client = machine.connect_to(running.addr, &ca_pem, &certificate).await;
        assert!(is_revoked(&client.driver.await.unwrap()));
        // It asks again; the administrator sees what it is.
        assert_eq!(stranger.submit(machine.csr("Anna")).await, STORED);
        let waiting = admin(&config, &["pending"]);
        assert!(waiting.contains(&tag) && waiting.contains("REVOKED"), "{waiting}");
        assert!(admin(&config, &["forget", &tag]).starts_with("forgotten: "));
        assert!(!admin(&config, &["clients"]).contains(&tag));
    });
    let plain = dir.join("plain.toml");
    let without = std::fs::read_to_string(&config).unwrap();
    let without = without.split("\n[enroll]").next().unwrap();
    std::fs::write(&plain, without).unwrap();
    assert!(refused(&plain, &["pending"]).contains("enrolment is not configured"));
}

#[test]
fn a_killed_gateway_keeps_what_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("gateway");
    let config = enrolling(&dir, "mode = \"automatic\"");
    let ca_pem = std::fs::read_to_string(dir.join("ca.pem")).unwrap();
    let machine = Machine::number(0);
    let mut certificate = Vec::new();
    for life in 0..5 {
        let running = Running::start(&config);
        scenario(async {
            let mut client = match life {
                0 => {
                    let (tcp, session) = handshake(running.addr, anonymous(&ca_pem)).await.unwrap();
                    Client::over(tcp, session)
                }
                _ => machine.connect_to(running.addr, &ca_pem, &certificate).await,
            };
            if life > 0 {
                assert_eq!(client.get("inner", "/").await.unwrap().status, 200);
                let (_, found) = client.query(machine.public_key()).await;
                assert_ne!(found, certificate, "the renewal of the life before is there");
                certificate = found;
            }
            // The answer to the CSR is the last frame of this gateway.
            assert_eq!(client.submit(machine.csr("Anna")).await, APPROVED);
            if life == 0 {
                certificate = client.query(machine.public_key()).await.1;
                assert_eq!(client.submit(machine.csr("Anna")).await, APPROVED);
                let mut known = machine.connect_to(running.addr, &ca_pem, &certificate).await;
                assert_eq!(known.submit(machine.csr("Anna")).await, APPROVED);
            }
            drop(running);
        });
    }
}

/// Without the feature `compat` there is no OpenSSL.
#[test]
#[cfg(target_os = "linux")]
fn openssl_comes_with_the_feature_compat_and_only_then() {
    let out = Command::new("ldd").arg(env!("CARGO_BIN_EXE_seacat-gateway")).output().unwrap();
    let libraries = String::from_utf8_lossy(&out.stdout);
    assert!(libraries.contains("libc.so"), "{out:?}");
    assert_eq!(libraries.contains("libssl"), cfg!(feature = "compat"), "{libraries}");
}
