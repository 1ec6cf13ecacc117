//! What the window asks of the running program, over its control socket: forms, the first run, the
//! built-in gateway, tests. Lines of JSON as any program would write them.
#![cfg(unix)]
// Helpers of tests are tests, which the lint does not know.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use seacat_gateway::Demo;
use serde_json::{Value, json};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_seacat-proxy");

/// Waiting for a state: each look is a question on the socket.
const PATIENCE: Duration = Duration::from_secs(30);

/// A home with the program running in it.
struct Running {
    home: TempDir,
    child: Child,
    socket: PathBuf,
}

fn program(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SEACAT_PROXY_")) {
        command.env_remove(name);
    }
    command.args(args).env("SEACAT_PROXY_STATE_DIR", home.join("state"));
    command.env("XDG_CONFIG_HOME", home.join("config")).env("HOME", home);
    command.env("SEACAT_PROXY_CONFIG", home.join("config.toml"));
    command
}

fn launch(home: &Path) -> Child {
    let mut child =
        program(home, &["run"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let announced = lines.map(Result::unwrap).any(|line| line == "Press Ctrl-C to stop.");
    assert!(announced, "it did not start");
    child
}

impl Running {
    fn start(configuration: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("config.toml"), configuration).unwrap();
        let child = launch(home.path());
        let paths = program(home.path(), &["config", "path"]).output().unwrap().stdout;
        let paths = String::from_utf8(paths).unwrap();
        let socket = paths.lines().find_map(|line| line.strip_prefix("control")).unwrap();
        Self { socket: socket.trim().into(), home, child }
    }

    fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = launch(self.home.path());
    }

    /// Everything that is answered to one request, up to the first answer that is no step.
    fn stream(&self, request: &Value) -> Vec<Value> {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        let mut line = request.clone();
        line["v"] = json!(1);
        writeln!(stream, "{line}").unwrap();
        let mut answers = Vec::new();
        for line in BufReader::new(stream).lines() {
            let answer: Value = serde_json::from_str(&line.unwrap()).unwrap();
            let is_step = answer["is"] == "step";
            answers.push(answer);
            if !is_step {
                return answers;
            }
        }
        panic!("it ended after {answers:?}");
    }

    fn ask(&self, request: &Value) -> Value {
        self.stream(request).pop().unwrap()
    }

    fn save(&self, values: &Value) -> Value {
        self.ask(&json!({ "do": "save_settings", "change": { "values": values } }))
    }

    fn first_run(&self) -> Value {
        self.ask(&json!({ "do": "first_run" }))["first_run"].clone()
    }

    fn status(&self) -> Value {
        self.ask(&json!({ "do": "status" }))["status"].clone()
    }

    fn until(&self, what: &str, look: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let status = self.status();
            if look(&status) {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "no {what}: {status:#}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.status()["proxy"][0].as_str().unwrap()).unwrap()
    }

    fn get(&self, host: &str) -> String {
        let mut stream = self.connect();
        write!(stream, "GET http://{host}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    }

    fn file(&self) -> String {
        fs::read_to_string(self.home.path().join("config.toml")).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A real gateway on a thread of its own: its port and its CA.
fn gateway() -> (u16, String) {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let demo = Demo::start().unwrap();
            tell.send((demo.addr.port(), demo.ca_pem.clone())).unwrap();
            std::future::pending::<()>().await;
            drop(demo);
        });
    });
    told.recv().unwrap()
}

/// The beginning of every configuration here: no key store in a test, the file is always there.
const BASIC: &str =
    "# about the port\n[proxy]\nport = 0 # any\n\n[identity]\nkey_store = \"file\"\n";

#[test]
fn a_port_moves_while_a_request_runs_and_nothing_is_saved_half() {
    let running = Running::start(BASIC);
    assert_eq!(running.ask(&json!({ "do": "use_builtin_gateway", "on": true }))["is"], "done");
    running.until("connection", |it| it["state"] == "connected");
    let old = running.status()["proxy"][0].as_str().unwrap().to_owned();

    let mut download = running.connect();
    write!(download, "GET http://download/20M HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut got = vec![0; 100_000];
    download.read_exact(&mut got).unwrap();

    let wrong = running.save(&json!({ "proxy.port": "8o80", "log.level": "debug" }));
    assert_eq!(wrong["is"], "checked", "{wrong}");
    assert_eq!(wrong["problems"][0]["field"], "proxy.port");
    assert_eq!(running.file(), BASIC, "nothing is written");

    let port = free_port();
    let saved = running.save(&json!({ "proxy.port": port.to_string(), "log.level": "debug" }));
    assert_eq!(saved, json!({ "v": 1, "is": "saved", "restart_for": [] }));
    let file = running.file();
    assert!(
        file.contains("# about the port") && file.contains(&format!("port = {port} # any")),
        "{file}"
    );
    let status = running.status();
    assert_eq!(status["proxy"][0], format!("127.0.0.1:{port}"));
    assert!(TcpStream::connect(&old).is_err(), "the old port is closed");
    assert_eq!(running.get("hello.seacat"), "HTTP/1.1 200 OK");

    download.read_to_end(&mut got).unwrap();
    let head = got.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
    assert_eq!(got.len() - head - 4, 20 << 20, "the download is whole");

    // Somebody takes the port that is wanted: everything stays as it is.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken_port = taken.local_addr().unwrap().port();
    let refused = running.save(&json!({ "proxy.port": taken_port }));
    assert_eq!(refused["problems"][0]["code"], "port_taken", "{refused}");
    assert_eq!(running.file(), file);
    assert_eq!(running.get("hello.seacat"), "HTTP/1.1 200 OK");
}

#[test]
fn a_first_run_from_the_built_in_gateway_to_a_real_one_and_back() {
    let mut running = Running::start(BASIC);
    running.until("no gateway", |it| it["failure"]["code"] == "SC-NO-GATEWAY");
    let first = running.first_run();
    assert_eq!((&first["due"], &first["step"]), (&json!(true), &json!("gateway")), "{first}");
    assert_eq!(running.ask(&json!({ "do": "use_builtin_gateway", "on": true }))["is"], "done");
    assert_eq!(running.first_run()["step"], "address");
    let unknown = running.ask(&json!({ "do": "test_request", "host": "nosuch" }));
    assert_eq!(unknown["finding"]["code"], "SC-HOST-UNKNOWN", "{unknown}");
    assert_eq!(running.first_run()["request_seen"], false, "nothing that works was seen");
    let steps = running.stream(&json!({ "do": "diagnose" }));
    assert_eq!(steps.last().unwrap()["finding"]["code"], "SC-HOST-UNKNOWN", "{steps:#?}");
    assert_eq!(running.first_run()["request_seen"], false, "a diagnosis is no application");
    running.restart();
    running.until("connection", |it| it["state"] == "connected");
    assert_eq!(running.first_run()["step"], "address", "it is gone on with");
    let tested = running.ask(&json!({ "do": "test_request" }));
    assert_eq!((&tested["status"], &tested["host"]), (&json!(200), &json!("hello")), "{tested}");
    assert_eq!(tested["finding"], Value::Null);
    assert_eq!(running.first_run()["step"], "done", "a person has seen a request go through");

    let (port, ca) = gateway();
    let typed = json!({ "host": "localhost", "port": port.to_string(), "ca_pem": ca });
    let steps = running.stream(&json!({ "do": "test_gateway", "gateway": typed }));
    assert_eq!(steps.last().unwrap()["ok"], true, "{steps:#?}");
    let ids: Vec<_> = steps
        .iter()
        .filter(|it| it["step"]["state"] == "ok")
        .map(|it| it["step"]["id"].clone())
        .collect();
    assert_eq!(ids, ["dns", "tcp", "tls", "issuer", "seacat", "clock"]);
    let nowhere = json!({ "host": "localhost", "port": free_port() });
    let steps = running.stream(&json!({ "do": "test_gateway", "gateway": nowhere }));
    assert_eq!(steps.last().unwrap()["finding"]["code"], "SC-TCP-REFUSED");

    assert_eq!(running.ask(&json!({ "do": "use_builtin_gateway", "on": false }))["is"], "done");
    let saved = running.save(&json!({ "gateway": [typed] }));
    assert_eq!(saved["restart_for"], json!([]), "{saved}");
    let there = |it: &Value| it["state"] == "connected" && it["identity"]["state"] == "enrolled";
    let status = running.until("certificate", there);
    assert_eq!((&status["demo"], &status["gateway"]), (&json!(false), &json!("localhost")));
    assert_eq!(running.get("hello.seacat"), "HTTP/1.1 200 OK");

    let settings = running.ask(&json!({ "do": "settings" }));
    let settings = &settings["settings"];
    assert_eq!(settings["values"]["gateway"]["value"][0]["port"], port);
    assert_eq!(settings["values"]["gateway"]["origin"], "file");
    assert_eq!(settings["authorities"][0]["problem"], Value::Null);
    assert!(settings["authorities"][0]["fingerprint"].as_str().unwrap().contains(':'));

    let steps = running.stream(&json!({ "do": "diagnose", "host": "hello" }));
    assert_eq!(steps.last().unwrap()["finding"]["code"], "SC-OK", "{steps:#?}");

    assert_eq!(running.ask(&json!({ "do": "use_builtin_gateway", "on": true }))["is"], "done");
    let status =
        running.until("built-in gateway", |it| it["state"] == "connected" && it["demo"] == true);
    assert_eq!(status["identity"], Value::Null);
    assert_eq!(running.get("hello.seacat"), "HTTP/1.1 200 OK");
    assert_eq!(running.ask(&json!({ "do": "use_builtin_gateway", "on": false }))["is"], "done");
    running.until("certificate", there);

    assert_eq!(running.ask(&json!({ "do": "first_run_done" }))["first_run"]["due"], false);
    running.restart();
    assert_eq!(running.first_run()["due"], false);
}

#[test]
fn the_command_line_can_do_what_the_window_can() {
    let running = Running::start(BASIC);
    let (port, ca) = gateway();
    let ca_file = running.home.path().join("ca.pem");
    fs::write(&ca_file, ca).unwrap();
    let gateway = format!("localhost:{port}");
    let run = |args: &[&str]| {
        let done = program(running.home.path(), args).output().unwrap();
        let said = [done.stdout, done.stderr].concat();
        (done.status.code(), String::from_utf8(said).unwrap())
    };
    let (code, said) = run(&["gateway", "add", &gateway, "--ca-file", "/does/not/exist"]);
    assert_eq!(code, Some(3), "{said}");
    let (code, said) = run(&[
        "gateway",
        "add",
        &gateway,
        "--name",
        "ours",
        "--ca-file",
        ca_file.to_str().unwrap(),
    ]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("saved and applied"), "{said}");
    running.until("connection", |it| it["gateway"] == "ours" && it["state"] == "connected");
    let (_, said) = run(&["gateway", "list"]);
    assert!(said.starts_with("ours ") && said.contains(&port.to_string()), "{said}");
    let (code, said) = run(&["diagnose", "--host", "hello"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("hello answered 200") && said.contains("\nSC-OK\n"), "{said}");

    // The text for support: what helps is in it, and the key is not.
    running.until("certificate", |it| it["identity"]["state"] == "enrolled");
    let (code, bundle) = run(&["support-bundle", "-"]);
    assert_eq!(code, Some(0), "{bundle}");
    assert!(bundle.contains("=== settings") && bundle.contains("SC-OK"), "{bundle}");
    let key =
        fs::read(running.home.path().join(format!("state/identities/localhost,{port}/key.pk8")))
            .unwrap();
    let (whole, hex) = (BASE64.encode(&key), hex(&key));
    // In the middle are the secret numbers; base64 comes out in three ways, by where it begins.
    for start in [key.len() / 2, key.len() / 2 + 1, key.len() / 2 + 2] {
        let piece = BASE64.encode(&key[start..start + 24]);
        assert!(!bundle.contains(&piece), "a piece of the key is in the bundle");
    }
    assert!(!bundle.contains(&whole) && !bundle.contains(&hex[hex.len() / 2..][..48]), "the key");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
