//! The whole life cycle of an identity, with the gateway as a process, over real TLS: first start,
//! waiting, approved, an identified request, renewal under load, revoked, enrolled again, reset.
//! Most of its time is the minute that passes between two requests for a certificate.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a scenario fails where it cannot go on, and says what it measured"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use seacat_tests::{Gateway, Host, Origin, Proxy, wait_for};
use serde_json::Value;

/// The client asks every ten seconds whether it is approved; a busy machine gets three more.
const PATIENCE: Duration = Duration::from_secs(40);

/// At most one request a minute is sent (docs/identity.md), and the last is not old yet.
const TURN: Duration = Duration::from_secs(100);

/// Certificates live for so many seconds: long enough that the renewal, a third before the end,
/// does not have to wait for its turn.
const LIFE: u32 = 90;

/// No key store in a test: the file is the place that is always there.
const IDENTITY: &str =
    "\n[identity]\nenroll = \"auto\"\nkey_store = \"file\"\ncommon_name = \"Jan\"\n";

struct Scenario {
    began: Instant,
    gateway: Gateway,
    proxy: Proxy,
    origin: Origin,
}

impl Scenario {
    fn begin() -> Self {
        let origin = Origin::start();
        let host = Host { name: "origin", port: origin.port(), tunnel: false };
        let rules = format!("mode = \"pending\"\nvalidity = {LIFE}");
        let gateway = Gateway::enrolling(&[host], &rules).started();
        let proxy = Proxy::start_with(gateway.port(), &gateway.ca(), "origin", IDENTITY);
        Self { began: Instant::now(), gateway, proxy, origin }
    }

    fn log(&self, what: &str) {
        println!("{:6.1} s  {what}", self.began.elapsed().as_secs_f64());
    }

    /// `seacat-proxy …` beside the running one; what it prints.
    fn cli(&self, arguments: &[&str]) -> String {
        let done = Proxy::command(&self.proxy.home())
            .args(["--config", "config.toml"])
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(
            done.status.success(),
            "{arguments:?}: {said}{}",
            String::from_utf8_lossy(&done.stderr)
        );
        said
    }

    fn identity(&self) -> Value {
        serde_json::from_str(&self.cli(&["identity", "show", "--json"])).unwrap()
    }

    fn wait_for_state(&self, state: &str) -> Value {
        let seen = wait_for(&format!("the state {state}"), PATIENCE, || {
            thread::sleep(Duration::from_millis(100));
            let seen = self.identity();
            (seen["state"] == state).then_some(seen)
        });
        self.log(seen["sentence"].as_str().unwrap());
        seen
    }

    fn get(&self) -> u16 {
        self.proxy.client().get("http://origin.seacat/echo").unwrap().status
    }

    fn wait_for_status(&self, status: u16) {
        wait_for(&format!("status {status}"), PATIENCE, || {
            thread::sleep(Duration::from_millis(100));
            (self.get() == status).then_some(())
        });
        self.log(&format!("a request is answered {status}"));
    }
}

fn tag(identity: &Value) -> String {
    identity["client_tag"].as_str().unwrap().to_owned()
}

#[test]
fn from_the_first_start_to_a_reset() {
    let scenario = Scenario::begin();
    scenario.log("first start");
    let waiting = scenario.wait_for_state("waiting");
    let me = tag(&waiting);
    scenario.wait_for_status(403);
    let pending = scenario.gateway.command(&["pending"]);
    assert!(pending.contains(&me) && pending.contains("Jan"), "{pending}");

    scenario.gateway.command(&["approve", &me]);
    scenario.log("the administrator approves");
    let enrolled = scenario.wait_for_state("enrolled");
    assert_eq!(tag(&enrolled), me);
    scenario.wait_for_status(200);
    let seen = scenario.origin.take_seen();
    let received = seen.last().unwrap().fields("x-seacat-client-tag").join(" ");
    assert_eq!(received, me, "the back end receives the client's tag");

    renewal_under_load(&scenario, &enrolled);

    scenario.gateway.command(&["revoke", &me]);
    scenario.log("the administrator revokes");
    let revoked = scenario.wait_for_state("revoked");
    assert_eq!(tag(&revoked), me, "the key stays");
    assert!(revoked["sentence"].as_str().unwrap().contains("taken back"), "{revoked}");
    scenario.wait_for_status(403);
    let asked = wait_for("another request", TURN, || {
        thread::sleep(Duration::from_millis(100));
        let pending = scenario.gateway.command(&["pending"]);
        pending.contains(&me).then_some(pending)
    });
    scenario.log("requested another certificate automatically");
    assert!(asked.contains("REVOKED"), "the list marks the revocation: {asked}");
    assert_eq!(scenario.identity()["state"], "revoked");

    scenario.gateway.command(&["approve", &me]);
    scenario.log("the administrator approves");
    let again = scenario.wait_for_state("enrolled");
    assert_eq!(tag(&again), me);
    scenario.wait_for_status(200);

    scenario.cli(&["identity", "reset", "--yes"]);
    scenario.log("reset");
    let fresh = wait_for("another key", PATIENCE, || {
        thread::sleep(Duration::from_millis(100));
        Some(scenario.identity()).filter(|it| it["client_tag"].as_str().is_some_and(|it| it != me))
    });
    scenario.log(fresh["sentence"].as_str().unwrap());
    scenario.wait_for_status(403);
}

/// Tells the clients to stop when it is dropped.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A new certificate means a new connection; requests do not notice.
fn renewal_under_load(scenario: &Scenario, before: &Value) {
    let stop = AtomicBool::new(false);
    let asked: usize = thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = scenario.proxy.client();
                    let mut asked = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let answer = client.get("http://origin.seacat/echo").unwrap();
                        assert_eq!(answer.status, 200, "{}", answer.text());
                        asked += 1;
                    }
                    asked
                })
            })
            .collect();
        // Also when the wait below fails: the clients must not go on for ever.
        let ending = Stop(&stop);
        wait_for("another certificate", TURN, || {
            thread::sleep(Duration::from_millis(100));
            let now = scenario.identity();
            (now["serial"] != before["serial"] && now["state"] == "enrolled").then_some(())
        });
        // And some more on the new connection.
        thread::sleep(Duration::from_millis(500));
        drop(ending);
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    scenario.log(&format!("renewed under load: {asked} requests, none failed"));
    assert!(asked > 100);
}
