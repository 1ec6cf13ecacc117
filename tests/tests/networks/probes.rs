//! What a user of the proxy sees meanwhile: requests at a steady pace, and the status as it changes.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use seacat_tests::{Client, Proxy, wait_for};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Get,
    Post,
    /// 300 kB towards us.
    Download,
    /// 200 kB away from us.
    Upload,
}

impl Kind {
    /// From one request to the next.
    fn pace(self) -> Duration {
        Duration::from_millis(match self {
            Self::Get => 100,
            Self::Post => 150,
            Self::Download | Self::Upload => 700,
        })
    }
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) kind: Kind,
    /// Which of its kind: a POST carries it as its `X-Number`.
    pub(crate) number: u64,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    /// The status and the proxy's code, if it was the proxy that answered.
    pub(crate) answer: Result<(u16, Option<String>), String>,
}

impl Probe {
    pub(crate) fn is_good(&self) -> bool {
        matches!(self.answer, Ok((200, _)))
    }

    /// The answer in one word or two.
    pub(crate) fn outcome(&self) -> String {
        match &self.answer {
            Ok((status, code)) => format!("{status} {}", code.as_deref().unwrap_or_default()),
            Err(error) => error.clone(),
        }
    }
}

/// Requests and states as they are recorded.
pub(crate) struct Probes {
    port: u16,
    stop: Arc<AtomicBool>,
    pause: Arc<AtomicBool>,
    done: Arc<Mutex<Vec<Probe>>>,
    states: Arc<Mutex<Vec<(Instant, String)>>>,
    watcher: Child,
}

impl Probes {
    /// Asks for small things and follows the status.
    pub(crate) fn start(proxy: &Proxy) -> Self {
        let mut command = Proxy::command(&proxy.home());
        command.args(["--config", "config.toml", "status", "--watch", "--json"]);
        let mut watcher = command.stdout(Stdio::piped()).spawn().expect("status starts");
        let states = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(watcher.stdout.take().unwrap()).lines();
        let list = Arc::clone(&states);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let status: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                let state = status["state"].as_str().unwrap_or_default().to_owned();
                list.lock().unwrap().push((Instant::now(), state));
            }
        });
        let port = proxy.port();
        let (stop, pause, done) = Default::default();
        let it = Self { port, stop, pause, done, states, watcher };
        it.ask(Kind::Get);
        it.ask(Kind::Post);
        it
    }

    /// Asks for more of a kind from now on.
    pub(crate) fn ask(&self, kind: Kind) {
        let (port, done) = (self.port, Arc::clone(&self.done));
        let (stop, pause) = (Arc::clone(&self.stop), Arc::clone(&self.pause));
        thread::spawn(move || {
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                if !pause.load(Ordering::Relaxed) {
                    let done = Arc::clone(&done);
                    // One that hangs must not hold up the next.
                    thread::spawn(move || {
                        let probe = probe(port, kind, number);
                        done.lock().unwrap().push(probe);
                    });
                }
                thread::sleep(kind.pace());
            }
        });
    }

    /// Nothing is asked for a while.
    pub(crate) fn pause(&self, yes: bool) {
        self.pause.store(yes, Ordering::Relaxed);
    }

    /// Waits for a good answer to a request of this kind that began after a moment; when it came.
    pub(crate) fn wait_for_good(&self, kind: Kind, after: Instant) -> Instant {
        wait_for("a good answer", Duration::from_secs(60), || {
            let done = self.done.lock().unwrap();
            let good = done.iter().filter(|it| it.kind == kind && it.is_good());
            good.filter(|it| it.began >= after).map(|it| it.ended).min()
        })
    }

    /// Ends the requests and waits for the last.
    pub(crate) fn finish(mut self) -> Record {
        self.stop.store(true, Ordering::Relaxed);
        // Every thread that may still report holds a handle.
        wait_for("the last request", Duration::from_secs(60), || {
            (Arc::strong_count(&self.done) == 1).then_some(())
        });
        let _ = self.watcher.kill();
        let _ = self.watcher.wait();
        let mut probes = std::mem::take(&mut *self.done.lock().unwrap());
        probes.sort_by_key(|it| it.ended);
        let states = std::mem::take(&mut *self.states.lock().unwrap());
        Record { probes, states }
    }
}

/// What was recorded: requests by their ends, and the changes of the state.
pub(crate) struct Record {
    pub(crate) probes: Vec<Probe>,
    states: Vec<(Instant, String)>,
}

impl Record {
    /// For how long the status said "connected" between two good answers, in the worst such gap since
    /// `from`, until `to`.
    pub(crate) fn longest_lie(&self, from: Instant, to: Instant) -> Duration {
        let good = self.probes.iter().filter(|it| it.is_good()).map(|it| it.ended);
        let moments: Vec<Instant> = [from]
            .into_iter()
            .chain(good.filter(|it| *it > from && *it < to))
            .chain([to])
            .collect();
        let gaps = moments.windows(2).map(|gap| self.connected(gap[0], gap[1]));
        gaps.max().unwrap_or_default()
    }

    fn connected(&self, from: Instant, to: Instant) -> Duration {
        let ends = self.states.iter().skip(1).map(|(at, _)| *at).chain([to]);
        let spans = self.states.iter().zip(ends).filter(|((_, state), _)| state == "connected");
        spans
            .map(|((begin, _), end)| {
                end.clamp(from, to).saturating_duration_since((*begin).clamp(from, to))
            })
            .sum()
    }

    /// What the requests that began since `from` and were not answered well met, and how often.
    pub(crate) fn failures(&self, from: Instant) -> BTreeMap<String, usize> {
        let mut failures = BTreeMap::new();
        for probe in self.probes.iter().filter(|it| it.ended >= from && !it.is_good()) {
            *failures.entry(probe.outcome()).or_default() += 1;
        }
        failures
    }
}

fn probe(port: u16, kind: Kind, number: u64) -> Probe {
    let began = Instant::now();
    let ask = || {
        let mut client = Client::connect(port)?;
        let (line, fields, body) = match kind {
            Kind::Get => ("GET http://origin.seacat/get", String::new(), 0),
            Kind::Post => ("POST http://origin.seacat/post", format!("X-Number: {number}\r\n"), 5),
            Kind::Download => ("GET http://origin.seacat/drip/300/0", String::new(), 0),
            Kind::Upload => ("POST http://origin.seacat/sum", String::new(), 200_000),
        };
        let length = if body > 0 { format!("Content-Length: {body}\r\n") } else { String::new() };
        let head = format!("{line} HTTP/1.1\r\nHost: x\r\n{fields}{length}\r\n");
        client.send(&[head.as_bytes(), &vec![b'x'; body]].concat())?;
        let answer = client.answer(line.split(' ').next().unwrap_or_default())?;
        let code = if answer.status == 200 { None } else { answer.code() };
        Ok::<_, std::io::Error>((answer.status, code))
    };
    let answer = ask().map_err(|error| error.to_string());
    Probe { kind, number, began, ended: Instant::now(), answer }
}
