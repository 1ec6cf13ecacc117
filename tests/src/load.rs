//! A mixed load: clients that send one request after the other, and how each request ended.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::http::Client;
use crate::origin::Origin;
use crate::process::wait_for;

/// What the clients do, each over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A quick GET: idempotent, no body.
    Quick,
    /// A GET that is answered after 300 ms: surely in flight at the kill.
    Slow,
    /// A POST that is answered after 300 ms: never sent twice once it may have been processed.
    Post,
    /// A chunked upload that takes a second.
    Upload,
    /// A download that takes a second.
    Download,
    /// A long poll: a GET that is answered after a second and a half.
    Poll,
}

impl Kind {
    /// Whether it is a POST with a body.
    pub fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Upload)
    }

    /// How long it takes when nothing is wrong, on a busy machine.
    pub fn takes(self) -> Duration {
        Duration::from_millis(match self {
            Self::Quick => 500,
            Self::Slow | Self::Post => 1000,
            Self::Upload => 3000,
            Self::Download | Self::Poll => 5000,
        })
    }
}

/// How a request ended, as its client saw it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// 200 and the whole body.
    Answered,
    /// One of the proxy's own errors, with its code.
    Honest(u16, String),
    /// A good head, then the connection ended before the body did.
    CutShort,
    /// Anything else.
    Bad(String),
}

/// One request and its outcome.
#[derive(Clone, Debug)]
pub struct RequestRecord {
    /// What it was.
    pub kind: Kind,
    /// Before the client connected, if it had to.
    pub began: Instant,
    /// When the client knew the outcome.
    pub ended: Instant,
    /// The outcome.
    pub ending: Ending,
}

impl RequestRecord {
    /// Whether it was under way at this moment.
    pub fn is_in_flight_at(&self, moment: Instant) -> bool {
        self.began <= moment && moment <= self.ended
    }
}

/// How many POSTs reached the origin since it was last asked, and the numbers of those that did twice:
/// each POST of a [`Load`] carries a number of its own.
pub fn posts_seen(origin: &Origin) -> (usize, Vec<String>) {
    let mut times: HashMap<String, usize> = HashMap::new();
    for seen in origin.take_seen() {
        if let [number] = seen.fields("x-number")[..] {
            *times.entry(number.to_owned()).or_default() += 1;
        }
    }
    let count = times.len();
    let twice = times.into_iter().filter(|(_, times)| *times > 1);
    (count, twice.map(|(number, _)| number).collect())
}

/// The clients, running.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    records: Arc<Mutex<Vec<RequestRecord>>>,
    threads: Vec<thread::JoinHandle<()>>,
    /// Good answers of each client.
    good: Vec<Arc<AtomicUsize>>,
}

impl Load {
    /// Starts so many clients of each kind against the proxy on `port`.
    pub fn start(port: u16, clients: &[(Kind, usize)]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let records = Arc::new(Mutex::new(Vec::new()));
        let (mut threads, mut good) = (Vec::new(), Vec::new());
        for &(kind, count) in clients {
            for _ in 0..count {
                let (stop, records) = (Arc::clone(&stop), Arc::clone(&records));
                let counter = Arc::new(AtomicUsize::new(0));
                good.push(Arc::clone(&counter));
                threads.push(thread::spawn(move || {
                    ask_on(port, kind, &stop, |record| {
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
    pub fn wait_for_each(&self, count: usize, limit: Duration) {
        let now = || self.good.iter().map(|good| good.load(Ordering::Relaxed)).collect();
        let before: Vec<usize> = now();
        wait_for("good answers for every client", limit, || {
            let now: Vec<usize> = now();
            let all = now.iter().zip(&before).all(|(now, before)| now - before >= count);
            all.then_some(())
        });
    }

    /// Lets every client finish its request; all requests, in the order of their ends.
    pub fn stop(self) -> Vec<RequestRecord> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a client does not panic");
        }
        std::mem::take(&mut self.records.lock().unwrap())
    }
}

/// One client: a request after the other; a new connection whenever the old one has ended.
fn ask_on(port: u16, kind: Kind, stop: &AtomicBool, mut report: impl FnMut(RequestRecord)) {
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
        Kind::Download => ("GET http://origin.seacat/drip/100/10", None),
        Kind::Poll => ("GET http://origin.seacat/slow/1500", None),
    };
    let mut head = format!("{line} HTTP/1.1\r\nHost: x\r\n");
    if let Some(length) = length {
        head += &format!("X-Number: {number}\r\n{length}\r\n");
    }
    client.send(format!("{head}\r\n").as_bytes())?;
    match kind {
        Kind::Post => client.send(&[b'x'; 100])?,
        Kind::Upload => upload(client),
        Kind::Quick | Kind::Slow | Kind::Download | Kind::Poll => {}
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
