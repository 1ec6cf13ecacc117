//! A whole connection in either role: arbitrary bytes from a peer, valid calls of a program, and
//! time.
//!
//! Compared with a small model (`seacat_fuzz::Model`): no panic, no event of a stream that has
//! ended, no more queued than the limits allow, nothing written that we could not read.

#![no_main]

use std::time::{Duration, Instant};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use seacat_fuzz::{Input, Model};
use seacat_proto::{
    Config, Connection, ConnectionError, Event, Extensions, KeepAliveConfig, OpenError, Reason,
    ReplyHead, RequestHead, Role, SocketsCode,
};

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let Some(mut harness) = Harness::new(&mut input) else {
        return;
    };
    while let Some(step) = input.byte() {
        if harness.step(step, &mut input).is_none() {
            break;
        }
    }
    harness.write_all();
});

/// Frames the connection may have queued beyond two for each stream and those of our own calls.
const MAX_OWED: usize = 1024;

struct Harness {
    connection: Connection,
    model: Model,
    role: Role,
    max_streams: usize,
    windows: bool,
    now: Instant,
    /// Calls since the last time everything was written; each may queue one frame or two.
    calls: usize,
    /// Body bytes queued since then.
    queued: usize,
}

impl Harness {
    fn new(input: &mut Input<'_>) -> Option<Self> {
        let first = input.byte()?;
        let role = if first & 1 == 0 { Role::Client } else { Role::Gateway };
        let keepalive = (first & 2 != 0).then(KeepAliveConfig::default);
        let max_streams = 1 + usize::from(first >> 2);
        let windows = first & 4 != 0;
        let extensions = if windows { Extensions::ALL } else { Extensions::NONE };
        let config = Config { keepalive, max_streams, extensions };
        let now = Instant::now();
        let connection = Connection::new(role, &config, now);
        let model = Model::new(role);
        Some(Self { connection, model, role, max_streams, windows, now, calls: 0, queued: 0 })
    }

    /// One step; `None` at the end of the input or of the connection.
    fn step(&mut self, step: u8, input: &mut Input<'_>) -> Option<()> {
        match step % 10 {
            0..=2 => self.receive(input.piece()?).ok()?,
            3 => self.head(input.byte()?),
            4 => self.send(input.byte()?, usize::from(input.byte()?) * 257),
            5 => self.finish(input.byte()?),
            6 => self.reset(input.byte()?, input.byte()?),
            7 => self.wait(Duration::from_millis(u64::from(input.byte()?) * 256)).ok()?,
            8 => self.write(usize::from(input.byte()?)),
            _ => match input.byte()? {
                0 => self.connection.drain(),
                byte @ 64..=127 => {
                    if let Some(id) = self.model.pick(byte) {
                        self.calls += 1;
                        self.connection.taken(id, usize::from(input.byte()?) * 257);
                    }
                }
                1..=63 => {
                    self.calls += 1;
                    self.connection.ping(self.now);
                }
                byte @ 128..=159 => self.socket(byte),
                _ => self.write_all(),
            },
        }
        Some(())
    }

    fn receive(&mut self, piece: &[u8]) -> Result<(), ConnectionError> {
        let outcome = self.connection.handle_input(piece, self.now);
        let mut count = 0;
        while let Some(event) = self.connection.poll_event() {
            self.model.received(&event);
            count += 1;
        }
        // The shortest frame has eight bytes, one of which may have come before.
        assert!(count <= piece.len() / 8 + 1, "{count} events from {} bytes", piece.len());
        assert!(self.connection.stream_count() <= self.max_streams);
        outcome
    }

    /// Opens a stream or answers one.
    fn head(&mut self, byte: u8) {
        self.calls += 1;
        let end = byte & 1 == 1;
        match self.role {
            Role::Client => {
                let head = RequestHead::new(b"host", b"GET", b"/").expect("short");
                match self.connection.open(head, end) {
                    Ok(id) => self.model.opened(id, end),
                    Err(OpenError::TooManyStreams) => {
                        assert!(!self.connection.can_open());
                    }
                    Err(OpenError::Draining | OpenError::Exhausted) => {}
                }
            }
            Role::Gateway => {
                let Some(id) = self.model.pick(byte >> 1) else {
                    return;
                };
                let tail = !self.connection.has_windows();
                let granted = self.connection.reply(id, ReplyHead::new(200), end).is_ok();
                self.model.replied(id, end, tail, granted);
            }
        }
    }

    /// Asks for a reverse socket, or grants or declines one.
    fn socket(&mut self, byte: u8) {
        self.calls += 1;
        match (self.role, self.model.pick(byte >> 1)) {
            (Role::Gateway, _) => {
                if let Ok(id) = self.connection.connect(22) {
                    self.model.asked(id);
                }
            }
            (Role::Client, Some(id)) if byte & 1 == 0 => {
                let granted = self.connection.accept(id).is_ok();
                self.model.accepted(id, granted);
            }
            (Role::Client, Some(id)) if !id.is_odd() => {
                self.connection.refuse(id, SocketsCode::NOT_CONFIGURED);
                self.model.gave_up(id);
            }
            (Role::Client, _) => {}
        }
    }

    /// Queues a piece of a body if there is capacity.
    fn send(&mut self, nth: u8, length: usize) {
        let Some(id) = self.model.pick(nth) else {
            return;
        };
        if self.connection.send_capacity(id) == 0 {
            return;
        }
        let granted = self.connection.send(id, Bytes::from(vec![b'x'; length])).is_ok();
        self.model.sent(id, length, granted);
        if granted {
            self.calls += 1;
            self.queued += length;
        }
    }

    fn finish(&mut self, nth: u8) {
        let Some(id) = self.model.pick(nth) else {
            return;
        };
        self.calls += 1;
        let granted = self.connection.finish(id).is_ok();
        self.model.finished(id, granted);
    }

    fn reset(&mut self, nth: u8, reason: u8) {
        let Some(id) = self.model.pick(nth) else {
            return;
        };
        self.calls += 1;
        self.connection.reset(id, Reason(u32::from(reason)));
        self.model.gave_up(id);
        assert_eq!(self.connection.send_capacity(id), 0);
    }

    fn wait(&mut self, time: Duration) -> Result<(), ConnectionError> {
        self.now += time;
        while self.connection.poll_timeout().is_some_and(|deadline| deadline <= self.now) {
            let before = self.connection.poll_timeout();
            self.calls += 1;
            self.connection.handle_timeout(self.now)?;
            assert_ne!(before, self.connection.poll_timeout(), "a deadline that stays is a spin");
        }
        Ok(())
    }

    /// Takes at most `count` frames.
    fn write(&mut self, count: usize) {
        for _ in 0..count {
            let Some(frame) = self.connection.poll_transmit() else {
                break;
            };
            self.model.wrote(&frame);
        }
    }

    /// Takes all frames; then nothing is queued anywhere.
    fn write_all(&mut self) {
        let most = MAX_OWED + 2 * self.max_streams + 2 * self.calls + self.queued / 1024;
        let mut count = 0;
        while let Some(frame) = self.connection.poll_transmit() {
            self.model.wrote(&frame);
            count += 1;
            assert!(count <= most + 1, "{count} frames for {} calls", self.calls);
        }
        for id in self.model.alive() {
            // With windows the peer may be what a stream waits for.
            let capacity = self.connection.send_capacity(id);
            assert!(self.windows || capacity == Connection::SEND_QUEUE, "{id} was left behind");
        }
        (self.calls, self.queued) = (0, 0);
        assert!(!matches!(self.connection.poll_event(), Some(Event::Request { .. })));
    }
}
