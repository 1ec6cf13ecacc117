//! Networks that change, as a laptop meets them: three network namespaces and real processes.
//!
//! ```text
//!   laptop ── a (10.1.0.0/24) ──┐
//!     proxy, clients            ├── router: NAT, filters, portals ── 10.9.0.0/24 ── server
//!          └─ b (10.2.0.0/24) ──┘                                                    gateway, origin, DNS
//! ```
//!
//! Each row of [`rows::ROWS`] has a topology of its own, and several run at one time. For a row this
//! program starts itself again in the laptop's namespace, so that its clients are there. It needs
//! root and the programs `ip`, `nft` and `nginx`; `cargo xtask test` reports where that is not given.
//! `SEACAT_NETWORK_ROWS` selects the rows whose names hold its value.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a story fails where it cannot go on, and says what it measured"
)]

mod players;
mod probes;
mod rows;
mod topology;

use std::process::Command;
use std::sync::Mutex;
use std::thread;

use rows::{ROWS, Row};
use seacat_tests::succeed;
use topology::{LAPTOP, Topology};

/// Rows at one time. They mostly wait; more would keep each other from the processors.
const AT_ONCE: usize = 4;

/// Which rows run, by a part of their names.
const WANTED: &str = "SEACAT_NETWORK_ROWS";

/// Set for the copy in a laptop's namespace: what the namespaces' names end with, and the row.
const SUFFIX: &str = "SEACAT_NETWORK_SUFFIX";
const ROW: &str = "SEACAT_NETWORK_ROW";

#[test]
fn the_network_table() {
    if let (Ok(suffix), Ok(name)) = (std::env::var(SUFFIX), std::env::var(ROW)) {
        let row = ROWS.iter().find(|row| row.name == name).expect("a row's name");
        return row.run(&Topology::existing(&suffix));
    }
    let wanted = std::env::var(WANTED).unwrap_or_default();
    let rows: Vec<&Row> = ROWS.iter().filter(|row| row.name.contains(&wanted)).collect();
    assert!(!rows.is_empty(), "no row's name holds {wanted}");
    // Fails here, and says what is missing, where there can be no namespaces.
    succeed(Command::new("unshare").args(["--net", "nft", "list", "tables"]));
    let failed = Mutex::new(Vec::new());
    let next = Mutex::new(rows.into_iter());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(row) = next.lock().unwrap().next() else { return };
                    if !apart(row) {
                        failed.lock().unwrap().push(row.name);
                    }
                }
            });
        }
    });
    assert_eq!(failed.into_inner().unwrap(), [""; 0]);
}

/// Runs a row in a topology of its own; whether it holds.
fn apart(row: &Row) -> bool {
    let topology = Topology::create();
    let mut copy = topology.command(LAPTOP, std::env::current_exe().unwrap());
    copy.args(["--exact", "the_network_table", "--nocapture"]);
    copy.env(SUFFIX, topology.suffix()).env(ROW, row.name);
    let done = copy.output().expect("the copy starts");
    let said = [&done.stdout[..], &done.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said);
    if done.status.success() {
        said.lines().filter(|line| line.starts_with(row.name)).for_each(|line| println!("{line}"));
    } else {
        println!("{} FAILED:\n{said}", row.name);
    }
    done.status.success()
}

/// Not a test of its own: the processes of the server's namespace, see [`players`].
#[test]
fn player() {
    players::play();
}
