//! Two gateways of one company, which keep their clients in one PostgreSQL database, behind a load
//! balancer: what one does the other knows, and a database that is lost stops no enrolled client.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a scenario fails where it cannot go on, and says what it measured"
)]

use std::fs;
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use seacat_tests::{Balancer, Gateway, Host, Origin, Postgres, Proxy, wait_for};
use serde_json::Value;

/// A client that got no reply to its request sends it again after a minute; a busy machine gets more.
const PATIENCE: Duration = Duration::from_secs(100);

const IDENTITY: &str = "\n[identity]\nenroll = \"auto\"\nkey_store = \"file\"\n";

struct Fleet {
    postgres: Postgres,
    gateways: [Gateway; 2],
    balancer: Balancer,
    _origin: Origin,
}

impl Fleet {
    fn start() -> Self {
        let postgres = Postgres::start();
        let origin = Origin::start();
        let hosts = [Host { name: "origin", port: origin.port(), tunnel: false }];
        let rules = format!("mode = \"pending\"\nvalidity = 3600\n{}", postgres.settings());
        let first = Gateway::enrolling(&hosts, &rules);
        let second = Gateway::enrolling(&hosts, &rules);
        // One certificate and one client CA, as gateways behind one name have.
        for file in ["ca.pem", "server.pem", "server.key", "client-ca.pem", "client-ca.key"] {
            fs::copy(first.folder().join(file), second.folder().join(file)).unwrap();
        }
        let gateways = [first.started(), second.started()];
        let balancer = Balancer::start(gateways[0].port());
        Self { postgres, gateways, balancer, _origin: origin }
    }

    fn client(&self) -> Proxy {
        Proxy::start_with(self.balancer.port(), &self.gateways[0].ca(), "origin", IDENTITY)
    }

    fn switch_to(&self, gateway: usize) {
        self.balancer.switch(self.gateways[gateway].port());
    }

    fn administer(&self, gateway: usize, arguments: &[&str]) -> Output {
        self.gateways[gateway].administer(arguments, &[])
    }
}

fn identity(proxy: &Proxy) -> Value {
    let mut command = Proxy::command(&proxy.home());
    let done =
        command.args(["--config", "config.toml", "identity", "show", "--json"]).output().unwrap();
    serde_json::from_slice(&done.stdout).unwrap_or_default()
}

fn wait_for_identity(proxy: &Proxy, state: &str) -> Value {
    wait_for(&format!("the identity {state}"), PATIENCE, || {
        thread::sleep(Duration::from_millis(100));
        let seen = identity(proxy);
        (seen["state"] == state).then_some(seen)
    })
}

fn wait_for_status(proxy: &Proxy, status: u16) -> Duration {
    let began = Instant::now();
    wait_for(&format!("an answer {status}"), PATIENCE, || {
        let got = proxy.client().get("http://origin.seacat/echo").ok()?.status;
        (got == status).then_some(())
    });
    began.elapsed()
}

fn tag(identity: &Value) -> String {
    identity["client_tag"].as_str().unwrap().to_owned()
}

#[test]
fn what_one_gateway_decides_the_other_knows() {
    let fleet = Fleet::start();
    let proxy = fleet.client();
    let me = tag(&wait_for_identity(&proxy, "waiting"));

    let pending = fleet.gateways[1].command(&["pending"]);
    assert!(pending.contains(&me), "the other gateway lists who waits: {pending}");
    fleet.gateways[1].command(&["approve", &me]);
    wait_for_identity(&proxy, "enrolled");
    wait_for_status(&proxy, 200);

    // A good answer right after the change of gateway: the certificate is known there.
    for gateway in [1, 0, 1] {
        fleet.switch_to(gateway);
        println!("gateway {gateway} serves after {:?}", wait_for_status(&proxy, 200));
    }

    // Revoked at the first gateway, it is served by the second no more.
    fleet.gateways[0].command(&["revoke", &me]);
    let took = wait_for_status(&proxy, 403);
    println!("a revocation at one gateway ends service at the other after {took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");

    fleet.gateways[0].command(&["approve", &me]);
    wait_for_status(&proxy, 200);
}

#[test]
fn a_lost_database_stops_no_enrolled_client() {
    let mut fleet = Fleet::start();
    let enrolled = fleet.client();
    let me = tag(&wait_for_identity(&enrolled, "waiting"));
    fleet.gateways[0].command(&["approve", &me]);
    wait_for_identity(&enrolled, "enrolled");
    wait_for_status(&enrolled, 200);

    fleet.postgres.crash();
    // Both gateways have read the client's record, so both know it on a new connection.
    for gateway in [1, 0] {
        fleet.switch_to(gateway);
        println!("without a database, gateway {gateway}: {:?}", wait_for_status(&enrolled, 200));
    }
    let refused = fleet.administer(0, &["revoke", &me]);
    assert!(!refused.status.success(), "a change needs the database");
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("the client database"), "{why}");

    let newcomer = fleet.client();
    assert_eq!(wait_for_status(&newcomer, 403).as_secs() / 60, 0);
    fleet.postgres.restart();
    let other = tag(&wait_for_identity(&newcomer, "waiting"));
    wait_for("the newcomer on the list", PATIENCE, || {
        let listed = fleet.administer(1, &["pending"]);
        String::from_utf8_lossy(&listed.stdout).contains(&other).then_some(())
    });
    fleet.gateways[1].command(&["revoke", &me]);
    wait_for_status(&enrolled, 403);
}

/// The server is ended in the middle of changes, again and again. What was acknowledged stands, and
/// what was not is the old or the new state.
#[test]
fn no_acknowledged_change_is_lost_when_the_database_crashes() {
    const CRASHES: u64 = 8;
    let mut fleet = Fleet::start();
    let proxy = fleet.client();
    let me = tag(&wait_for_identity(&proxy, "waiting"));
    fleet.gateways[0].command(&["approve", &me]);
    let mut changes = 0;
    let mut acknowledged = "approved";
    for crash in 0..CRASHES {
        let gateways = &fleet.gateways;
        let postgres = &mut fleet.postgres;
        let last = thread::scope(|scope| {
            let me = &me;
            let changing = scope.spawn(move || {
                let mut state = acknowledged;
                let mut done = 0;
                loop {
                    let (command, next) = match state {
                        "revoked" => ("approve", "approved"),
                        _ => ("revoke", "revoked"),
                    };
                    let output = gateways[done % 2].administer(&[command, me], &[]);
                    if !output.status.success() {
                        return (state, next, done);
                    }
                    state = next;
                    done += 1;
                }
            });
            thread::sleep(Duration::from_millis(150 + 37 * crash));
            postgres.crash();
            changing.join().unwrap()
        });
        fleet.postgres.restart();
        let (before, attempted, done) = last;
        changes += done;
        let listed = wait_for("the list of clients", PATIENCE, || {
            let listed = fleet.administer(0, &["clients"]);
            listed.status.success().then(|| String::from_utf8_lossy(&listed.stdout).into_owned())
        });
        // An approved client may have fetched its certificate meanwhile.
        let stands = |state: &str| match state {
            "approved" => listed.contains("approved") || listed.contains("enrolled until"),
            state => listed.contains(state),
        };
        assert!(stands(before) || stands(attempted), "{before}, then {attempted}: {listed}");
        acknowledged = if listed.contains("revoked") { "revoked" } else { "approved" };
    }
    println!("{changes} changes acknowledged, {CRASHES} crashes of the database");
    assert!(changes > 0);
}
