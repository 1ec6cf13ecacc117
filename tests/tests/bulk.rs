//! A gibibyte each way, and readers that do not read: the sums are equal, memory is bounded.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a scenario fails where it cannot go on, and says what it measured"
)]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use seacat_tests::{Client, World, clean_command, request, sha256_of, sha256_of_file};

const GIB: u64 = 1 << 30;

/// What neither proxy nor gateway may ever need, in KiB. It is what a user would call "a lot" for a
/// program in the tray, and an eighth of the body: buffering one is detected.
const MEMORY_KIB: u64 = 128 * 1024;

/// Writes `length` bytes that do not compress, and returns their sum. The generator is
/// xorshift64*, its seed a constant: the same bytes on every run.
fn write_random(path: &Path, length: u64) -> String {
    let mut state = 0x5EAC_A700_0000_0001_u64;
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    for _ in 0..length / 8 {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        file.write_all(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes()).unwrap();
    }
    file.into_inner().unwrap();
    let (sum, written) = sha256_of_file(path);
    assert_eq!(written, length);
    sum
}

/// Prints what was done and the most memory each process has needed so far; it must be bounded.
fn report(world: &mut World, what: &str, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    let rate = GIB as f64 / 1e6 / seconds;
    let proxy = world.proxy.process().peak_memory_kib();
    let gateway = world.gateway.process().peak_memory_kib();
    println!(
        "{what}: {seconds:.1} s, {rate:.0} MB/s; peak memory: proxy {:.1} MiB, gateway {:.1} MiB",
        proxy as f64 / 1024.0,
        gateway as f64 / 1024.0
    );
    assert!(proxy <= MEMORY_KIB, "the proxy needed {proxy} KiB");
    assert!(gateway <= MEMORY_KIB, "the gateway needed {gateway} KiB");
}

#[test]
fn a_gibibyte_each_way() {
    let mut world = World::start();
    let big = world.nginx.site().join("big.bin");
    let sum = write_random(&big, GIB);
    let (proxy, home) = (world.proxy.url(), world.proxy.home());
    let curl = || {
        let mut command = clean_command("curl", &home);
        command.args(["-sS", "-f", "-m", "600", "-x", &proxy]);
        command
    };

    let began = Instant::now();
    let mut download =
        curl().arg("http://web.seacat/big.bin").stdout(Stdio::piped()).spawn().unwrap();
    let (received, length) = sha256_of(download.stdout.take().unwrap()).unwrap();
    assert!(download.wait().unwrap().success());
    assert_eq!((received.as_str(), length), (sum.as_str(), GIB));
    report(&mut world, "1 GiB down", began);

    let began = Instant::now();
    let put = curl().arg("-T").arg(&big).arg("http://web.seacat/put/big.bin").status();
    assert!(put.unwrap().success());
    report(&mut world, "1 GiB up, its length known", began);
    let stored = sha256_of_file(&world.nginx.site().join("put/big.bin"));
    assert_eq!(stored, (sum.clone(), GIB));

    let began = Instant::now();
    let chunked = curl()
        .args(["-T", "-", "-X", "POST", "http://origin.seacat/sum"])
        .stdin(File::open(&big).unwrap())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&chunked.stdout), format!("{sum} {GIB}\n"));
    report(&mut world, "1 GiB up, chunked", began);
}

/// Clients that request large bodies and do not read them do not delay others; when they read
/// again, they get everything. Between the two ends here windows do that
/// (docs/protocol/extensions.md).
#[test]
fn readers_that_do_not_read() {
    const STALLED: usize = 16;
    const ASKED: usize = 500;
    const SIZE: u64 = GIB / 4;
    /// Far more than any of 500 small requests needs, far less than a user would wait for a stalled
    /// reader.
    const HELD_UP: Duration = Duration::from_secs(1);
    let mut world = World::start();
    let big = world.nginx.site().join("big.bin");
    File::create(&big).unwrap().set_len(SIZE).unwrap();
    let ask = request("GET", "http://web.seacat/big.bin");
    let mut stalled: Vec<Client> = (0..STALLED).map(|_| world.proxy.client()).collect();
    for client in &mut stalled {
        client.send(ask.as_bytes()).unwrap();
    }
    let mut client = world.proxy.client();
    let mut times: Vec<Duration> = (0..ASKED)
        .map(|_| {
            let began = Instant::now();
            let answer = client.get("http://web.seacat/small").unwrap();
            assert_eq!(answer.status, 200);
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    let (median, slowest) = (times[ASKED / 2], times[ASKED - 1]);
    for mut client in stalled {
        let bytes = client.read_away(SIZE, Duration::from_secs(10));
        assert!(bytes >= SIZE, "a stalled reader got only {bytes} bytes");
    }
    let proxy = world.proxy.process().peak_memory_kib();
    let gateway = world.gateway.process().peak_memory_kib();
    println!(
        "beside {STALLED} stalled downloads {ASKED} small requests took {median:.1?} in the \
         middle and {slowest:.1?} at most; peak memory: proxy {:.1} MiB, gateway {:.1} MiB",
        proxy as f64 / 1024.0,
        gateway as f64 / 1024.0
    );
    assert!(slowest <= HELD_UP, "held up for {slowest:?}");
    assert!(proxy <= MEMORY_KIB && gateway <= MEMORY_KIB);
}
