//! The client: the reconnect machine and its connections, joined as the channel's driver joins them.

use std::time::{Duration, Instant};

use seacat_link::{Closed, LinkConfig};
use seacat_proto::{
    Bytes, Connection, ConnectionError, Event, OpenError, Reason, RequestHead, Role, StreamId,
};

use super::wire::{Arrival, Lane, Network};
use super::{CHUNK, Plan, pattern};
use crate::failure::Failure;
use crate::order::Rank;
use crate::state::{Action, Input, Machine, Phase};

/// How long a request waits for a connection.
const WAIT: Duration = crate::DEFAULT_WAIT;
/// See `SILENT_LIMIT` in driver/live.rs.
const SILENT_LIMIT: Duration = Duration::from_secs(10);
/// Sent and not answered for this long: seacat-link says so.
const UNANSWERED: Duration = Duration::from_secs(1);

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Progress {
    Waiting,
    On { connection: u32, id: StreamId, sent: usize, received: usize },
    Answered,
    NotConnected,
    Lost,
}

/// A request of an application.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) plan: Plan,
    pub(super) came: Instant,
    pub(super) ended: Option<Instant>,
    pub(super) progress: Progress,
}

/// Our end of one connection.
pub(super) struct Tcp {
    pub(super) number: u32,
    pub(super) connection: Connection,
    /// The next frame is news, see [`Action::Ping`].
    listens: bool,
    /// Sent since the last frame came.
    unanswered: Option<Instant>,
    /// When it is closed, if it was let go of.
    until: Option<Instant>,
}

/// A dial under way: it ends then.
pub(super) struct Dial {
    pub(super) gateway: usize,
    pub(super) ends: Instant,
}

pub(super) struct Client {
    pub(super) machine: Machine,
    pub(super) dial: Option<Dial>,
    /// The gateway to dial next.
    pub(super) to_dial: Option<usize>,
    pub(super) live: Option<Tcp>,
    pub(super) standby: Option<Tcp>,
    pub(super) leaving: Vec<Tcp>,
    /// Closed on our side; the world tells the other end.
    pub(super) closed: Vec<u32>,
    pub(super) requests: Vec<Request>,
    connections: u32,
}

impl Client {
    pub(super) fn new(gateways: usize, seed: u64, now: Instant) -> Self {
        let ranks =
            (0..gateways).map(|it| Rank { priority: u16::try_from(it).unwrap(), weight: 0 });
        let mut client = Self {
            machine: Machine::new(ranks.collect(), seed),
            dial: None,
            to_dial: None,
            live: None,
            standby: None,
            leaving: Vec::new(),
            closed: Vec::new(),
            requests: Vec::new(),
            connections: 0,
        };
        client.step(Input::Connect, now);
        client
    }

    pub(super) fn step(&mut self, input: Input, now: Instant) {
        for action in self.machine.handle(input, now) {
            self.perform(action, now);
        }
    }

    fn perform(&mut self, action: Action, now: Instant) {
        match action {
            Action::Dial(gateway) => self.to_dial = Some(gateway),
            Action::DialTarget { .. } => unreachable!("nothing is discovered here"),
            Action::StopDialing => (self.dial, self.to_dial) = (None, None),
            Action::Ping => {
                if let Some(live) = &mut self.live {
                    live.connection.ping(now);
                    live.listens = true;
                }
            }
            Action::Close => self.close(|it| it.live.take()),
            Action::CloseStandby => self.close(|it| it.standby.take()),
            Action::Drain | Action::Retire => {
                let retired = self.live.take();
                self.let_go(retired, now + Duration::from_secs(3600));
            }
            Action::StandBy => self.standby = self.live.take(),
            Action::Resume => self.live = self.standby.take(),
            Action::ReleaseStandby => {
                let released = self.standby.take();
                self.let_go(released, now + Duration::from_secs(3600));
            }
            Action::AbandonStandby => self.abandon(now),
        }
    }

    fn close(&mut self, take: impl FnOnce(&mut Self) -> Option<Tcp>) {
        if let Some(tcp) = take(self) {
            self.closed.push(tcp.number);
            self.end_requests(tcp.number);
        }
    }

    fn let_go(&mut self, tcp: Option<Tcp>, until: Instant) {
        if let Some(mut tcp) = tcp {
            tcp.connection.drain();
            tcp.until = Some(until);
            self.leaving.push(tcp);
        }
    }

    /// What may be sent again is; the rest has a moment.
    fn abandon(&mut self, now: Instant) {
        let Some(mut tcp) = self.standby.take() else { return };
        for request in &mut self.requests {
            if let Progress::On { connection, id, received: 0, .. } = request.progress
                && connection == tcp.number
                && request.plan.repeatable
            {
                tcp.connection.reset(id, Reason::CANCEL);
                request.progress = Progress::Waiting;
            }
        }
        self.let_go(Some(tcp), now + SILENT_LIMIT);
    }

    /// The requests of a connection that is gone: again, if they may be, else lost.
    fn end_requests(&mut self, number: u32) {
        for request in &mut self.requests {
            if let Progress::On { connection, received, .. } = request.progress
                && connection == number
            {
                let again = request.plan.repeatable && received == 0;
                request.progress = if again { Progress::Waiting } else { Progress::Lost };
            }
        }
    }

    /// The dial has ended: with a connection, whose number is returned, or without one.
    pub(super) fn dialled(&mut self, reached: bool, now: Instant) -> Option<u32> {
        self.dial.take()?;
        if !reached {
            self.step(Input::Failed(Failure::HungUp), now);
            return None;
        }
        self.connections += 1;
        let number = self.connections;
        let connection = Connection::new(Role::Client, &LinkConfig::client().proto, now);
        let (listens, unanswered, until) = (true, None, None);
        assert!(self.live.is_none(), "two connections");
        self.live = Some(Tcp { number, connection, listens, unanswered, until });
        self.step(Input::Up, now);
        Some(number)
    }

    /// Something has come on a connection.
    pub(super) fn take(&mut self, number: u32, arrival: Arrival, now: Instant) {
        let Arrival::Bytes(bytes) = arrival else {
            return self.gone(number, Failure::from_closed(Closed::Truncated), now);
        };
        let Some(tcp) = self.find(number) else { return };
        tcp.connection.handle_input(&bytes, now).expect("the gateway keeps to the protocol");
        let heard = std::mem::take(&mut tcp.listens);
        tcp.unanswered = None;
        let mut events = Vec::new();
        while let Some(event) = tcp.connection.poll_event() {
            if let Event::Data { id, bytes, .. } = &event {
                tcp.connection.taken(*id, bytes.len());
            }
            events.push(event);
        }
        let is_live = self.is_live(number);
        match (heard, is_live) {
            (true, true) => self.step(Input::Heard, now),
            (true, false) if self.is_standby(number) => self.step(Input::StandbyHeard, now),
            _ => {}
        }
        for event in events {
            self.heard(number, event, now);
        }
    }

    fn heard(&mut self, number: u32, event: Event, now: Instant) {
        let (id, bytes, end, reset) = match event {
            Event::GoAway if self.is_live(number) => return self.step(Input::Spent, now),
            Event::GoAway if self.is_standby(number) => return self.step(Input::StandbySpent, now),
            Event::Reply { id, end, .. } => (id, Bytes::new(), end, None),
            Event::Data { id, bytes, end } => (id, bytes, end, None),
            Event::Reset { id, reason } => (id, Bytes::new(), false, Some(reason)),
            _ => return,
        };
        let on = |request: &&mut Request| matches!(request.progress, Progress::On { connection, id: it, .. } if connection == number && it == id);
        let Some(request) = self.requests.iter_mut().find(on) else { return };
        let Progress::On { received, .. } = &mut request.progress else { return };
        let expected = pattern(request.plan.number, *received, bytes.len());
        assert_eq!(bytes, expected, "the answer of {}", request.plan.number);
        *received += bytes.len();
        match reset {
            Some(Reason::REFUSED_STREAM) => request.progress = Progress::Waiting,
            Some(_) => request.progress = Progress::Lost,
            None if end => {
                assert_eq!(*received, request.plan.down, "an end too early");
                request.progress = Progress::Answered;
            }
            None => {}
        }
    }

    fn gone(&mut self, number: u32, why: Failure, now: Instant) {
        let (was_live, was_standby) = (self.is_live(number), self.is_standby(number));
        self.closed.push(number);
        self.leaving.retain(|it| it.number != number);
        if was_live {
            self.live = None;
            self.step(Input::Lost(why), now);
        } else if was_standby {
            self.standby = None;
            self.step(Input::StandbyLost(why), now);
        }
        self.end_requests(number);
    }

    /// Whatever is due: timers, requests that wait, bytes to be sent.
    pub(super) fn run(&mut self, now: Instant, mut send: impl FnMut(u32, Vec<u8>)) {
        if self.machine.deadline().is_some_and(|it| it <= now) {
            self.step(Input::Timer, now);
        }
        self.time_out(now);
        self.open_waiting(now);
        self.send_bodies();
        for tcp in self.live.iter_mut().chain(&mut self.standby).chain(&mut self.leaving) {
            while let Some(frame) = tcp.connection.poll_transmit() {
                tcp.unanswered.get_or_insert(now);
                send(tcp.number, frame.to_vec());
            }
        }
        for request in &mut self.requests {
            if !matches!(request.progress, Progress::Waiting | Progress::On { .. }) {
                request.ended.get_or_insert(now);
            }
        }
    }

    fn time_out(&mut self, now: Instant) {
        let mut dead = Vec::new();
        for tcp in self.live.iter_mut().chain(&mut self.standby).chain(&mut self.leaving) {
            let due = tcp.connection.poll_timeout().is_some_and(|it| it <= now);
            let failed = due && tcp.connection.handle_timeout(now).is_err();
            let over = tcp.until.is_some_and(|it| now >= it || tcp.connection.is_drained());
            if failed || over {
                dead.push(tcp.number);
            }
        }
        for number in dead {
            let dead = Closed::Protocol(ConnectionError::Dead);
            self.gone(number, Failure::from_closed(dead), now);
        }
        let silent = |it: &Tcp| it.unanswered.is_some_and(|since| now >= since + UNANSWERED);
        if let Some(live) = self.live.as_mut().filter(|it| silent(it)) {
            // Once for each silence.
            live.unanswered = Some(now + Duration::from_secs(3600));
            self.step(Input::Unanswered, now);
        }
    }

    fn open_waiting(&mut self, now: Instant) {
        let mut wanted = false;
        for index in 0..self.requests.len() {
            let &Request { plan, came, progress, .. } = &self.requests[index];
            if progress != Progress::Waiting {
                continue;
            }
            if self.usable().is_none() {
                wanted = true;
                if now >= came + WAIT {
                    self.requests[index].progress = Progress::NotConnected;
                }
                continue;
            }
            let path = format!("/{}", plan.number);
            let method: &[u8] = if plan.repeatable { b"GET" } else { b"POST" };
            let head = RequestHead::new(b"host", method, path.as_bytes()).expect("it is short");
            let Some(tcp) = self.usable() else { continue };
            match tcp.connection.open(head, plan.up == 0) {
                Ok(id) => {
                    let connection = tcp.number;
                    self.requests[index].progress =
                        Progress::On { connection, id, sent: 0, received: 0 };
                }
                Err(OpenError::Draining | OpenError::Exhausted) if self.standby.is_none() => {
                    self.step(Input::Spent, now);
                }
                Err(_) => {}
            }
        }
        if wanted {
            self.step(Input::Wanted, now);
        }
    }

    fn send_bodies(&mut self) {
        for index in 0..self.requests.len() {
            let plan = self.requests[index].plan;
            let Progress::On { connection, id, mut sent, received } = self.requests[index].progress
            else {
                continue;
            };
            let Some(tcp) = self.find(connection) else { continue };
            while sent < plan.up && tcp.connection.send_capacity(id) > 0 {
                let length = CHUNK.min(plan.up - sent).min(tcp.connection.send_capacity(id));
                let piece = pattern(plan.number, sent, length);
                if tcp.connection.send(id, Bytes::from(piece)).is_err() {
                    break;
                }
                sent += length;
                if sent == plan.up {
                    tcp.connection.finish(id).expect("its body was being sent");
                }
            }
            self.requests[index].progress = Progress::On { connection, id, sent, received };
        }
    }

    /// The connection that takes requests.
    fn usable(&mut self) -> Option<&mut Tcp> {
        match self.machine.phase() {
            _ if self.machine.standby_serves() => self.standby.as_mut(),
            Phase::Proving { .. } | Phase::Connected { .. } => self.live.as_mut(),
            _ => None,
        }
    }

    fn is_live(&self, number: u32) -> bool {
        self.live.as_ref().is_some_and(|it| it.number == number)
    }

    fn is_standby(&self, number: u32) -> bool {
        self.standby.as_ref().is_some_and(|it| it.number == number)
    }

    pub(super) fn has_let_go_of(&self, number: u32) -> bool {
        self.leaving.iter().any(|it| it.number == number)
    }

    fn find(&mut self, number: u32) -> Option<&mut Tcp> {
        let all = self.live.iter_mut().chain(&mut self.standby).chain(&mut self.leaving);
        all.into_iter().find(|it| it.number == number)
    }
}

/// What goes through the lanes of one connection.
pub(super) struct Wire {
    pub(super) number: u32,
    pub(super) gateway: usize,
    pub(super) up: Lane,
    pub(super) down: Lane,
    pub(super) server: super::gateway::Server,
}

impl Wire {
    pub(super) fn die(&mut self) {
        self.up.die();
        self.down.die();
    }

    pub(super) fn hang_up(&mut self, network: Network, now: Instant) {
        self.up.send(Arrival::Closed, network, now);
    }
}
