//! 256 clients, 100 000 requests, one connection to the gateway.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a scenario fails where it cannot go on, and says what it measured"
)]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use seacat_tests::{Client, World, established_to, request};

const CLIENTS: usize = 256;
const REQUESTS: usize = 100_000;
const SMALL: &str = "0123456789abcdef\n";

#[test]
fn many_clients_one_connection() {
    let world = World::start();
    let gateway = world.gateway.port();
    let asked = Arc::new(AtomicUsize::new(0));
    let start = Arc::new(Barrier::new(CLIENTS + 1));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (asked, start) = (Arc::clone(&asked), Arc::clone(&start));
            let port = world.proxy.port();
            thread::spawn(move || {
                let client = Client::connect(port).expect("the proxy takes 256 clients");
                start.wait();
                ask_until_done(client, &asked)
            })
        })
        .collect();

    let done = Arc::new(AtomicBool::new(false));
    let watcher = {
        let done = Arc::clone(&done);
        thread::spawn(move || watch(gateway, &done))
    };
    start.wait();
    let began = Instant::now();
    let mut times: Vec<Duration> = Vec::with_capacity(REQUESTS);
    for client in clients {
        times.extend(client.join().expect("a client met no error"));
    }
    let took = began.elapsed();
    done.store(true, Ordering::Relaxed);
    let (looks, seen) = watcher.join().unwrap();

    assert_eq!(times.len(), REQUESTS);
    times.sort_unstable();
    let at = |share: f64| times[(share * (REQUESTS - 1) as f64) as usize].as_secs_f64() * 1000.0;
    println!(
        "{REQUESTS} requests of {CLIENTS} clients in {:.1} s: {:.0}/s, p50 {:.1} ms, p99 {:.1} ms, \
         slowest {:.1} ms, no error",
        took.as_secs_f64(),
        REQUESTS as f64 / took.as_secs_f64(),
        at(0.50),
        at(0.99),
        at(1.0)
    );
    println!("connections to the gateway: {seen:?} in each of {looks} looks at the socket table");
    assert!(looks >= 20, "only {looks} looks");
    assert_eq!(seen.len(), 1, "one connection, and the same all the time");
}

/// One client's requests, one after the other, until all clients together have asked enough.
/// Every answer is checked; each took the time returned.
fn ask_until_done(mut client: Client, asked: &AtomicUsize) -> Vec<Duration> {
    let ask = request("GET", "http://web.seacat/small");
    let mut times = Vec::new();
    while asked.fetch_add(1, Ordering::Relaxed) < REQUESTS {
        let began = Instant::now();
        let answer = client.ask(ask.as_bytes()).expect("an answer");
        times.push(began.elapsed());
        assert_eq!((answer.status, answer.text().as_str()), (200, SMALL));
    }
    times
}

/// Looks at the system's socket table over and over. At each look there must be exactly one
/// connection; returns how often it looked and all connections it ever saw, by local port.
fn watch(gateway: u16, done: &AtomicBool) -> (usize, BTreeSet<u16>) {
    let mut looks = 0;
    let mut seen = BTreeSet::new();
    while !done.load(Ordering::Relaxed) {
        let now = established_to(gateway);
        assert_eq!(now.len(), 1, "connections to the gateway: {now:?}");
        seen.extend(now);
        looks += 1;
        // The table costs the kernel more the more sockets there are: look often, not always.
        thread::sleep(Duration::from_millis(25));
    }
    (looks, seen)
}
