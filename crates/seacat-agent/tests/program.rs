//! The real program as a process: started, used, asked, told to stop.
#![cfg(unix)]
// Helpers of tests are tests, which the lint does not know.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_seacat-proxy");

/// The program with a state folder and a configuration of its own. (The organisation's policy, which
/// nothing can switch off, is assumed not to name a gateway on the machine that runs the tests.)
fn program(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SEACAT_PROXY_")) {
        command.env_remove(name);
    }
    command
        .args(args)
        .env("SEACAT_PROXY_STATE_DIR", home.join("state"))
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("HOME", home);
    command
}

fn run(home: &Path, args: &[&str]) -> Output {
    program(home, args).stdin(Stdio::null()).output().unwrap()
}

/// A running proxy; killed when a test fails half way.
struct Running {
    child: Child,
    address: SocketAddr,
    announced: String,
}

impl Running {
    fn start(home: &Path, args: &[&str]) -> Self {
        let mut child = program(home, &[&["run"], args].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut announced = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            announced.push_str(&line.unwrap());
            announced.push('\n');
            if announced.ends_with("Press Ctrl-C to stop.\n") {
                break;
            }
        }
        let address = announced
            .split_once("is listening on http://")
            .and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok())
            .unwrap_or_else(|| panic!("no address in {announced:?}"));
        Self { child, address, announced }
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// What a proxied GET answers, as text.
    fn get(&self, url: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(stream, "GET {url} HTTP/1.1\r\nHost: ignored\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn exit_code(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

/// `status --watch`, to wait for a state instead of guessing how long it takes.
struct Watcher {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Watcher {
    fn start(home: &Path) -> Self {
        let mut child =
            program(home, &["status", "--watch", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn until(&mut self, state: &str) {
        for line in &mut self.lines {
            let view: Value = serde_json::from_str(&line.unwrap()).unwrap();
            if view["state"] == state {
                return;
            }
            assert_ne!(view["state"], "waiting", "the gateway was not reached: {view}");
        }
        panic!("the proxy ended before it was {state}");
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_demo_answers_through_the_channel_tells_its_status_and_ends_well() {
    let home = home();
    let proxy = Running::start(home.path(), &["--demo", "--port", "0"]);
    assert!(
        proxy.announced.contains(&format!("curl -x http://{} http://hello.seacat/", proxy.address))
    );
    let answer = proxy.get("http://hello.seacat/");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(proxy.get("http://no-such-host.seacat/").starts_with("HTTP/1.1 404"));

    Watcher::start(home.path()).until("connected");
    let status = run(home.path(), &["status", "--json"]);
    assert_eq!(status.status.code(), Some(0), "{}", text(&status.stderr));
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["state"], "connected");
    assert_eq!(status["demo"], true);
    assert_eq!(status["pid"], proxy.child.id());
    assert_eq!(status["tls"]["version"], "TLS 1.3");
    assert_eq!(status["proxy"][0], proxy.address.to_string());
    assert!(status["rtt_ms"].is_number());

    let env = run(home.path(), &["env", "--shell", "bash"]);
    assert!(text(&env.stdout).contains(&format!("export http_proxy='http://{}'", proxy.address)));

    let second = run(home.path(), &["run", "--port", "0"]);
    assert_eq!(second.status.code(), Some(5));
    assert!(text(&second.stderr).contains(&format!("process {}", proxy.child.id())));

    proxy.signal("TERM");
    assert_eq!(proxy.exit_code(), Some(0));
    assert_eq!(run(home.path(), &["status"]).status.code(), Some(4));
    let log = fs::read_to_string(home.path().join("state/seacat-proxy.log")).unwrap();
    assert!(log.lines().count() > 0);
    for line in log.lines() {
        serde_json::from_str::<Value>(line).unwrap();
        assert!(!line.contains("hello.seacat"), "a host above DEBUG: {line}");
    }
}

#[test]
fn connect_and_disconnect_are_seen_by_a_watcher() {
    let home = home();
    let proxy = Running::start(home.path(), &["--demo", "--port", "0"]);
    assert!(proxy.announced.contains("built-in gateway"), "{}", proxy.announced);
    let mut watcher = Watcher::start(home.path());
    watcher.until("connected");
    assert_eq!(run(home.path(), &["disconnect"]).status.code(), Some(0));
    watcher.until("off");
    assert_eq!(run(home.path(), &["status"]).status.code(), Some(7));
    let asked = run(home.path(), &["connect"]);
    assert_eq!(asked.status.code(), Some(0));
    assert!(text(&asked.stdout).starts_with("connect"), "{}", text(&asked.stdout));
    watcher.until("connected");
    let again = run(home.path(), &["connect"]);
    assert!(text(&again.stdout).starts_with("connected to "), "{}", text(&again.stdout));
    assert_eq!(run(home.path(), &["stop"]).status.code(), Some(0));
    assert_eq!(proxy.exit_code(), Some(0));
    // The watcher ends by itself when the proxy does.
    watcher.child.wait().unwrap();
}

/// A trial is asked for. Without a gateway and without that wish nothing looks connected.
#[test]
fn without_a_gateway_it_says_so() {
    let home = home();
    let proxy = Running::start(home.path(), &["--port", "0"]);
    assert!(proxy.announced.contains("No gateway is configured"), "{}", proxy.announced);
    let status = run(home.path(), &["status"]);
    assert_eq!(status.status.code(), Some(7));
    assert!(text(&status.stdout).contains("no gateway is configured"), "{}", text(&status.stdout));
    let answer = proxy.get("http://erp/");
    assert!(answer.contains("503") && answer.contains("SC-NO-GATEWAY"), "{answer}");
}

#[test]
fn a_taken_port_names_its_owner_and_offers_another() {
    let home = home();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let refused = run(home.path(), &["run", "--port", &port, "--listen", "127.0.0.1"]);
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(6), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{port} is taken by")), "{said}");
    assert!(said.contains("use --port"), "{said}");
    #[cfg(target_os = "linux")]
    assert!(said.contains(&format!("process {}", std::process::id())), "{said}");
}

#[test]
fn a_setting_that_is_changed_while_it_runs_takes_effect_or_says_when() {
    let home = home();
    let _proxy = Running::start(home.path(), &["--port", "0"]);
    let set =
        |key: &str, value: &str| text(&run(home.path(), &["config", "set", key, value]).stdout);
    assert_eq!(set("log.level", "debug"), "saved and applied\n");
    assert_eq!(set("channel.wait", "3s"), "saved; restart the proxy to apply channel.wait\n");
    assert_eq!(
        set("gateway", "gw.example.com"),
        "saved; restart the proxy to apply channel.wait\n",
        "from none to one at once"
    );
}

#[test]
fn a_wrong_configuration_stops_the_start_with_the_line() {
    let home = home();
    let file = home.path().join("c.toml");
    fs::write(&file, "[proxy]\nprot = 1\n").unwrap();
    let refused = run(home.path(), &["run", "--config", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(3));
    let said = text(&refused.stderr);
    assert!(said.contains("c.toml:2:1: unknown key `prot`; did you mean `port`?"), "{said}");
}

/// A gateway that cannot be reached: said by the status, the exit codes and the test of the gateway.
#[test]
fn an_unreachable_gateway_is_named() {
    let home = home();
    // Bound and dropped: nothing listens there now.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let gateway = format!("127.0.0.1:{port}");
    let tested = run(home.path(), &["gateway", "test", &gateway]);
    assert_eq!(tested.status.code(), Some(7));
    assert!(text(&tested.stdout).contains("FAILED"), "{}", text(&tested.stdout));

    let proxy = Running::start(
        home.path(),
        &["--port", "0", "--gateway", &gateway, "--set", "channel.wait=0s"],
    );
    let answer = proxy.get("http://erp/");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let status = run(home.path(), &["status"]);
    assert_eq!(status.status.code(), Some(7), "{}", text(&status.stdout));
    proxy.signal("INT");
    assert_eq!(proxy.exit_code(), Some(0));
}

/// Without the feature `compat` there is no OpenSSL, and whoever wants it is told so.
#[test]
#[cfg(target_os = "linux")]
fn openssl_comes_with_the_feature_compat_and_only_then() {
    let out = Command::new("ldd").arg(PROGRAM).output().unwrap();
    let libraries = String::from_utf8_lossy(&out.stdout);
    assert!(libraries.contains("libc.so"), "{out:?}");
    assert_eq!(libraries.contains("libssl"), cfg!(feature = "compat"), "{libraries}");

    let home = TempDir::new().unwrap();
    let file = home.path().join("config.toml");
    fs::write(&file, "[[gateway]]\nhost = \"gw\"\ntls = \"compat\"\n").unwrap();
    let out = run(home.path(), &["--config", file.to_str().unwrap(), "config", "check"]);
    let said = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.success(), cfg!(feature = "compat"), "{said}");
    let told = said.contains("needs OpenSSL, and this seacat-proxy was built without");
    assert_eq!(told, !cfg!(feature = "compat"), "{said}");
}
