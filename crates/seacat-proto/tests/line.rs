//! Two connections over a slow line with a deep queue: it is filled, and yet small requests are
//! answered soon. Virtual time, no sockets. The line takes all that is written at once, as the
//! deepest of buffers would, so nothing but the windows keeps its queue short.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use seacat_proto::{Bytes, Config, Connection, Event, ReplyHead, RequestHead, Role, StreamId};

/// 100 Mbit/s.
const RATE: f64 = 12.5e6;
const ROUND_TRIP: Duration = Duration::from_millis(50);
const SMALL: usize = 1024;

/// One direction.
struct Line {
    /// When what was written so far has left the queue.
    free: Instant,
    under_way: VecDeque<(Instant, Vec<u8>)>,
}

impl Line {
    fn send(&mut self, from: &mut Connection, now: Instant) {
        while let Some(frame) = from.poll_transmit() {
            let bytes = frame.to_vec();
            self.free = self.free.max(now) + Duration::from_secs_f64(bytes.len() as f64 / RATE);
            self.under_way.push_back((self.free + ROUND_TRIP / 2, bytes));
        }
    }

    fn next(&self) -> Option<Instant> {
        self.under_way.front().map(|(at, _)| *at)
    }

    fn arrived(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.next()? > now {
            return None;
        }
        self.under_way.pop_front().map(|(_, bytes)| bytes)
    }
}

struct World {
    client: Connection,
    gateway: Connection,
    up: Line,
    down: Line,
    now: Instant,
    /// Streams without end.
    bulk: Vec<StreamId>,
    received: u64,
    /// Small requests under way, and how long those before them took.
    asked: BTreeMap<StreamId, Instant>,
    times: Vec<Duration>,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let line = || Line { free: now, under_way: VecDeque::new() };
        let config = Config::default();
        let mut client = Connection::new(Role::Client, &config, now);
        client.ping(now); // so that windows are agreed on
        Self {
            client,
            gateway: Connection::new(Role::Gateway, &config, now),
            up: line(),
            down: line(),
            now,
            bulk: Vec::new(),
            received: 0,
            asked: BTreeMap::new(),
            times: Vec::new(),
        }
    }

    fn ask(&mut self, path: &str) -> StreamId {
        let head = RequestHead::new(b"erp", b"GET", path.as_bytes()).unwrap();
        self.client.open(head, true).unwrap()
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            self.up.send(&mut self.client, self.now);
            self.down.send(&mut self.gateway, self.now);
            let next = self.up.next().into_iter().chain(self.down.next()).min();
            let Some(next) = next.filter(|at| *at <= until) else {
                self.now = until;
                return;
            };
            self.now = next;
            while let Some(bytes) = self.up.arrived(next) {
                self.gateway.handle_input(&bytes, next).unwrap();
            }
            while let Some(bytes) = self.down.arrived(next) {
                self.client.handle_input(&bytes, next).unwrap();
            }
            self.answer();
            self.read();
        }
    }

    /// The gateway: small answers, and bodies without end.
    fn answer(&mut self) {
        while let Some(event) = self.gateway.poll_event() {
            let Event::Request { id, head, .. } = event else { continue };
            self.gateway.reply(id, ReplyHead::new(200), false).unwrap();
            if head.path() == b"/bulk" {
                self.bulk.push(id);
            } else {
                self.gateway.send(id, Bytes::from_static(&[0; SMALL])).unwrap();
                self.gateway.finish(id).unwrap();
            }
        }
        for id in &self.bulk {
            while self.gateway.send_capacity(*id) > 0 {
                self.gateway.send(*id, Bytes::from_static(&[0; Connection::SEND_QUEUE])).unwrap();
            }
        }
    }

    /// The client's readers take what comes.
    fn read(&mut self) {
        while let Some(event) = self.client.poll_event() {
            let Event::Data { id, bytes, end } = event else { continue };
            self.client.taken(id, bytes.len());
            self.received += bytes.len() as u64;
            if let Some(asked) = self.asked.remove(&id).filter(|_| end) {
                self.times.push(self.now - asked);
            }
        }
    }

    /// Asks for something small again and again, and says how much of the line was used.
    fn ask_for(&mut self, time: Duration) -> f64 {
        let (since, before) = (self.now, self.received);
        while self.now < since + time {
            let id = self.ask("/small");
            self.asked.insert(id, self.now);
            self.run(Duration::from_millis(33));
        }
        (self.received - before) as f64 / (self.now - since).as_secs_f64() / RATE
    }

    fn percentile(&mut self, percent: usize) -> Duration {
        self.times.sort_unstable();
        self.times[self.times.len() * percent / 100]
    }
}

#[test]
fn downloads_fill_the_line_and_small_requests_are_answered_within_two_round_trips() {
    for downloads in [1, 2, 8] {
        let mut world = World::new();
        world.run(Duration::from_secs(1));
        for _ in 0..downloads {
            world.ask("/bulk");
        }
        world.run(Duration::from_secs(2));
        let used = world.ask_for(Duration::from_secs(8));
        let (p50, p99) = (world.percentile(50), world.percentile(99));
        println!("{downloads} downloads: {used:.3} of the line, small {p50:?} / {p99:?}");
        assert!(used > 0.9, "{downloads} downloads: {used}");
        assert!(p50 < ROUND_TRIP * 7 / 4 && p99 < ROUND_TRIP * 2, "{p50:?} {p99:?}");
    }
}

#[test]
fn a_line_in_disuse_is_filled_soon() {
    let mut world = World::new();
    world.run(Duration::from_secs(1));
    world.ask("/bulk");
    world.run(Duration::from_secs(1));
    let used = world.received as f64 / RATE;
    println!("{used:.3} of the first second");
    assert!(used > 0.6, "{used}");
}
