//! On this computer: the port, and whether a proxy runs.

use std::fs;
use std::net::TcpListener;

use seacat_tests::{Gateway, scratch};

use crate::table::{Table, alone, diagnose, gateway, home};

#[test]
fn the_port_and_the_program() {
    let mut table = Table::default();
    let there = Gateway::start(&[]);
    let good = gateway("localhost", there.port(), &there.ca(), "");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let folder = scratch();
    fs::write(folder.path().join("config.toml"), format!("proxy.port = {port}\n{good}")).unwrap();
    let owner = format!("process {}", std::process::id());
    let words = [owner.as_str(), "config set proxy.port"];
    table.row("the port is taken", "SC-PORT-TAKEN", &words, &diagnose(folder.path()));

    table.row(
        "no proxy runs, all else is well",
        "SC-NOT-RUNNING",
        &["PING answered"],
        &alone(&good),
    );
    table.row("no gateway is configured", "SC-NOT-RUNNING", &["brings its own"], &alone(""));
    // A CA file that is not there is a fault of the settings, and said so.
    let lost = good.replace("ca.pem", "lost.pem");
    table.row(
        "the CA file is gone",
        "SC-GATEWAY-CONFIG",
        &["lost.pem"],
        &diagnose(home(&lost).path()),
    );
}
