//! The reconnect machine: what to do next, and for how long not to. Pure: time is an argument,
//! chance is a seed, and dialling is an [`Action`] that the driver performs.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use seacat_link::Closed;
use seacat_proto::ConnectionError;

use crate::backoff::Backoff;
use crate::failure::{Failure, Remedy};
use crate::order::{Rank, order};

/// A connection counts as proven with the gateway's first frame. Until then a server that accepts
/// TLS and says nothing could hold requests: this is how long it may. Generous for a satellite link.
pub(crate) const PROVE_LIMIT: Duration = Duration::from_secs(10);

/// A connection that was up for this long has shown that the gateway wants it: what the identity
/// concludes from a short one (`identity/silent_rejection.rs`) it does not conclude from this.
pub(crate) const STEADY: Duration = Duration::from_secs(10);

/// A connection that was up for this long and is lost is dialled again at once, every time; after a
/// shorter one only once in a row, or a gateway that hangs up on us would be dialled in a tight loop.
const LASTING: Duration = Duration::from_secs(2);

/// A connection that is asked for a sign of life has this long to give one. Longer than most round
/// trips; where it is too short, another connection is dialled in vain.
const PROBE_LIMIT: Duration = Duration::from_millis(500);

/// While a request waits for a connection, rounds of dialling follow each other after this pause
/// at the latest: a person who tries again should not be told of a back-off of minutes.
pub(crate) const HURRY: Duration = Duration::from_secs(2);

/// The same in the first moments after a loss, when a gateway is most likely being restarted. Half
/// of it is jitter.
const QUICK: Duration = Duration::from_millis(200);
/// How long those moments last.
const QUICK_FOR: Duration = Duration::from_secs(5);

/// The same after a failure that the network or the gateway must heal ([`Remedy::RetrySlowly`]): a
/// captive portal that was signed in to is noticed within ten seconds.
const PATIENCE: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(10)];

/// Connected to a gateway that is not the preferred one, we look after that one for the first time
/// after the former, and less and less often up to the latter.
const FAILBACK: [Duration; 2] = [Duration::from_secs(20), Duration::from_secs(300)];

/// How long the preferred gateway has to be well before requests move back to it.
const WELL: Duration = Duration::from_secs(5);

/// A preferred gateway that was well for this long is looked after as if it had never failed.
const RELIABLE: Duration = Duration::from_secs(60);

/// Where the channel is.
///
/// ```text
///            Connect               Up                 Heard
///     Off ────────────► Dialing ────────► Proving ────────────► Connected
///                       ▲ │ ▲ │              │                      │
///                       │ │ └─┼── next ◄─────┤ Lost,                │ Lost: dial anew, or after
///                       │ │   │  gateway or  │ nothing heard        │       several short ones
///                       │ │   │  target      │ in time              │       as a failed dial
///                       │ │   │              ▼                      ▼
///                 Timer │ │ Failed, and no gateway is left in this round
///                       │ ▼                  ▼
///                     Waiting             Stopped      (every failure of the round is permanent)
///
///     Wanted cuts Waiting short.
///     Connect and NetworkChanged leave Waiting and Stopped for Dialing, with a fresh back-off.
///     Identity does too, and moves a connection that is up to a new one.
///     Disconnect leads to Off.   Drain leads to Draining (a connection is up) or Ended.
///     Draining ends with the connection or at its deadline; Ended is for ever.
/// ```
///
/// A connection that is to be replaced stands by while the next is dialled, see [`Standby`].
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// Not to be connected.
    Off,
    /// TCP and TLS with this gateway (an index into the list) are under way, or the look-up of
    /// where it is.
    Dialing { gateway: usize },
    /// TLS is up and a PING on its way. Requests may already travel.
    Proving { gateway: usize, until: Instant },
    /// The preferred gateway answers; if it still does then, requests move to it.
    Trial { gateway: usize, until: Instant },
    /// The gateway answers. With `probe` it has been asked for a sign of life, and has until then.
    Connected { gateway: usize, since: Instant, probe: Option<Instant> },
    /// Every gateway has failed; the next round begins then, or at `soonest` if a request waits.
    Waiting { soonest: Instant, until: Instant, why: Failure },
    /// Every gateway has failed for good; a human must change something.
    Stopped { why: Failure },
    /// The requests in flight may finish until then; nothing new is taken.
    Draining { until: Instant },
    /// The channel is over.
    Ended,
}

/// A connection that is up while another is dialled, tried or waited for. There is one only in
/// `Dialing`, `Proving`, `Trial`, `Waiting` and `Stopped`.
///
/// ```text
///     Connected ── probe not answered, address gone ──► Silent      resumes when it is heard
///               ── a preferred gateway is tried ──────► Serving     resumes if that fails
///     the next one is Connected, or Serving takes no more streams: it is released
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standby {
    pub(crate) kind: StandbyKind,
    pub(crate) gateway: usize,
    pub(crate) since: Instant,
}

/// See [`Standby`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StandbyKind {
    /// It does not answer. Nothing new is sent on it.
    Silent,
    /// All is well with it, and it takes requests meanwhile.
    Serving,
}

/// What may happen to the machine.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// To be connected, now, and to the preferred gateway.
    Connect,
    /// A request waits.
    Wanted,
    /// Not to be connected.
    Disconnect,
    /// The computer woke up, or has another network; `unbound`: the address that our end of the
    /// connection has is not this computer's any more.
    NetworkChanged { unbound: bool },
    /// The list of gateways is another one; `keep` is where the one in use stands in it, unless
    /// it is gone or has changed.
    Gateways { list: Vec<Rank>, keep: Option<usize> },
    /// The gateway that was to be dialled is one of these targets, at least one.
    Found(Vec<Rank>),
    /// The gateway being dialled has a TLS connection with us.
    Up,
    /// The gateway being dialled could not be reached or believed.
    Failed(Failure),
    /// A frame came: the first, or the first since [`Action::Ping`].
    Heard,
    /// Nothing has come for a while although something was sent, or is to be sent that must not be
    /// lost.
    Unanswered,
    /// The connection takes no more streams: the gateway shuts down (GOAWAY) or refuses them, or the
    /// ids are used up.
    Spent,
    /// What connections say about who we are has changed.
    Identity,
    /// The connection is over.
    Lost(Failure),
    /// A frame came on the connection that stands by.
    StandbyHeard,
    /// The connection that stands by takes no more streams.
    StandbySpent,
    /// The connection that stands by is over.
    StandbyLost(Failure),
    /// [`Machine::deadline`] has passed.
    Timer,
    /// Finish what is in flight until then, take nothing new.
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
    /// Send a PING at once, and report the next frame.
    Ping,
    /// Close the connection now; its requests in flight are lost.
    Close,
    /// Take nothing new on the connection; it ends with its last stream.
    Drain,
    /// Let go of the connection: its requests may finish, everything new goes elsewhere.
    Retire,
    /// The connection stands by.
    StandBy,
    /// The connection that stands by is the connection again.
    Resume,
    /// Let go of the connection that stands by: its requests may finish.
    ReleaseStandby,
    /// The same for one that does not answer: what may be sent again is, the rest has a moment.
    AbandonStandby,
    /// Close the connection that stands by.
    CloseStandby,
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
    standby: Option<Standby>,
    gateways: Vec<Rank>,
    /// What this round has not tried yet.
    rest: VecDeque<Candidate>,
    /// The most hopeful failure of this round.
    verdict: Option<Failure>,
    /// Dials since the last lasting connection.
    attempt: u32,
    last_failure: Option<(Failure, Instant)>,
    /// When a connection was lost, while that is a reason to hurry.
    lost_at: Option<Instant>,
    /// The loss of a short connection may be followed by a dial at once.
    quick_start: bool,
    /// When to look after a preferred gateway, while connected to another.
    failback_at: Option<Instant>,
    failback_pause: Duration,
    /// How long the one that is tried now has to be well.
    trial: Duration,
    backoff: Backoff,
    rng: fastrand::Rng,
}

impl Machine {
    /// A machine that is [`Phase::Off`].
    pub(crate) fn new(gateways: Vec<Rank>, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        Self {
            phase: Phase::Off,
            standby: None,
            gateways,
            rest: VecDeque::new(),
            verdict: None,
            attempt: 0,
            last_failure: None,
            lost_at: None,
            quick_start: true,
            failback_at: None,
            failback_pause: FAILBACK[0],
            trial: WELL,
            backoff: Backoff::new(rng.u64(..)),
            rng,
        }
    }

    pub(crate) fn phase(&self) -> &Phase {
        &self.phase
    }

    pub(crate) fn standby(&self) -> Option<Standby> {
        self.standby
    }

    /// Whether requests go to the connection that stands by.
    pub(crate) fn standby_serves(&self) -> bool {
        self.standby.is_some_and(|it| it.kind == StandbyKind::Serving)
    }

    /// How many dials there were since the last lasting connection, the current one included.
    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The failure before the present state, if there was one, and when.
    pub(crate) fn last_failure(&self) -> Option<&(Failure, Instant)> {
        self.last_failure.as_ref()
    }

    /// When [`Input::Timer`] is wanted.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Proving { until, .. }
            | Phase::Trial { until, .. }
            | Phase::Waiting { until, .. }
            | Phase::Draining { until } => Some(until),
            Phase::Connected { probe, .. } => probe.or(self.failback_at),
            _ => None,
        }
    }

    /// Takes one step. The actions are to be performed in order.
    pub(crate) fn handle(&mut self, input: Input, now: Instant) -> Vec<Action> {
        if matches!(self.phase, Phase::Ended) {
            return Vec::new();
        }
        match input {
            Input::Connect => self.connect(now),
            Input::Wanted => self.wanted(),
            Input::Disconnect => self.disconnect(),
            Input::NetworkChanged { unbound } => self.network_changed(unbound, now),
            Input::Gateways { list, keep } => self.gateways(list, keep, now),
            Input::Found(targets) => self.found(&targets),
            Input::Up => self.up(now),
            Input::Failed(failure) => self.failed(failure, now),
            Input::Heard => self.heard(now),
            Input::Unanswered => self.unanswered(now),
            Input::Spent => self.spent(now),
            Input::Identity => self.identity(now),
            Input::Lost(failure) => self.lost(failure, now),
            Input::StandbyHeard => self.standby_heard(now),
            Input::StandbySpent => self.standby_spent(now),
            Input::StandbyLost(failure) => self.standby_lost(failure, now),
            Input::Timer => self.timer(now),
            Input::Drain { until } => self.drain(until),
        }
    }

    fn connect(&mut self, now: Instant) -> Vec<Action> {
        self.failback_pause = FAILBACK[0];
        match self.phase {
            Phase::Off | Phase::Waiting { .. } | Phase::Stopped { .. } => self.dial_afresh(now),
            Phase::Dialing { .. } => {
                self.backoff.restart();
                Vec::new()
            }
            Phase::Trial { gateway, .. } => self.connected(gateway, now),
            Phase::Connected { gateway, since, .. } => match self.better_than(gateway) {
                better if better.is_empty() => self.probe(now),
                better => self.try_better(better, Duration::ZERO, gateway, since),
            },
            Phase::Proving { .. } => vec![Action::Ping],
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
        let mut actions = match self.phase {
            Phase::Dialing { .. } => vec![Action::StopDialing],
            Phase::Proving { .. } | Phase::Trial { .. } | Phase::Connected { .. } => {
                vec![Action::Close]
            }
            Phase::Off | Phase::Waiting { .. } | Phase::Stopped { .. } => Vec::new(),
            Phase::Draining { .. } | Phase::Ended => return Vec::new(),
        };
        actions.extend(self.standby.take().map(|_| Action::CloseStandby));
        self.phase = Phase::Off;
        actions
    }

    /// A new network may lead where the old one did not, and may not intercept TLS: even what
    /// was permanent is tried again, and what is being dialled is dialled anew.
    fn network_changed(&mut self, unbound: bool, now: Instant) -> Vec<Action> {
        self.failback_pause = FAILBACK[0];
        match &mut self.phase {
            Phase::Waiting { .. } | Phase::Stopped { .. } => self.dial_afresh(now),
            Phase::Dialing { .. } => self.redial(now),
            Phase::Proving { until, .. } => {
                *until = (*until).min(now + PROBE_LIMIT);
                vec![Action::Ping]
            }
            Phase::Trial { .. } => self.end_trial(now),
            Phase::Connected { .. } if unbound => self.silent(now),
            Phase::Connected { .. } => self.probe(now),
            Phase::Off | Phase::Draining { .. } | Phase::Ended => Vec::new(),
        }
    }

    fn gateways(&mut self, list: Vec<Rank>, keep: Option<usize>, now: Instant) -> Vec<Action> {
        self.gateways = list;
        match (&mut self.phase, keep.filter(|_| self.standby.is_none())) {
            (Phase::Proving { gateway, .. }, Some(index)) => {
                *gateway = index;
                self.rest = self.order(|it| it != index);
                Vec::new()
            }
            (Phase::Connected { gateway, .. }, Some(index)) => {
                *gateway = index;
                self.plan_failback(index, now);
                Vec::new()
            }
            _ => self.identity(now),
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

    fn heard(&mut self, now: Instant) -> Vec<Action> {
        match &mut self.phase {
            Phase::Proving { gateway, .. } => {
                let gateway = *gateway;
                if self.standby_serves() && !self.trial.is_zero() {
                    self.phase = Phase::Trial { gateway, until: now + self.trial };
                    return Vec::new();
                }
                self.connected(gateway, now)
            }
            Phase::Connected { probe, .. } => {
                *probe = None;
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Requests go to this connection from now on.
    fn connected(&mut self, gateway: usize, now: Instant) -> Vec<Action> {
        self.phase = Phase::Connected { gateway, since: now, probe: None };
        self.plan_failback(gateway, now);
        self.release_standby()
    }

    fn release_standby(&mut self) -> Vec<Action> {
        let release = |it: Standby| match it.kind {
            StandbyKind::Silent => Action::AbandonStandby,
            StandbyKind::Serving => Action::ReleaseStandby,
        };
        self.standby.take().map(release).into_iter().collect()
    }

    fn unanswered(&mut self, now: Instant) -> Vec<Action> {
        match self.phase {
            Phase::Connected { .. } => self.probe(now),
            _ => Vec::new(),
        }
    }

    /// Asks the connection for a sign of life.
    fn probe(&mut self, now: Instant) -> Vec<Action> {
        match &mut self.phase {
            Phase::Connected { probe: probe @ None, .. } => {
                *probe = Some(now + PROBE_LIMIT);
                vec![Action::Ping]
            }
            _ => Vec::new(),
        }
    }

    /// The connection does not answer. It may again: until another does, it stands by.
    fn silent(&mut self, now: Instant) -> Vec<Action> {
        self.fail(Failure::Interrupted(Closed::Protocol(ConnectionError::Dead)), now);
        self.lost_at = Some(now);
        let Phase::Connected { gateway, since, .. } = self.phase else {
            return Vec::new();
        };
        self.standby = Some(Standby { kind: StandbyKind::Silent, gateway, since });
        let mut actions = vec![Action::StandBy];
        actions.extend(self.dial_afresh(now));
        actions
    }

    /// Requests in flight go on there; everything new needs another connection.
    fn spent(&mut self, now: Instant) -> Vec<Action> {
        let next = match self.phase {
            Phase::Connected { since, .. } => self.next_after(since, Failure::GoingAway, now),
            Phase::Proving { .. } => self.try_next(Failure::GoingAway, now),
            Phase::Trial { .. } => self.resume_or_dial(now),
            _ => return Vec::new(),
        };
        let mut actions = vec![Action::Retire];
        actions.extend(next);
        actions
    }

    /// As another self, or with other gateways, what was refused may be accepted.
    fn identity(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = match self.phase {
            Phase::Waiting { .. } | Phase::Stopped { .. } => Vec::new(),
            Phase::Dialing { .. } => vec![Action::StopDialing],
            Phase::Proving { .. } | Phase::Trial { .. } | Phase::Connected { .. } => {
                vec![Action::Retire]
            }
            Phase::Off | Phase::Draining { .. } | Phase::Ended => return Vec::new(),
        };
        actions.extend(self.release_standby());
        actions.extend(self.dial_afresh(now));
        actions
    }

    fn failed(&mut self, failure: Failure, now: Instant) -> Vec<Action> {
        match self.phase {
            Phase::Dialing { .. } => self.try_next(failure, now),
            _ => Vec::new(),
        }
    }

    fn lost(&mut self, failure: Failure, now: Instant) -> Vec<Action> {
        match self.phase {
            Phase::Connected { since, .. } => self.next_after(since, failure, now),
            Phase::Proving { .. } => self.try_next(failure, now),
            Phase::Trial { .. } => {
                self.fail(failure, now);
                self.resume_or_dial(now)
            }
            Phase::Draining { .. } => {
                self.phase = Phase::Ended;
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// What follows a connection that was up since then and is of no use any more.
    fn next_after(&mut self, since: Instant, failure: Failure, now: Instant) -> Vec<Action> {
        let lasted = now.duration_since(since) >= LASTING;
        if now.duration_since(since) >= RELIABLE {
            self.failback_pause = FAILBACK[0];
        }
        if lasted || self.quick_start {
            self.quick_start = lasted;
            self.lost_at = Some(now);
            self.fail(failure, now);
            return self.dial_afresh(now);
        }
        self.try_next(failure, now)
    }

    fn standby_heard(&mut self, now: Instant) -> Vec<Action> {
        match self.standby.map(|it| it.kind) {
            Some(StandbyKind::Silent) => {
                let mut actions = match self.phase {
                    Phase::Dialing { .. } => vec![Action::StopDialing],
                    Phase::Proving { .. } | Phase::Trial { .. } => vec![Action::Close],
                    _ => Vec::new(),
                };
                actions.extend(self.resume(now));
                actions
            }
            _ => Vec::new(),
        }
    }

    /// The connection that stands by is the one in use again.
    fn resume(&mut self, now: Instant) -> Vec<Action> {
        let Some(Standby { gateway, since, .. }) = self.standby.take() else {
            return Vec::new();
        };
        self.backoff.restart();
        self.phase = Phase::Connected { gateway, since, probe: None };
        self.plan_failback(gateway, now);
        vec![Action::Resume]
    }

    fn resume_or_dial(&mut self, now: Instant) -> Vec<Action> {
        match self.standby {
            Some(_) => self.resume(now),
            None => self.dial_afresh(now),
        }
    }

    /// The network has changed while a preferred gateway was tried: the connection that serves is
    /// of more interest.
    fn end_trial(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = vec![Action::Close];
        actions.extend(self.resume_or_dial(now));
        actions.extend(self.probe(now));
        actions
    }

    fn standby_spent(&mut self, now: Instant) -> Vec<Action> {
        if !self.standby_serves() {
            return Vec::new();
        }
        let mut actions = self.release_standby();
        self.lost_at = Some(now);
        actions.extend(self.without_standby(now));
        actions
    }

    /// The connection that served is gone: the one that is tried takes its place, and a round that
    /// had only preferred gateways to try has all of them.
    fn without_standby(&mut self, now: Instant) -> Vec<Action> {
        match self.phase {
            Phase::Trial { gateway, .. } => return self.connected(gateway, now),
            Phase::Dialing { gateway } | Phase::Proving { gateway, .. } => {
                self.rest = self.order(|it| it != gateway);
            }
            _ => {}
        }
        Vec::new()
    }

    fn standby_lost(&mut self, failure: Failure, now: Instant) -> Vec<Action> {
        let Some(standby) = self.standby.take() else {
            return Vec::new();
        };
        self.fail(failure, now);
        self.lost_at = Some(now);
        match standby.kind {
            StandbyKind::Silent => Vec::new(),
            StandbyKind::Serving => self.without_standby(now),
        }
    }

    fn timer(&mut self, now: Instant) -> Vec<Action> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Vec::new();
        }
        match self.phase {
            Phase::Waiting { .. } => self.dial_round(now),
            Phase::Proving { .. } => {
                let mut actions = vec![Action::Close];
                actions.extend(self.try_next(Failure::Silent(PROVE_LIMIT), now));
                actions
            }
            Phase::Trial { gateway, .. } => self.connected(gateway, now),
            Phase::Connected { probe: Some(until), .. } if now >= until => self.silent(now),
            Phase::Connected { gateway, since, .. } => {
                let better = self.better_than(gateway);
                self.try_better(better, WELL, gateway, since)
            }
            Phase::Draining { .. } => {
                self.phase = Phase::Ended;
                vec![Action::Close]
            }
            _ => Vec::new(),
        }
    }

    fn drain(&mut self, until: Instant) -> Vec<Action> {
        let (phase, mut actions) = match self.phase {
            Phase::Proving { .. } | Phase::Trial { .. } | Phase::Connected { .. } => {
                (Phase::Draining { until }, vec![Action::Drain])
            }
            Phase::Draining { .. } => (Phase::Draining { until }, Vec::new()),
            Phase::Dialing { .. } => (Phase::Ended, vec![Action::StopDialing]),
            _ => (Phase::Ended, Vec::new()),
        };
        self.phase = phase;
        actions.extend(self.release_standby());
        actions
    }

    /// When to look after a preferred gateway, if this is not one.
    fn plan_failback(&mut self, gateway: usize, now: Instant) {
        let pause = self.failback_pause;
        self.failback_at = (!self.better_than(gateway).is_empty()).then(|| now + pause);
    }

    /// The gateways that are preferred to this one.
    fn better_than(&mut self, gateway: usize) -> VecDeque<Candidate> {
        let priorities: Vec<u16> = self.gateways.iter().map(|it| it.priority).collect();
        self.order(|it| priorities[it] < priorities[gateway])
    }

    /// Dials the preferred gateways, while the connection in use serves on.
    fn try_better(
        &mut self,
        better: VecDeque<Candidate>,
        trial: Duration,
        gateway: usize,
        since: Instant,
    ) -> Vec<Action> {
        self.failback_at = None;
        self.failback_pause = (self.failback_pause * 2).min(FAILBACK[1]);
        self.rest = better;
        let Some(first) = self.rest.pop_front() else {
            return Vec::new();
        };
        self.trial = trial;
        self.standby = Some(Standby { kind: StandbyKind::Serving, gateway, since });
        self.verdict = None;
        let mut actions = vec![Action::StandBy];
        actions.extend(self.dial(first));
        actions
    }

    /// A new round with new hope.
    fn dial_afresh(&mut self, now: Instant) -> Vec<Action> {
        self.backoff.restart();
        self.attempt = 0;
        self.dial_round(now)
    }

    fn redial(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = vec![Action::StopDialing];
        actions.extend(self.dial_afresh(now));
        actions
    }

    /// A round tries every gateway once.
    fn dial_round(&mut self, now: Instant) -> Vec<Action> {
        self.rest = self.order(|_| true);
        self.verdict = None;
        match self.rest.pop_front() {
            Some(first) => self.dial(first),
            None => {
                self.fail(Failure::NoGateway, now);
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

    /// The gateways that are `wanted`, in the order in which they are to be tried.
    fn order(&mut self, wanted: impl Fn(usize) -> bool) -> VecDeque<Candidate> {
        let all = order(&self.gateways, &mut self.rng).into_iter();
        all.filter(|it| wanted(*it)).map(Candidate::Gateway).collect()
    }

    fn fail(&mut self, failure: Failure, now: Instant) {
        self.last_failure = Some((failure, now));
    }

    /// After a failure: the next gateway of the round, or the end of the round.
    fn try_next(&mut self, failure: Failure, now: Instant) -> Vec<Action> {
        self.fail(failure.clone(), now);
        let why = match self.verdict.take() {
            Some(verdict) if verdict.remedy() <= failure.remedy() => verdict,
            _ => failure,
        };
        if let Some(next) = self.rest.pop_front() {
            self.verdict = Some(why);
            return self.dial(next);
        }
        if self.standby_serves() {
            return self.resume(now);
        }
        self.phase = match why.remedy() {
            Remedy::Human => Phase::Stopped { why },
            remedy => {
                let pause = self.backoff.next();
                let soonest = now + self.shortest_pause(pause, remedy, now);
                Phase::Waiting { soonest, until: soonest.max(now + pause), why }
            }
        };
        Vec::new()
    }

    /// How long to wait at least, though a request waits.
    fn shortest_pause(&mut self, pause: Duration, remedy: Remedy, now: Instant) -> Duration {
        let [least, most] = PATIENCE;
        match self.lost_at {
            _ if remedy == Remedy::RetrySlowly => pause.clamp(least, most),
            Some(at) if now.duration_since(at) < QUICK_FOR => {
                QUICK / 2 + (QUICK / 2).mul_f64(self.rng.f64())
            }
            _ => pause.min(HURRY),
        }
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
