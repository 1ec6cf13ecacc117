//! Floods: clients that mean harm, what they cost the gateway, and how another client fares meanwhile.
//!
//! In the suite each flood lasts some seconds and runs against debug builds. `cargo xtask flood` runs the
//! same against release builds for longer, and prints the table of docs/limits.md.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a story fails where it cannot go on, and says what it measured"
)]

mod files;
mod hostile_gateway;
mod stranger;

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use seacat_tests::{Client, Gateway, Host, Proxy};
use stranger::{Stranger, Target};

/// What the gateway may have in memory by default (docs/limits.md).
const MEMORY_MIB: u64 = 512;
/// And in temporary files.
const SPOOL_MIB: u64 = 1024;
/// How long a request beside a flood may take in the suite. The machine may be busy, and debug builds
/// are slow: what stood still stood for longer.
const SLOWEST: Duration = Duration::from_secs(4);
/// How long a client that is new may take to its first answer.
const NEWCOMER: Duration = Duration::from_secs(20);

/// How long each flood lasts.
fn duration() -> Duration {
    let seconds = std::env::var("SEACAT_FLOOD_SECONDS").ok().and_then(|it| it.parse().ok());
    Duration::from_secs(seconds.unwrap_or(4))
}

/// The gateway under flood, and the client beside it.
struct Flooded {
    gateway: Gateway,
    proxy: Proxy,
    /// It accepts connections and never reads.
    _silent: TcpListener,
}

/// A back end that answers with interim responses, and nothing else. Returns its port.
fn endless() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let many = b"HTTP/1.1 102 Processing\r\n\r\n".repeat(500);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let many = many.clone();
            thread::spawn(move || while stream.write_all(&many).is_ok() {});
        }
    });
    port
}

/// A gateway with the hosts `hello`, `silent` and `endless`.
fn gateway(files: Option<u32>) -> (Gateway, TcpListener) {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let host = |name, port| Host { name, port, tunnel: false };
    let hosts = [host("silent", port), host("endless", endless())];
    let more = "\n[enroll]\nmode = \"pending\"\n[host.hello]\nbuiltin = \"hello\"\n";
    (Gateway::prepared_with(&hosts, more).with_files(files).started(), silent)
}

/// What was measured.
struct Row {
    memory_mib: u64,
    spool_mib: u64,
    descriptors: usize,
    times: Vec<Duration>,
    failed: usize,
    newcomer: Duration,
}

impl Flooded {
    fn start(files: Option<u32>) -> Self {
        let (gateway, silent) = gateway(files);
        let proxy = Proxy::start(gateway.port(), &gateway.ca(), "hello");
        Self { gateway, proxy, _silent: silent }
    }

    fn target(&self) -> Target {
        Target::new(self.gateway.port(), &self.gateway.ca())
    }

    /// Runs a flood in a thread of its own and measures beside it; then a newcomer comes.
    /// What the flood returns is held until the newcomer has been served.
    fn measure<T>(
        mut self,
        what: &str,
        flood: impl FnOnce(&Target, Instant) -> T + Send + 'static,
    ) -> Row {
        let id = self.gateway.process().id();
        let over = Arc::new(AtomicBool::new(false));
        let honest = {
            let (over, client) = (Arc::clone(&over), self.proxy.client());
            thread::spawn(move || ask(client, &over))
        };
        let end = Instant::now() + duration();
        let (target, came) = (self.target(), Arc::new(AtomicBool::new(false)));
        let flooding = {
            let came = Arc::clone(&came);
            thread::spawn(move || {
                let held = flood(&target, end);
                while !came.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(10));
                }
                drop(held);
            })
        };
        let (mut spool, mut descriptors) = (0, 0);
        while Instant::now() < end {
            let (files, bytes) = open_files(id);
            (spool, descriptors) = (spool.max(bytes), descriptors.max(files));
            thread::sleep(Duration::from_millis(50));
        }
        let began = Instant::now();
        let newcomer = Proxy::start(self.gateway.port(), &self.gateway.ca(), "hello");
        let answer = newcomer.client().get("http://hello.seacat/").unwrap();
        let newcomer = began.elapsed();
        assert_eq!(answer.status, 200, "{what}: a newcomer was not served");
        came.store(true, Ordering::Relaxed);
        over.store(true, Ordering::Relaxed);
        flooding.join().unwrap();
        let (mut times, failed) = honest.join().unwrap();
        times.sort_unstable();
        let memory_mib = self.gateway.process().peak_memory_kib() / 1024;
        let row = Row { memory_mib, spool_mib: spool >> 20, descriptors, times, failed, newcomer };
        row.print(what);
        row.check(what);
        row
    }
}

impl Row {
    fn at(&self, share: f64) -> Duration {
        let last = self.times.len().saturating_sub(1) as f64;
        self.times.get((share * last) as usize).copied().unwrap_or(Duration::MAX)
    }

    fn print(&self, what: &str) {
        let ms = |share| self.at(share).as_secs_f64() * 1000.0;
        println!(
            "| {what} | {} MiB | {} MiB | {} | {:.1} ms | {:.1} ms | {:.1} ms | {} of {} | {:.1} s |",
            self.memory_mib,
            self.spool_mib,
            self.descriptors,
            ms(0.5),
            ms(0.99),
            ms(1.0),
            self.failed,
            self.times.len() + self.failed,
            self.newcomer.as_secs_f64(),
        );
    }

    fn check(&self, what: &str) {
        assert!(self.memory_mib <= MEMORY_MIB, "{what}: {} MiB of memory", self.memory_mib);
        assert!(self.spool_mib <= SPOOL_MIB, "{what}: {} MiB of spool", self.spool_mib);
        assert_eq!(self.failed, 0, "{what}: requests of another client failed");
        assert!(self.at(1.0) < SLOWEST, "{what}: a request took {:?}", self.at(1.0));
        assert!(self.newcomer < NEWCOMER, "{what}: a newcomer waited {:?}", self.newcomer);
    }
}

/// Requests one after the other until it is over: how long each took, and how many failed.
fn ask(mut client: Client, over: &AtomicBool) -> (Vec<Duration>, usize) {
    let (mut times, mut failed) = (Vec::new(), 0);
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        match client.get("http://hello.seacat/") {
            Ok(answer) if answer.status == 200 => times.push(began.elapsed()),
            _ => failed += 1,
        }
        thread::sleep(Duration::from_millis(2));
    }
    (times, failed)
}

/// How many descriptors a process has open, and the bytes of deleted files among them.
fn open_files(id: u32) -> (usize, u64) {
    let entries = fs::read_dir(format!("/proc/{id}/fd")).unwrap();
    let mut found = (0, 0);
    for entry in entries.flatten() {
        found.0 += 1;
        let link = fs::read_link(entry.path()).unwrap_or_default();
        if link.to_string_lossy().ends_with("(deleted)") {
            found.1 += fs::metadata(entry.path()).map_or(0, |it| it.len());
        }
    }
    found
}

fn ids(count: u32) -> Vec<u32> {
    (0..count).map(|number| 2 * number + 1).collect()
}

fn posting(target: &Target, from: u8, host: &str, streams: u32) -> Stranger {
    let mut stranger = target.connect(from).unwrap();
    for id in ids(streams) {
        stranger.post(id, host, 0).unwrap();
    }
    stranger
}

#[test]
fn single_bytes_cost_what_they_are() {
    Flooded::start(None).measure("one-byte DATA, 16 streams, not read", |target, end| {
        let mut stranger = posting(target, 2, "silent", 16);
        stranger.flood(&ids(16), 1, end);
        stranger
    });
}

#[test]
fn discarded_single_bytes_cost_little_time() {
    Flooded::start(None).measure("one-byte DATA, dropped", |target, end| {
        let mut stranger = posting(target, 2, "hello", 1);
        stranger.flood(&ids(1), 1, end);
        stranger
    });
}

#[test]
fn spools_have_one_limit() {
    Flooded::start(None).measure("spool: 2 strangers, 16 KiB DATA", |target, end| {
        let floods: Vec<_> = [2, 3]
            .map(|from| {
                let mut stranger = posting(target, from, "silent", 2);
                thread::spawn(move || {
                    stranger.flood(&ids(2), 16_000, end);
                    stranger
                })
            })
            .into();
        floods.into_iter().map(|flood| flood.join().unwrap()).collect::<Vec<_>>()
    });
}

#[test]
fn streams_have_one_limit() {
    Flooded::start(None).measure("8 strangers, 1 024 streams, heads of 15 KiB", |target, end| {
        let mut strangers = Vec::new();
        for from in 2..10 {
            let mut stranger = target.connect(from).unwrap();
            for id in ids(1024) {
                if Instant::now() >= end || stranger.post(id, "silent", 15_000).is_err() {
                    break;
                }
            }
            strangers.push(stranger);
        }
        strangers
    });
}

#[test]
fn interim_responses_without_end_cost_little_time() {
    Flooded::start(None).measure("4 back ends that send 102 without end", |target, end| {
        let mut stranger = target.connect(2).unwrap();
        for id in ids(4) {
            stranger.post(id, "endless", 0).unwrap();
        }
        while Instant::now() < end {
            thread::sleep(Duration::from_millis(50));
        }
        stranger
    });
}

#[test]
fn half_open_connections_give_way() {
    Flooded::start(None).measure("900 half-open connections", |target, end| {
        let mut held = Vec::new();
        while Instant::now() < end && held.len() < 900 {
            if let Ok(mut tcp) = target.tcp(2)
                && tcp.write_all(&[0x16, 3, 1, 2, 0]).is_ok()
            {
                held.push(tcp);
            }
        }
        held
    });
}

#[test]
fn idle_strangers_leave_places() {
    Flooded::start(None).measure("900 idle connections without an identity", |target, end| {
        let mut held = Vec::new();
        while Instant::now() < end && held.len() < 900 {
            match target.connect(2) {
                Ok(stranger) => held.push(stranger),
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
        held
    });
}

/// With few descriptors: a request that waits holds one for its back end.
#[test]
fn descriptors_are_left_for_others() {
    for files in [64, 1024] {
        let what = format!("1 024 streams to a silent back end, {files} descriptors");
        let row = Flooded::start(Some(files)).measure(&what, |target, _| {
            let mut stranger = target.connect(2).unwrap();
            for id in ids(1024) {
                stranger.post(id, "silent", 0).unwrap();
            }
            stranger
        });
        assert!(row.descriptors < files as usize, "{} descriptors", row.descriptors);
    }
}
