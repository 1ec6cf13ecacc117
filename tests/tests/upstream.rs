//! Out through a corporate proxy: a real squid with Basic authentication.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a scenario fails where it cannot go on, and says what it measured"
)]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use seacat_tests::{
    Gateway, Host, Origin, Proxy, SQUID_USER, Squid, clean_command, for_proxy, free_port, scratch,
    wait_for,
};
use serde_json::Value;

/// A dial has 20 s for everything; a busy machine gets some more.
const CONNECT_LIMIT: Duration = Duration::from_secs(25);

struct Scenario {
    origin: Origin,
    gateway: Gateway,
    home: tempfile::TempDir,
}

impl Scenario {
    fn begin() -> Self {
        let origin = Origin::start();
        let host = Host { name: "origin", port: origin.port(), tunnel: false };
        Self { gateway: Gateway::start(&[host]), origin, home: scratch() }
    }

    /// A private file with one line.
    fn credentials(&self, line: &str) -> PathBuf {
        let path = self.home.path().join("credentials");
        fs::write(&path, line).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// A proxy of ours whose gateway is `localhost:PORT` and whose upstream is at `proxy`.
    fn start(&self, port: u16, proxy: u16, credentials: Option<&str>) -> Proxy {
        let credentials = credentials.map(|line| self.credentials(line));
        let file = credentials
            .map_or(String::new(), |path| format!("credentials_file = \"{}\"\n", for_proxy(&path)));
        let lines = format!("[upstream]\nproxy = \"http://127.0.0.1:{proxy}\"\n{file}\n");
        Proxy::configured("origin", &(lines + &self.gateway(port)), &[])
    }

    fn gateway(&self, port: u16) -> String {
        let ca = self.gateway.ca();
        format!(
            "[[gateway]]\nhost = \"localhost\"\nport = {port}\nca_file = \"{}\"\n",
            for_proxy(&ca)
        )
    }

    /// The main job, with curl: a download and an upload, through everything.
    fn main_job(&self, proxy: &Proxy) {
        let url = proxy.url();
        let curl = |arguments: &[&str]| {
            let mut command = clean_command("curl", &proxy.home());
            let done = command.args(["-sSf", "-x", &url]).args(arguments).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        curl(&["http://origin.seacat/echo"]);
        curl(&["--data-binary", "@config.toml", "http://origin.seacat/echo"]);
        assert_eq!(self.origin.take_seen().len(), 2);
    }
}

/// Waits until it has failed, within the connect limit; the error is in a client's response as
/// well.
fn failed(proxy: &Proxy, began: Instant) -> Value {
    let status = wait_for("a verdict", CONNECT_LIMIT, || {
        let status = proxy.status();
        status["failure"]["code"].is_string().then_some(status)
    });
    let failure = &status["failure"];
    println!(
        "after {:.1} s: {} ({})",
        began.elapsed().as_secs_f64(),
        failure["message"].as_str().unwrap(),
        failure["code"].as_str().unwrap(),
    );
    let answer = proxy.client().get("http://origin.seacat/echo").unwrap();
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains(failure["code"].as_str().unwrap()), "{}", answer.text());
    status
}

#[test]
fn the_main_job_through_squid() {
    let scenario = Scenario::begin();
    let squid = Squid::start();
    let port = scenario.gateway.port();
    let mut proxy = scenario.start(port, squid.port(), Some(SQUID_USER));
    let status = proxy.wait_for_state("connected", CONNECT_LIMIT);
    println!("{}", status["sentence"].as_str().unwrap());
    assert_eq!(status["through"], format!("127.0.0.1:{}", squid.port()));
    scenario.main_job(&proxy);
    let home = proxy.home();
    let tested = Proxy::command(&home)
        .args(["--config", "config.toml", "gateway", "test"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&tested.stdout);
    println!("{said}");
    assert!(tested.status.success() && said.contains("lets us through"), "{said}");
    // squid writes its line when the tunnel ends.
    proxy.process().kill();
    let asked = format!("200 CONNECT localhost:{port} ann");
    wait_for("squid's line", CONNECT_LIMIT, || squid.requests().contains(&asked).then_some(()));
    let log = proxy.process().log();
    assert!(!log.contains("horse"), "a secret in the log: {log}");
}

#[test]
fn the_proxy_of_the_environment_and_whom_it_is_not_for() {
    let scenario = Scenario::begin();
    let squid = Squid::start();
    let lines = format!(
        "[upstream]\nproxy = \"environment\"\n\n{}",
        scenario.gateway(scenario.gateway.port())
    );
    let url = format!("http://{}@127.0.0.1:{}", SQUID_USER.replace(' ', "%20"), squid.port());
    let through = Proxy::configured("origin", &lines, &[("https_proxy", &url)]);
    let status = through.wait_for_state("connected", CONNECT_LIMIT);
    assert_eq!(status["through"], format!("127.0.0.1:{}", squid.port()));
    scenario.main_job(&through);

    let variables = [("https_proxy", url.as_str()), ("no_proxy", "example.com, localhost")];
    let straight = Proxy::configured("origin", &lines, &variables);
    let status = straight.wait_for_state("connected", CONNECT_LIMIT);
    assert_eq!(status["through"], Value::Null);
    scenario.main_job(&straight);
}

#[test]
fn errors_are_reported() {
    let scenario = Scenario::begin();
    let mut squid = Squid::start();
    let (port, closed) = (scenario.gateway.port(), free_port());
    let right = Some(SQUID_USER);
    let cases = [
        (port, squid.port(), Some("ann:wrong"), "SC-PROXY-PASSWORD", "stopped", "offers Basic"),
        (port, squid.port(), None, "SC-PROXY-AUTH", "stopped", "offers Basic"),
        (port, closed, right, "SC-PROXY-UNREACHABLE", "waiting", "refused the connection"),
        (closed, squid.port(), right, "SC-PROXY-REFUSED", "waiting", "503 Service Unavailable"),
    ];
    for (gateway, proxy, credentials, code, state, words) in cases {
        let began = Instant::now();
        let proxy = scenario.start(gateway, proxy, credentials);
        let status = failed(&proxy, began);
        assert_eq!(status["failure"]["code"], code);
        assert_eq!(status["state"], state);
        let message = status["failure"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{message}");
    }

    // The proxy's machine accepts the connection and does not answer.
    squid.process().signal("STOP");
    let began = Instant::now();
    let proxy = scenario.start(port, squid.port(), right);
    assert_eq!(failed(&proxy, began)["failure"]["code"], "SC-TIMED-OUT");
    drop(proxy);
    squid.process().signal("CONT");
}

#[test]
fn a_password_in_the_configuration_is_refused_and_not_repeated() {
    let home = scratch();
    let lines = "[upstream]\nproxy = \"http://ann:opensesame@proxy.corp:3128\"\n";
    fs::write(home.path().join("config.toml"), lines).unwrap();
    let done = Proxy::command(home.path())
        .args(["--config", "config.toml", "config", "check"])
        .output()
        .unwrap();
    let said = [done.stdout, done.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    println!("{said}");
    assert!(!done.status.success() && said.contains("upstream.credentials_file"), "{said}");
    assert!(!said.contains("opensesame"), "{said}");
}

/// A listener that is not used would be a closed port; this one keeps quiet about why it hangs up.
#[test]
fn a_proxy_that_hangs_up_is_no_gateway() {
    let scenario = Scenario::begin();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let began = Instant::now();
    let proxy = scenario.start(scenario.gateway.port(), port, None);
    assert_eq!(failed(&proxy, began)["failure"]["code"], "SC-PROXY-ANSWER");
}
