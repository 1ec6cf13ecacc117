//! The reconnect machine: what to do next, and for how long not to. Pure: time is an argument,
//! chance is a seed, and dialling is an [`Action`] that somebody else performs.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::backoff::{Backoff, LONGEST};
use crate::failure::{Failure, Remedy};
use crate::order::{Rank, order};

/// A connection counts as proven after one PONG. Until then a server that accepts TLS and says
/// nothing could hold requests: this is how long it may. Generous for a satellite link.
pub(crate) const PROVE_LIMIT: Duration = Duration::from_secs(10);

/// A connection that was up for this long and is lost is dialled again at once; a shorter one
/// counts as a failed attempt, or a gateway that hangs up on us would be dialled in a tight loop.
pub(crate) const STEADY: Duration = Duration::from_secs(10);

/// While somebody waits for a connection, rounds of dialling follow each other after this pause
/// at the latest: a person who tries again should not be told of a back-off of minutes.
pub(crate) const HURRY: Duration = Duration::from_secs(2);

/// Where the channel is.
///
/// ```text
///            Connect               Up                 Pong
///     Off ────────────► Dialing ────────► Proving ────────────► Connected
///                       ▲ │ ▲ │              │                      │
///                       │ │ └─┼── next ◄─────┤ Lost,                │ Lost: steady → dial anew
///                       │ │   │  gateway or  │ no PONG in time      │       else as a failed dial
///                       │ │   │  target      │                      │
///                       │ │   │              ▼                      ▼
///                 Timer │ │ Failed, and no gateway is left in this round
///                       │ ▼                  ▼
///                     Waiting             Stopped      (every failure of the round is permanent)
///
///     Wanted cuts Waiting short, unless only a slow cure is in sight.
///     Connect and NetworkChanged leave Waiting and Stopped for Dialing, with a fresh back-off.
///     Identity does too, and moves a connection that is up to a new one.
///     Disconnect leads to Off.   Drain leads to Draining (a connection is up) or Ended.
///     Draining ends with the connection or at its deadline; Ended is for ever.
/// ```
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// Nobody wants a connection.
    Off,
    /// TCP and TLS with this gateway (an index into the list) are under way, or the look-up of
    /// where it is.
    Dialing { gateway: usize },
    /// TLS is up and a PING on its way. Requests may already travel.
    Proving { gateway: usize, until: Instant },
    /// The gateway has answered a PING.
    Connected { gateway: usize, since: Instant },
    /// Every gateway has failed; the next round begins then, or at `soonest` if somebody asks.
    Waiting { soonest: Instant, until: Instant, why: Failure },
    /// Every gateway has failed for good; a human must change something.
    Stopped { why: Failure },
    /// What runs may finish until then; nothing new is taken.
    Draining { until: Instant },
    /// The channel is over.
    Ended,
}

/// What may happen to the machine.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// Somebody wants to be connected, now.
    Connect,
    /// A request waits.
    Wanted,
    /// Somebody does not want to be connected.
    Disconnect,
    /// The computer woke up, or has another network.
    NetworkChanged,
    /// The list of gateways is another one; `keep` is where the one in use stands in it, unless
    /// it is gone or has changed.
    Gateways { list: Vec<Rank>, keep: Option<usize> },
    /// The gateway that was to be dialled is one of these targets, at least one.
    Found(Vec<Rank>),
    /// The gateway being dialled has a TLS connection with us.
    Up,
    /// The gateway being dialled could not be reached or believed.
    Failed(Failure),
    /// A PING was answered.
    Pong,
    /// The connection has no stream ids left.
    Spent,
    /// What connections say about who we are has changed.
    Identity,
    /// The connection is over.
    Lost(Failure),
    /// [`Machine::deadline`] has passed.
    Timer,
    /// Finish what runs until then, take nothing new.
    Drain { until: Instant },
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Dial this gateway, or find out where it is.
    Dial(usize),
    /// Dial one of the targets that were found for this gateway.
    DialTarget { gateway: usize, target: usize },
    /// Give up the dialling that is under way.
    StopDialing,
    /// Send a PING at once.
    Ping,
    /// Close the connection now; what runs on it is lost.
    Close,
    /// Take nothing new on the connection; it ends with its last stream.
    Drain,
    /// Let go of the connection: what runs on it may finish, everything new goes elsewhere.
    Retire,
}

/// What a round has yet to try.
#[derive(Clone, Copy, Debug)]
enum Candidate {
    Gateway(usize),
    Target { gateway: usize, target: usize },
}

/// The machine. See [`Phase`].
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    phase: Phase,
    gateways: Vec<Rank>,
    /// What this round has not tried yet.
    rest: VecDeque<Candidate>,
    /// The most hopeful failure of this round.
    verdict: Option<Failure>,
    /// Dials since the last steady connection.
    attempt: u32,
    last_failure: Option<Failure>,
    backoff: Backoff,
    rng: fastrand::Rng,
}

impl Machine {
    /// A machine that is [`Phase::Off`].
    pub(crate) fn new(gateways: Vec<Rank>, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        Self {
            phase: Phase::Off,
            gateways,
            rest: VecDeque::new(),
            verdict: None,
            attempt: 0,
            last_failure: None,
            backoff: Backoff::new(rng.u64(..)),
            rng,
        }
    }

    pub(crate) fn phase(&self) -> &Phase {
        &self.phase
    }

    /// How many dials there were since the last steady connection, the current one included.
    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The failure before the present state, if there was one.
    pub(crate) fn last_failure(&self) -> Option<&Failure> {
        self.last_failure.as_ref()
    }

    /// When [`Input::Timer`] is wanted.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Proving { until, .. }
            | Phase::Waiting { until, .. }
            | Phase::Draining { until } => Some(until),
            _ => None,
        }
    }

    /// Takes one step. The actions are to be performed in order.
    pub(crate) fn handle(&mut self, input: Input, now: Instant) -> Vec<Action> {
        if matches!(self.phase, Phase::Ended) {
            return Vec::new();
        }
        match input {
            Input::Connect => self.connect(),
            Input::Wanted => self.wanted(),
            Input::Disconnect => self.disconnect(),
            Input::NetworkChanged => self.network_changed(),
            Input::Gateways { list, keep } => self.gateways(list, keep),
            Input::Found(targets) => self.found(&targets),
            Input::Up => self.up(now),
            Input::Failed(failure) => self.failed(failure, now),
            Input::Pong => self.pong(now),
            Input::Spent => self.move_on(),
            Input::Identity => self.identity(),
            Input::Lost(failure) => self.lost(failure, now),
            Input::Timer => self.timer(now),
            Input::Drain { until } => self.drain(until),
        }
    }

    fn connect(&mut self) -> Vec<Action> {
        match self.phase {
            Phase::Off | Phase::Waiting { .. } | Phase::Stopped { .. } => self.dial_afresh(),
            Phase::Dialing { .. } => {
                self.backoff.restart();
                Vec::new()
            }
            Phase::Proving { .. } | Phase::Connected { .. } => vec![Action::Ping],
            Phase::Draining { .. } | Phase::Ended => Vec::new(),
        }
    }

    fn wanted(&mut self) -> Vec<Action> {
        if let Phase::Waiting { soonest, until, .. } = &mut self.phase {
            *until = *soonest;
        }
        Vec::new()
    }

    fn disconnect(&mut self) -> Vec<Action> {
        let actions = match self.phase {
            Phase::Dialing { .. } => vec![Action::StopDialing],
            Phase::Proving { .. } | Phase::Connected { .. } => vec![Action::Close],
            Phase::Off | Phase::Waiting { .. } | Phase::Stopped { .. } => Vec::new(),
            Phase::Draining { .. } | Phase::Ended => return Vec::new(),
        };
        self.phase = Phase::Off;
        actions
    }

    /// A new network may lead where the old one did not, and may not intercept TLS: even what
    /// was permanent is tried again, and what is being dialled is dialled anew.
    fn network_changed(&mut self) -> Vec<Action> {
        match self.phase {
            Phase::Waiting { .. } | Phase::Stopped { .. } => self.dial_afresh(),
            Phase::Dialing { .. } => self.redial(),
            Phase::Proving { .. } | Phase::Connected { .. } => vec![Action::Ping],
            Phase::Off | Phase::Draining { .. } | Phase::Ended => Vec::new(),
        }
    }

    fn gateways(&mut self, list: Vec<Rank>, keep: Option<usize>) -> Vec<Action> {
        self.gateways = list;
        match (&mut self.phase, keep) {
            (Phase::Proving { gateway, .. } | Phase::Connected { gateway, .. }, Some(index)) => {
                *gateway = index;
                self.rest = self.order();
                self.rest.retain(|other| !matches!(other, Candidate::Gateway(it) if *it == index));
                Vec::new()
            }
            (Phase::Proving { .. } | Phase::Connected { .. }, None) => self.move_on(),
            (Phase::Dialing { .. }, _) => self.redial(),
            (Phase::Waiting { .. } | Phase::Stopped { .. }, _) => self.dial_afresh(),
            (Phase::Off | Phase::Draining { .. } | Phase::Ended, _) => Vec::new(),
        }
    }

    /// The targets take their gateway's place in the round, in an order of their own.
    fn found(&mut self, targets: &[Rank]) -> Vec<Action> {
        let Phase::Dialing { gateway } = self.phase else {
            return Vec::new();
        };
        // The look-up was no dial.
        self.attempt = self.attempt.saturating_sub(1);
        for target in order(targets, &mut self.rng).into_iter().rev() {
            self.rest.push_front(Candidate::Target { gateway, target });
        }
        self.rest.pop_front().map(|first| self.dial(first)).unwrap_or_default()
    }

    fn up(&mut self, now: Instant) -> Vec<Action> {
        let Phase::Dialing { gateway } = self.phase else {
            return Vec::new();
        };
        self.phase = Phase::Proving { gateway, until: now + PROVE_LIMIT };
        vec![Action::Ping]
    }

    fn pong(&mut self, now: Instant) -> Vec<Action> {
        if let Phase::Proving { gateway, .. } = self.phase {
            self.phase = Phase::Connected { gateway, since: now };
        }
        Vec::new()
    }

    /// What runs goes on there; everything new needs another connection.
    fn move_on(&mut self) -> Vec<Action> {
        match self.phase {
            Phase::Proving { .. } | Phase::Connected { .. } => {
                let mut actions = vec![Action::Retire];
                actions.extend(self.dial_afresh());
                actions
            }
            _ => Vec::new(),
        }
    }

    /// As another self, what was refused may be accepted.
    fn identity(&mut self) -> Vec<Action> {
        match self.phase {
            Phase::Waiting { .. } | Phase::Stopped { .. } => self.dial_afresh(),
            Phase::Dialing { .. } => self.redial(),
            Phase::Proving { .. } | Phase::Connected { .. } => self.move_on(),
            Phase::Off | Phase::Draining { .. } | Phase::Ended => Vec::new(),
        }
    }

    fn failed(&mut self, failure: Failure, now: Instant) -> Vec<Action> {
        match self.phase {
            Phase::Dialing { .. } => self.try_next(failure, now),
            _ => Vec::new(),
        }
    }

    fn lost(&mut self, failure: Failure, now: Instant) -> Vec<Action> {
        match self.phase {
            Phase::Connected { since, .. } if now.duration_since(since) >= STEADY => {
                self.last_failure = Some(failure);
                self.dial_afresh()
            }
            Phase::Proving { .. } | Phase::Connected { .. } => self.try_next(failure, now),
            Phase::Draining { .. } => {
                self.phase = Phase::Ended;
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn timer(&mut self, now: Instant) -> Vec<Action> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Vec::new();
        }
        match self.phase {
            Phase::Waiting { .. } => self.dial_round(),
            Phase::Proving { .. } => {
                let mut actions = vec![Action::Close];
                actions.extend(self.try_next(Failure::Silent(PROVE_LIMIT), now));
                actions
            }
            Phase::Draining { .. } => {
                self.phase = Phase::Ended;
                vec![Action::Close]
            }
            _ => Vec::new(),
        }
    }

    fn drain(&mut self, until: Instant) -> Vec<Action> {
        let (phase, actions) = match self.phase {
            Phase::Proving { .. } | Phase::Connected { .. } => {
                (Phase::Draining { until }, vec![Action::Drain])
            }
            Phase::Draining { .. } => (Phase::Draining { until }, Vec::new()),
            Phase::Dialing { .. } => (Phase::Ended, vec![Action::StopDialing]),
            _ => (Phase::Ended, Vec::new()),
        };
        self.phase = phase;
        actions
    }

    /// A new round with new hope.
    fn dial_afresh(&mut self) -> Vec<Action> {
        self.backoff.restart();
        self.attempt = 0;
        self.dial_round()
    }

    fn redial(&mut self) -> Vec<Action> {
        let mut actions = vec![Action::StopDialing];
        actions.extend(self.dial_afresh());
        actions
    }

    /// A round tries every gateway once.
    fn dial_round(&mut self) -> Vec<Action> {
        self.rest = self.order();
        self.verdict = None;
        match self.rest.pop_front() {
            Some(first) => self.dial(first),
            None => {
                self.last_failure = Some(Failure::NoGateway);
                self.phase = Phase::Stopped { why: Failure::NoGateway };
                Vec::new()
            }
        }
    }

    fn dial(&mut self, candidate: Candidate) -> Vec<Action> {
        let (gateway, action) = match candidate {
            Candidate::Gateway(gateway) => (gateway, Action::Dial(gateway)),
            Candidate::Target { gateway, target } => {
                (gateway, Action::DialTarget { gateway, target })
            }
        };
        self.attempt = self.attempt.saturating_add(1);
        self.phase = Phase::Dialing { gateway };
        vec![action]
    }

    fn order(&mut self) -> VecDeque<Candidate> {
        order(&self.gateways, &mut self.rng).into_iter().map(Candidate::Gateway).collect()
    }

    /// After a failure: the next gateway of the round, or the end of the round.
    fn try_next(&mut self, failure: Failure, now: Instant) -> Vec<Action> {
        self.last_failure = Some(failure.clone());
        let why = match self.verdict.take() {
            Some(verdict) if verdict.remedy() <= failure.remedy() => verdict,
            _ => failure,
        };
        if let Some(next) = self.rest.pop_front() {
            self.verdict = Some(why);
            return self.dial(next);
        }
        self.phase = match why.remedy() {
            Remedy::Retry => {
                let pause = self.backoff.next();
                Phase::Waiting { soonest: now + pause.min(HURRY), until: now + pause, why }
            }
            Remedy::RetrySlowly => {
                Phase::Waiting { soonest: now + LONGEST, until: now + LONGEST, why }
            }
            Remedy::Human => Phase::Stopped { why },
        };
        Vec::new()
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
