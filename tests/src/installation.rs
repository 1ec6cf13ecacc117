//! The proxy as it is installed for one user: a home that outlives its runs, and the command line
//! beside the running program.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::gateway::Gateway;
use crate::http::Client;
use crate::place::{for_proxy, free_port, scratch};
use crate::process::{Process, wait_for};
use crate::proxy::Proxy;

/// How often `identity show` is asked while something is waited for: each time is a process.
const LOOK: Duration = Duration::from_millis(50);

/// A home with a configuration, in which the proxy is started and stopped at will.
#[derive(Debug)]
pub struct Installation {
    process: Option<Process>,
    home: tempfile::TempDir,
    port: u16,
}

impl Installation {
    /// Writes a configuration for `gateway` with `more` at its end; starts nothing.
    pub fn new(gateway: &Gateway, more: &str) -> Self {
        let (home, port) = (scratch(), free_port());
        let configuration = format!(
            "[proxy]\nport = {port}\n\n[[gateway]]\nhost = \"localhost\"\nport = {}\n\
             ca_file = \"{}\"\n{more}",
            gateway.port(),
            for_proxy(&gateway.ca())
        );
        fs::write(home.path().join("config.toml"), configuration).unwrap();
        Self { process: None, home, port }
    }

    /// Starts the proxy and waits until it listens.
    pub fn start(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let command = self.command(&["run"]);
        let mut process = Process::start("seacat-proxy", self.home(), &command);
        process.wait_for_port(self.port);
        self.process = Some(process);
    }

    /// Ends the proxy as Ctrl-C does.
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.signal("INT");
        let status = process.wait_to_end(Duration::from_secs(20));
        assert!(status.success(), "{}", process.log());
    }

    /// The running proxy.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it runs")
    }

    /// The user's home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// `seacat-proxy …` in this home.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Proxy::command(self.home());
        command.args(["--config", "config.toml"]).args(arguments);
        command
    }

    /// Runs a command to its end, however it ends.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("seacat-proxy starts")
    }

    /// Runs a command that must end with this exit code; both its outputs.
    pub fn expect(&self, code: i32, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {said}");
        said
    }

    /// `identity show --json`.
    pub fn identity(&self) -> Value {
        let done = self.run(&["identity", "show", "--json"]);
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "identity show: {said}");
        serde_json::from_slice(&done.stdout).unwrap()
    }

    /// Waits until `identity show` satisfies `look`; what it showed then, and after how long.
    pub fn wait_for_identity(
        &self,
        what: &str,
        limit: Duration,
        look: impl Fn(&Value) -> bool,
    ) -> (Value, Duration) {
        let began = Instant::now();
        let mut last = Value::Null;
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for(what, limit, || {
                thread::sleep(LOOK);
                last = self.identity();
                look(&last).then(|| last.clone())
            })
        }));
        match found {
            Ok(found) => (found, began.elapsed()),
            Err(_) => panic!("waited {limit:?} for {what}; last: {last:#}"),
        }
    }

    /// Waits for a state by its name.
    pub fn wait_for_state(&self, state: &str, limit: Duration) -> Value {
        self.wait_for_identity(&format!("the state {state}"), limit, |it| it["state"] == state).0
    }

    /// The status of a GET through the proxy.
    pub fn get(&self, url: &str) -> u16 {
        let mut client = Client::connect(self.port).expect("the proxy accepts connections");
        client.get(url).expect("an answer").status
    }
}
