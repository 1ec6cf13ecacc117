//! Old and everyday applications, each as its user would start it, against real servers behind one
//! gateway. The servers are started once; the clients run side by side.
//!
//! `SEACAT_CLIENT=NAME` runs only the rows whose name contains NAME.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a story fails where it cannot go on, and says what it measured"
)]

mod backends;
mod clients;
mod servers;

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use seacat_tests::{
    Gateway, Proxy, node_modules, program_folder, python_with_packages, scratch, user_command,
};

use clients::{CLIENTS, Row};
use servers::Servers;

/// Clients at one time: most of them wait for the disk or start a virtual machine.
const AT_ONCE: usize = 3;

/// For one client, in seconds. Maven takes ten on a busy machine.
const LIMIT: &str = "120";

#[test]
fn everyday_clients_and_servers() {
    let servers = Servers::start();
    let gateway = Gateway::start(&servers.hosts());
    let proxy = Proxy::start(gateway.port(), &gateway.ca(), "chat");
    let wanted = std::env::var("SEACAT_CLIENT").unwrap_or_default();
    let rows: Vec<&Row> = CLIENTS.iter().filter(|row| row.name.contains(&wanted)).collect();
    let next = AtomicUsize::new(0);
    let faults = Mutex::new(Vec::new());
    let work = || {
        while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
            faults.lock().unwrap().extend(run(row, &proxy));
        }
    };
    thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
    let mut faults = faults.into_inner().unwrap();
    let journal = servers.journal();
    for row in &rows {
        let missing = row.arrives.iter().filter(|line| !journal.contains(**line));
        faults.extend(missing.map(|line| format!("{}: no server has seen {line:?}", row.name)));
    }
    assert!(faults.is_empty(), "{}\n--- what the servers saw:\n{journal}", faults.join("\n"));
    println!("{} clients", rows.len());
}

/// Runs one client to its end; what was wrong with it.
fn run(row: &Row, proxy: &Proxy) -> Option<String> {
    let began = Instant::now();
    let home = scratch();
    let mut command: Command = user_command("timeout", home.path());
    command.args([LIMIT, "sh", "-euc", row.line]).stdin(Stdio::null());
    command.env("http_proxy", proxy.url());
    command.env("PROXY_PORT", proxy.port().to_string());
    command.env("MAPPED_PORT", proxy.mapped_port().to_string());
    command.env("PROGRAMS", program_folder());
    command.env("PYTHON", python_with_packages()).env("NODE_PATH", node_modules());
    let done = command.output().expect("sh starts");
    let out = String::from_utf8_lossy(&done.stdout);
    let time = began.elapsed().as_secs_f64();
    println!("{:40} {time:5.1} s", row.name);
    (!done.status.success() || !out.contains(row.prints)).then(|| {
        let said = String::from_utf8_lossy(&done.stderr);
        format!("{}: {}, expected {:?} in:\n{out}{said}", row.name, done.status, row.prints)
    })
}
