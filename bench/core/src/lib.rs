//! Typical work of the protocol, as operations that can be repeated and counted.
//!
//! `benches/core.rs` times them (`cargo bench -p seacat-bench-core`); `count.rs` runs them under
//! callgrind, where a count of instructions is the same on a busy machine (`cargo xtask test
//! bench-guard`). Nothing here touches a socket: two connections, and memory between them.

use std::hint::black_box;
use std::time::Instant;

use seacat_proto::frame::{Frame, SynReply, SynStream};
use seacat_proto::{
    Bytes, Config, Connection, Decoder, Event, ReplyHead, RequestHead, Role, StreamId,
};

/// The payload of a frame, in bytes. Small, so that mostly the protocol's work is counted and not
/// the copying of bytes, which the C library implements differently on every processor.
const PIECE: usize = 1024;

/// One repeatable piece of work.
pub trait Operation {
    /// Does it once.
    fn run(&mut self);
}

/// The operations by name, ready to be repeated.
///
/// # Panics
/// Never: the heads they are made of fit into a frame.
#[must_use]
pub fn operations() -> Vec<(&'static str, Box<dyn Operation>)> {
    vec![
        ("codec", Box::new(Codec::new())),
        ("exchange", Box::new(Exchanges { pair: Pair::new(), at_once: 1, body: body(PIECE, 1) })),
        ("outbox", Box::new(Exchanges { pair: Pair::new(), at_once: 64, body: body(PIECE, 4) })),
    ]
}

/// Encodes and decodes heads in both directions, and decodes the frames of one response, cut where
/// a socket's buffer might end.
struct Codec {
    request: RequestHead,
    reply: ReplyHead,
    decoder: Decoder,
    answer: Vec<u8>,
}

impl Codec {
    fn new() -> Self {
        let (request, reply) = (request(), reply());
        let id = id();
        let data = Bytes::from(vec![7; PIECE]);
        let mut gateway = Connection::new(Role::Gateway, &config(), Instant::now());
        let opened = SynStream { id, fin: true, head: request.clone() }.encode();
        fit(gateway.handle_input(&opened, Instant::now()));
        fit(gateway.reply(id, reply.clone(), false));
        for _ in 0..4 {
            fit(gateway.send(id, data.clone()));
        }
        fit(gateway.finish(id));
        let frames = std::iter::from_fn(|| gateway.poll_transmit());
        let answer = frames.flat_map(|frame| frame.to_vec()).collect();
        Self { request, reply, decoder: Decoder::default(), answer }
    }
}

impl Operation for Codec {
    fn run(&mut self) {
        let id = id();
        black_box(SynStream { id, fin: true, head: black_box(&self.request).clone() }.encode());
        black_box(SynReply { id, fin: false, head: black_box(&self.reply).clone() }.encode());
        let (first, second) = self.answer.split_at(self.answer.len() / 3);
        for mut input in [first, second] {
            while let Some(raw) = fit(self.decoder.next(&mut input)) {
                let _ = black_box(Frame::decode(black_box(raw)));
            }
        }
    }
}

/// Exchanges on one connection: requests without a body, answered with a head and a body. The
/// requests are concurrent, and each response's pieces are queued before any of them is sent.
struct Exchanges {
    pair: Pair,
    at_once: usize,
    body: Vec<Bytes>,
}

impl Operation for Exchanges {
    fn run(&mut self) {
        let mut answers = 0;
        for _ in 0..self.at_once {
            fit(self.pair.client.open(request(), true));
        }
        while answers < self.at_once {
            for id in self.pair.up() {
                fit(self.pair.gateway.reply(id, reply(), false));
                for piece in &self.body {
                    fit(self.pair.gateway.send(id, piece.clone()));
                }
                fit(self.pair.gateway.finish(id));
            }
            answers += self.pair.down();
        }
    }
}

/// Two connections joined in memory.
struct Pair {
    client: Connection,
    gateway: Connection,
    now: Instant,
}

impl Pair {
    fn new() -> Self {
        let now = Instant::now();
        let client = Connection::new(Role::Client, &config(), now);
        let gateway = Connection::new(Role::Gateway, &config(), now);
        Self { client, gateway, now }
    }

    /// Passes the client's frames to the gateway; returns the requests.
    fn up(&mut self) -> Vec<StreamId> {
        let mut requests = Vec::new();
        while let Some(frame) = self.client.poll_transmit() {
            fit(self.gateway.handle_input(&frame.to_vec(), self.now));
        }
        while let Some(event) = self.gateway.poll_event() {
            if let Event::Request { id, .. } = event {
                requests.push(id);
            }
        }
        requests
    }

    /// Passes the gateway's frames to the client, which takes all of them at once; returns how many
    /// responses ended.
    fn down(&mut self) -> usize {
        let mut ended = 0;
        while let Some(frame) = self.gateway.poll_transmit() {
            fit(self.client.handle_input(&frame.to_vec(), self.now));
            while let Some(event) = self.client.poll_event() {
                if let Event::Data { id, bytes, end } = event {
                    self.client.taken(id, black_box(bytes).len());
                    ended += usize::from(end);
                }
            }
        }
        ended
    }
}

fn config() -> Config {
    Config::default()
}

fn body(size: usize, pieces: usize) -> Vec<Bytes> {
    vec![Bytes::from(vec![7; size]); pieces]
}

fn id() -> StreamId {
    fit(StreamId::new(1).ok_or("0 is no id"))
}

/// A browser's request.
fn request() -> RequestHead {
    let mut head = fit(RequestHead::builder(b"erp", b"GET", b"/orders?open=1&page=2"));
    for (name, value) in [
        ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ("Accept-Language", "en-GB,en;q=0.5"),
        ("Accept-Encoding", "gzip, deflate"),
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
        ("Cookie", "session=0123456789abcdef0123456789abcdef"),
    ] {
        fit(head.push(name.as_bytes(), value.as_bytes()));
    }
    head.build()
}

/// A typical response.
fn reply() -> ReplyHead {
    let mut head = ReplyHead::new(200);
    for (name, value) in [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Length", "4096"),
        ("Date", "Wed, 25 Nov 2026 21:00:00 GMT"),
        ("Server", "Apache-Coyote/1.1"),
        ("Cache-Control", "private, max-age=0"),
    ] {
        fit(head.push(name.as_bytes(), value.as_bytes()));
    }
    head
}

/// Unwraps a result that cannot be an error.
fn fit<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("an operation of the bench failed: {error:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_can_be_repeated() {
        for (name, mut operation) in operations() {
            for _ in 0..3 {
                operation.run();
            }
            assert!(!name.contains(char::is_whitespace), "the table of counts has words");
        }
    }

    #[test]
    fn exchanges_leave_nothing_behind() {
        let mut exchanges = Exchanges { pair: Pair::new(), at_once: 8, body: body(1024, 2) };
        exchanges.run();
        assert_eq!(exchanges.pair.client.stream_count(), 0);
        assert_eq!(exchanges.pair.gateway.stream_count(), 0);
    }
}
