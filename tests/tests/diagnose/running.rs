//! With a running proxy: identity, host, disconnected by the user, and no problem.

use std::fs;
use std::process::Command;
use std::time::Duration;

use seacat_tests::{Gateway, Host, Installation, Origin, Proxy, wait_for};

use crate::table::{Said, Table};

/// The client asks every ten seconds whether it is approved; a busy machine gets some more.
const PATIENCE: Duration = Duration::from_secs(60);

const MANUAL: &str = "\n[identity]\nenroll = \"manual\"\nkey_store = \"file\"\n";

fn ask(command: &mut Command) -> Said {
    Said::by(command.args(["diagnose", "--json", "--host"]).arg("origin"))
}

#[test]
fn the_identity() {
    let mut table = Table::default();
    let origin = Origin::start();
    let host = Host { name: "origin", port: origin.port(), tunnel: false };
    let gateway = Gateway::start_enrolling(&[host]);
    let mut here = Installation::new(&gateway, MANUAL);
    here.start();
    wait_for("a connection", PATIENCE, || here.run(&["status"]).status.success().then_some(()));
    let look = |here: &Installation| ask(&mut here.command(&[]));
    here.wait_for_state("no_key", PATIENCE);
    table.row("not enrolled", "SC-NOT-ENROLLED", &["seacat-proxy enroll"], &look(&here));

    here.expect(0, &["enroll"]);
    let waiting = here.wait_for_state("waiting", PATIENCE);
    let tag = waiting["client_tag"].as_str().unwrap();
    let said = look(&here);
    table.row(
        "waiting for approval",
        "SC-WAITING-FOR-APPROVAL",
        &[tag, "for enrolled computers alone"],
        &said,
    );
    gateway.command(&["reject", tag]);
    here.wait_for_state("rejected", PATIENCE);
    table.row("rejected", "SC-REJECTED", &[tag], &look(&here));

    gateway.command(&["approve", tag]);
    here.expect(0, &["enroll"]);
    here.wait_for_state("enrolled", PATIENCE * 2);
    wait_for("a connection", PATIENCE, || here.run(&["status"]).status.success().then_some(()));
    table.row("enrolled, and all well", "SC-OK", &["origin answered 200"], &look(&here));
    gateway.command(&["revoke", tag]);
    here.wait_for_state("revoked", PATIENCE);
    table.row("revoked", "SC-REVOKED", &[tag], &look(&here));
}

#[test]
fn hosts_and_disconnecting() {
    let mut table = Table::default();
    let origin = Origin::start();
    let host = Host { name: "origin", port: origin.port(), tunnel: false };
    let mut gateway = Gateway::start(&[host]);
    let off = "\n[identity]\nenroll = \"off\"\n";
    let proxy = Proxy::start_with(gateway.port(), &gateway.ca(), "origin", off);
    let command = |arguments: &[&str]| {
        let mut command = Proxy::command(&proxy.home());
        command.args(["--config", "config.toml"]).args(arguments);
        command
    };
    proxy.wait_for_state("connected", PATIENCE);
    // Nobody said which host: the mapped one is known.
    let said = Said::by(command(&[]).args(["diagnose", "--json"]));
    table.row("all well", "SC-OK", &["listens on", "PING answered", "origin answered"], &said);
    let said = Said::by(command(&[]).args(["diagnose", "--json", "--host", "nobody"]));
    table.row("a host unknown at the gateway", "SC-HOST-UNKNOWN", &["nobody"], &said);
    assert!(command(&["disconnect"]).status().unwrap().success());
    proxy.wait_for_state("off", PATIENCE);
    table.row(
        "disconnected on purpose",
        "SC-OFF",
        &["seacat-proxy connect"],
        &ask(&mut command(&[])),
    );
    gateway.process().kill();
    assert!(command(&["connect"]).status().unwrap().success());
    table.row(
        "the gateway has died",
        "SC-TCP-REFUSED",
        &["the proxy is not connected"],
        &ask(&mut command(&[])),
    );
    drop(table);

    let text = command(&["diagnose"]).output().unwrap();
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    println!("{text}");
    assert!(text.contains("FAILED: ") && text.contains("\nSC-TCP-REFUSED\n"), "{text}");
    bundle(&proxy, &mut command(&["support-bundle", "bundle.txt"]));
}

/// What is sent to support holds what helps and nothing of what must not leave.
fn bundle(proxy: &Proxy, command: &mut Command) {
    assert!(command.status().unwrap().success());
    let text = fs::read_to_string(proxy.home().join("bundle.txt")).unwrap();
    for words in ["=== status", "=== diagnosis", "=== settings", "=== log", "SC-TCP-REFUSED"] {
        assert!(text.contains(words), "{words} is missing in {text}");
    }
    println!("the support bundle has {} KiB", text.len() / 1024);
}
