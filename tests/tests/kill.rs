//! The gateway dies without a word under load and comes back five seconds later.
//!
//! Every request in flight must end within a second with an honest answer, or be carried over:
//! the retry rule sends again, once, what was certainly not processed or is idempotent without
//! a body, and such a request, like one that arrives during the outage, waits for the channel for
//! at most the ten seconds of the configuration. Nothing else may be sent twice.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a story fails where it cannot go on, and says what it measured"
)]

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use seacat_tests::{Client, World, wait_for};

/// How long the gateway stays away.
const OUTAGE: Duration = Duration::from_secs(5);
/// What ends by an error ends within this time of the kill.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How long a request waits for the channel (the default of `channel.wait`), and a little more
/// for a busy machine.
const WAITED: Duration = Duration::from_millis(11_500);
/// How long service may take to be back for everyone, from the gateway's return.
const BACK: Duration = Duration::from_secs(30);

/// What the clients do, each over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// A quick GET: idempotent, no body.
    Quick,
    /// A GET that is answered after 300 ms: surely in flight at the kill.
    Slow,
    /// A POST that is answered after 300 ms: never sent twice once it may have been processed.
    Post,
    /// A chunked upload that takes a second.
    Upload,
    /// A download that takes two seconds.
    Download,
}

impl Kind {
    fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Upload)
    }

    /// How long it takes when nothing is wrong, on a busy machine.
    fn takes(self) -> Duration {
        Duration::from_millis(match self {
            Self::Quick => 500,
            Self::Slow | Self::Post => 1000,
            Self::Upload => 3000,
            Self::Download => 6000,
        })
    }
}

/// How many clients of each kind.
const CLIENTS: [(Kind, usize); 5] =
    [(Kind::Quick, 16), (Kind::Slow, 8), (Kind::Post, 8), (Kind::Upload, 4), (Kind::Download, 4)];

/// How a request ended, as its client saw it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    /// 200 and the whole body.
    Answered,
    /// One of the proxy's own errors, with its code.
    Honest(u16, String),
    /// A good head, then the connection ended before the body did.
    CutShort,
    /// Anything else.
    Bad(String),
}

/// One request's record.
#[derive(Clone, Debug)]
struct RequestRecord {
    kind: Kind,
    began: Instant,
    ended: Instant,
    ending: Ending,
}

#[test]
fn gateway_killed_under_load() {
    let mut world = World::start();
    world.origin.take_seen();
    let load = Load::start(world.proxy.port());
    load.wait_for_each(2, Duration::from_secs(30));

    // Before the signal: what it breaks may end before the call returns.
    let killed = Instant::now();
    world.gateway.process().kill();
    // The outage is the story itself, not a way to wait for something.
    thread::sleep(OUTAGE);
    world.gateway.restart();
    let returned = Instant::now();
    load.wait_for_each(2, BACK);
    let back = returned.elapsed();
    let records = load.stop();

    tally(&records, killed, returned);
    println!("every client had two more good answers {:.1} s after the return", back.as_secs_f64());
    let first = records.iter().filter(|l| l.ending == Ending::Answered && l.ended > returned);
    let first = first.map(|l| l.ended).min().unwrap();
    println!("the first good answer came {:.2} s after it", (first - returned).as_secs_f64());
    for record in &records {
        check(record, killed, returned);
    }
    no_post_twice(&world);
}

/// The rules, for one request.
fn check(record: &RequestRecord, killed: Instant, returned: Instant) {
    let took = record.ended - record.began;
    let in_flight = record.began < killed && record.ended >= killed;
    let at_once = record.ended.saturating_duration_since(killed) <= AT_ONCE;
    // What was on its way is sent again only if it is idempotent; what came later just waits.
    let may_wait = !in_flight || !record.kind.has_body();
    let fine = match &record.ending {
        // Also by being carried over: a wait, and then the time it takes anyway.
        Ending::Answered => took <= WAITED + record.kind.takes(),
        Ending::Honest(502..=504, code) if record.ended >= killed => {
            code.starts_with("SC-") && ((in_flight && at_once) || (may_wait && took <= WAITED))
        }
        // The head had been passed on; nothing but the end of the connection can say it now.
        Ending::CutShort => in_flight && at_once,
        Ending::Honest(..) | Ending::Bad(_) => false,
    };
    assert!(
        fine,
        "{:?}: {:?}, began {:+.3} s, ended {:+.3} s from the kill (return at {:+.3} s)",
        record.kind,
        record.ending,
        signed(record.began, killed),
        signed(record.ended, killed),
        signed(returned, killed),
    );
}

/// No POST may have been processed twice: each carries a number of its own.
fn no_post_twice(world: &World) {
    let mut times: HashMap<String, usize> = HashMap::new();
    for seen in world.origin.take_seen() {
        if let [number] = seen.fields("x-number")[..] {
            *times.entry(number.to_owned()).or_default() += 1;
        }
    }
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    println!("{} numbered POSTs reached the origin, {} of them twice", times.len(), twice.len());
    assert!(!times.is_empty());
    assert_eq!(twice.len(), 0, "{twice:?}");
}

fn tally(records: &[RequestRecord], killed: Instant, returned: Instant) {
    let mut table: BTreeMap<(&str, Kind, String), (usize, Duration)> = BTreeMap::new();
    for RequestRecord { kind, began, ended, ending } in records {
        let when = match () {
            () if *ended < killed => "1 before the kill",
            () if *began < killed => "2 in flight at the kill",
            () if *began < returned => "3 arrived during the outage",
            () => "4 after the return",
        };
        let how = match ending {
            Ending::Honest(status, code) => format!("{status} {code}"),
            other => format!("{other:?}"),
        };
        let (count, longest) = table.entry((when, *kind, how)).or_default();
        *count += 1;
        // From the kill for what was in flight, from its own beginning for all others.
        let since = if *began < killed && *ended >= killed { killed } else { *began };
        *longest = (*longest).max(*ended - since);
    }
    println!("{:28} {:9} {:36} {:>6}  {:>9}", "when", "what", "ended", "count", "longest");
    for ((when, kind, how), (count, longest)) in table {
        let kind = format!("{kind:?}");
        println!("{when:28} {kind:9} {how:36} {count:6}  {:7.3} s", longest.as_secs_f64());
    }
}

fn signed(at: Instant, zero: Instant) -> f64 {
    at.saturating_duration_since(zero).as_secs_f64()
        - zero.saturating_duration_since(at).as_secs_f64()
}

/// All clients, running.
struct Load {
    stop: Arc<AtomicBool>,
    records: Arc<Mutex<Vec<RequestRecord>>>,
    threads: Vec<thread::JoinHandle<()>>,
    /// Good answers of each client.
    good: Vec<Arc<AtomicUsize>>,
}

impl Load {
    fn start(port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let records = Arc::new(Mutex::new(Vec::new()));
        let (mut threads, mut good) = (Vec::new(), Vec::new());
        for (kind, count) in CLIENTS {
            for _ in 0..count {
                let (stop, records) = (Arc::clone(&stop), Arc::clone(&records));
                let counter = Arc::new(AtomicUsize::new(0));
                good.push(Arc::clone(&counter));
                threads.push(thread::spawn(move || {
                    send_requests(port, kind, &stop, |record| {
                        if record.ending == Ending::Answered {
                            counter.fetch_add(1, Ordering::Relaxed);
                        }
                        records.lock().unwrap().push(record);
                    });
                }));
            }
        }
        Self { stop, records, threads, good }
    }

    /// Waits until every client has had `count` good answers from now on.
    fn wait_for_each(&self, count: usize, limit: Duration) {
        let now = || self.good.iter().map(|good| good.load(Ordering::Relaxed)).collect();
        let before: Vec<usize> = now();
        wait_for("good answers for every client", limit, || {
            let now: Vec<usize> = now();
            let all = now.iter().zip(&before).all(|(now, before)| now - before >= count);
            all.then_some(())
        });
    }

    fn stop(self) -> Vec<RequestRecord> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a client does not panic");
        }
        std::mem::take(&mut self.records.lock().unwrap())
    }
}

/// One client: a request after the other; a new connection whenever the old one has ended.
fn send_requests(port: u16, kind: Kind, stop: &AtomicBool, mut report: impl FnMut(RequestRecord)) {
    let mut client = None;
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let open = match client.take() {
            Some(open) => Ok(open),
            None => Client::connect(port),
        };
        let outcome = open.and_then(|mut open| {
            let outcome = ask(&mut open, kind);
            client =
                outcome.as_ref().is_ok_and(|ending| *ending == Ending::Answered).then_some(open);
            outcome
        });
        let ending = outcome.unwrap_or_else(|error| Ending::Bad(error.to_string()));
        report(RequestRecord { kind, began, ended: Instant::now(), ending });
    }
}

/// One request of a kind, and how it ended.
fn ask(client: &mut Client, kind: Kind) -> io::Result<Ending> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let (line, length) = match kind {
        Kind::Quick => ("GET http://web.seacat/small", None),
        Kind::Slow => ("GET http://origin.seacat/slow/300", None),
        Kind::Post => ("POST http://origin.seacat/slow/300", Some("Content-Length: 100")),
        Kind::Upload => ("POST http://origin.seacat/sum", Some("Transfer-Encoding: chunked")),
        Kind::Download => ("GET http://origin.seacat/drip/100/20", None),
    };
    let mut head = format!("{line} HTTP/1.1\r\nHost: x\r\n");
    if let Some(length) = length {
        head += &format!("X-Number: {number}\r\n{length}\r\n");
    }
    client.send(format!("{head}\r\n").as_bytes())?;
    match kind {
        Kind::Post => client.send(&[b'x'; 100])?,
        Kind::Upload => upload(client),
        Kind::Quick | Kind::Slow | Kind::Download => {}
    }
    let method = line.split(' ').next().unwrap_or_default();
    match client.answer(method) {
        Ok(answer) if answer.status == 200 => Ok(Ending::Answered),
        Ok(answer) => match answer.code() {
            Some(code) => Ok(Ending::Honest(answer.status, code)),
            None => Ok(Ending::Bad(format!("{} without a code", answer.status))),
        },
        Err(_) if client.head_was_read() => Ok(Ending::CutShort),
        Err(error) => Err(error),
    }
}

/// Fifty chunks in a second, or fewer when an answer comes before.
fn upload(client: &mut Client) {
    for _ in 0..50 {
        let chunk = format!("400\r\n{}\r\n", "up!!".repeat(256));
        if client.has_news() || client.send(chunk.as_bytes()).is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    // Refused when the answer has come and the connection has ended; then it is read.
    let _ = client.send(b"0\r\n\r\n");
}
