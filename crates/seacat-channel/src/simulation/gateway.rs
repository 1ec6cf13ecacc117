//! A gateway: the protocol's connection, and an application that answers what it can verify.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use fastrand::Rng;
use seacat_proto::{Bytes, Config, Connection, Event, ReplyHead, Role, StreamId};

use super::wire::{Arrival, Lane, Network};
use super::{CHUNK, Plan, pattern};

/// How long a gateway that shuts down waits for the last streams.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// How often each request was carried out, over all gateways.
pub(super) type Executed = HashMap<u32, u32>;

/// A request that the gateway answers.
struct Exchange {
    plan: Plan,
    /// Of its body.
    received: usize,
    answer_at: Instant,
    answered: bool,
    sent: usize,
}

/// The gateway's end of one connection.
pub(super) struct Server {
    connection: Connection,
    exchanges: BTreeMap<StreamId, Exchange>,
    close_at: Option<Instant>,
    is_open: bool,
}

impl Server {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            connection: Connection::new(Role::Gateway, &Config::default(), now),
            exchanges: BTreeMap::new(),
            close_at: None,
            is_open: true,
        }
    }

    /// As SIGTERM does.
    pub(super) fn drain(&mut self, now: Instant) {
        self.connection.drain();
        self.close_at = Some(now + DRAIN_LIMIT);
    }

    /// As SIGKILL does; the kernel answers what still comes.
    pub(super) fn kill(&mut self, lane: &mut Lane, network: Network, now: Instant) {
        if std::mem::take(&mut self.is_open) {
            lane.send(Arrival::Closed, network, now);
        }
    }

    pub(super) fn take(
        &mut self,
        arrival: Arrival,
        executed: &mut Executed,
        rng: &mut Rng,
        now: Instant,
    ) {
        let Arrival::Bytes(bytes) = arrival else {
            self.is_open = false;
            return;
        };
        if !self.is_open {
            return;
        }
        self.connection.handle_input(&bytes, now).expect("the client keeps to the protocol");
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Request { id, head, end } => {
                    let number = std::str::from_utf8(&head.path()[1..]).unwrap().parse().unwrap();
                    let plan = Plan::of(number);
                    *executed.entry(number).or_default() += 1;
                    assert_eq!(end, plan.up == 0, "request {number}");
                    let pause = Duration::from_millis(rng.u64(0..plan.think_ms));
                    let answer_at = now + pause;
                    let exchange =
                        Exchange { plan, received: 0, answer_at, answered: false, sent: 0 };
                    assert!(self.exchanges.insert(id, exchange).is_none(), "{id} came twice");
                }
                Event::Data { id, bytes, end } => {
                    let Some(exchange) = self.exchanges.get_mut(&id) else { continue };
                    let expected = pattern(exchange.plan.number, exchange.received, bytes.len());
                    assert_eq!(bytes, expected, "the body of {}", exchange.plan.number);
                    exchange.received += bytes.len();
                    assert!(!end || exchange.received == exchange.plan.up, "an end too early");
                    self.connection.taken(id, bytes.len());
                }
                Event::Reset { id, .. } => drop(self.exchanges.remove(&id)),
                _ => {}
            }
        }
    }

    /// Answers what is due, and writes what may be written.
    pub(super) fn run(&mut self, lane: &mut Lane, network: Network, now: Instant) {
        if !self.is_open {
            return;
        }
        let connection = &mut self.connection;
        self.exchanges.retain(|id, exchange| {
            let Plan { up, down, .. } = exchange.plan;
            if exchange.received < up || now < exchange.answer_at {
                return true;
            }
            if !exchange.answered {
                exchange.answered = true;
                if connection.reply(*id, ReplyHead::new(200), down == 0).is_err() {
                    return false;
                }
            }
            while exchange.sent < down && connection.send_capacity(*id) > 0 {
                let length = CHUNK.min(down - exchange.sent).min(connection.send_capacity(*id));
                let piece = pattern(exchange.plan.number, exchange.sent, length);
                connection.send(*id, Bytes::from(piece)).expect("there is room");
                exchange.sent += length;
            }
            if exchange.sent == down && down > 0 {
                connection.finish(*id).expect("it was answered");
            }
            exchange.sent < down
        });
        while let Some(frame) = connection.poll_transmit() {
            lane.send(Arrival::Bytes(frame.to_vec()), network, now);
        }
        let due = self.close_at.is_some_and(|at| now >= at);
        if due || connection.is_drained() {
            self.kill(lane, network, now);
        }
    }
}
