//! The one loop that runs the reconnect machine: it waits for one thing, tells the machine, does
//! what the machine says, and publishes where that leads.

mod dialling;
mod identity;
mod live;

use std::sync::Arc;
use std::time::Instant;

use seacat_link::{BudgetLimits, Closed, Link, LinkConfig, Share, SocketRequest};
use seacat_proto::Control;
use tokio::sync::watch;
use tokio::time::sleep_until;

use crate::availability::Availability;
use crate::config::{ChannelConfig, GatewayConfig, NetworkConfig};
use crate::discovery::Answer;
use crate::failure::Failure;
use crate::identity::Group;
use crate::order::Rank;
use crate::reverse::Reverse;
use crate::state::{Action, Input, Machine, Phase, StandbyKind};
use crate::status::{Road, State, Status};

use dialling::{Dialler, Outcome};
pub(crate) use identity::Members;
use live::{CLOSE_LIMIT, Leaving, Live, RETIRE_LIMIT, link_event};

/// What the handles of the channel want of the driver. It is a state, not a queue: changes that come
/// faster than they are acted on are merged, the latest counts.
#[derive(Clone, Debug)]
pub(crate) struct DesiredState {
    /// To be connected at all.
    pub(crate) connect: bool,
    /// Counts the calls of "connect now".
    pub(crate) connect_requests: u64,
    /// Counts the requests that found nothing but a pause.
    pub(crate) demand: u64,
    /// Counts the requests that wait for a sign of life.
    pub(crate) doubts: u64,
    /// Counts the changes of the network.
    pub(crate) network_changes: u64,
    /// The highest connection known to take no more streams.
    pub(crate) exhausted: u64,
    pub(crate) gateways: Arc<Vec<GatewayConfig>>,
    pub(crate) network: Arc<NetworkConfig>,
    pub(crate) drain_until: Option<Instant>,
}

/// See the module.
pub(crate) struct Driver {
    machine: Machine,
    link_config: LinkConfig,
    dialler: Dialler,
    desired: watch::Receiver<DesiredState>,
    /// What of it has been passed to the machine.
    applied: DesiredState,
    /// Every handle is gone.
    orphaned: bool,
    availability: watch::Sender<Availability>,
    status: watch::Sender<Status>,
    live: Option<Live>,
    /// The connection that another is to replace, see [`Standby`](crate::state::Standby).
    standby: Option<Live>,
    leaving: Leaving,
    /// Counts the connections.
    generation: u64,
    /// Our identities.
    members: Members,
    reverse: Reverse,
}

/// What the loop may wake up for.
enum Event {
    Desired,
    Orphaned,
    Found(Result<Answer, Failure>),
    Dialled(Outcome),
    Live(LinkEvent),
    Standby(LinkEvent),
    Timer,
    Identity(identity::News),
}

/// What happened on a connection.
enum LinkEvent {
    Heard,
    Unanswered,
    GoAway,
    Pong,
    Lost(Closed),
    Control(Control),
    Socket(SocketRequest),
}

impl Driver {
    pub(crate) fn new(
        config: ChannelConfig,
        desired: watch::Receiver<DesiredState>,
        availability: watch::Sender<Availability>,
        status: watch::Sender<Status>,
        members: Members,
        reverse: Reverse,
    ) -> Self {
        let seed = config.seed.unwrap_or_else(|| fastrand::u64(..));
        let applied = DesiredState { connect: false, ..desired.borrow().clone() };
        let dialler = Dialler::new(applied.gateways.clone(), applied.network.clone());
        // One account for all connections to gateways, the old one of a change and the new one.
        let descriptors = seacat_link::descriptors::for_peers() / 4;
        let limits = BudgetLimits { memory: config.memory, descriptors, ..LinkConfig::LIMITS };
        let share = Some(Share::alone(&limits));
        Self {
            machine: Machine::new(ranks(&config.gateways), seed),
            link_config: LinkConfig { proto: config.proto, share, ..LinkConfig::client() },
            dialler,
            desired,
            applied,
            orphaned: false,
            availability,
            status,
            live: None,
            standby: None,
            leaving: Leaving::default(),
            generation: 0,
            members,
            reverse,
        }
    }

    /// Runs until the channel has been drained or every handle of it is gone.
    pub(crate) async fn run(mut self) {
        self.take_identity_updates();
        self.await_identity().await;
        self.apply_desired();
        while !matches!(self.machine.phase(), Phase::Ended) {
            self.publish();
            match self.next_event().await {
                Event::Desired => self.apply_desired(),
                Event::Orphaned => self.step(Input::Drain { until: now() }),
                Event::Found(answer) => self.found(answer),
                Event::Dialled(outcome) => self.dialled(outcome),
                Event::Live(event) => self.on_live(event),
                Event::Standby(event) => self.on_standby(event),
                Event::Timer => self.timer(),
                Event::Identity(news) => self.identity_news(news).await,
            }
        }
        // Nothing new is taken from here on, but connections that are leaving may finish.
        self.availability.send_replace(Availability::Draining);
        let until = self.applied.drain_until.unwrap_or_else(now).max(now() + CLOSE_LIMIT);
        self.leaving.all_gone(until).await;
        self.publish();
    }

    /// Waits for one thing. Safe to call again and again: nothing that was ready is lost.
    async fn next_event(&mut self) -> Event {
        let deadline = self.machine.deadline().into_iter().chain(self.rejection_due()).min();
        tokio::select! {
            event = link_event(self.live.as_mut()) => Event::Live(event),
            event = link_event(self.standby.as_mut()) => Event::Standby(event),
            event = self.dialler.news() => event,
            changed = self.desired.changed(), if !self.orphaned => match changed {
                Ok(()) => Event::Desired,
                Err(_) => {
                    self.orphaned = true;
                    Event::Orphaned
                }
            },
            () = sleep_until(deadline.unwrap_or_else(now).into()), if deadline.is_some() => {
                Event::Timer
            }
            news = self.members.news() => Event::Identity(news),
        }
    }

    /// Passes on what has changed in the desired state.
    fn apply_desired(&mut self) {
        let desired = self.desired.borrow_and_update().clone();
        // Sent before the state: gateways that are new have their identities first.
        self.take_identity_updates();
        let before = std::mem::replace(&mut self.applied, desired.clone());
        if !Arc::ptr_eq(&desired.gateways, &before.gateways) {
            self.set_gateways(desired.gateways);
        }
        if desired.network != before.network {
            self.set_network(desired.network);
        }
        if desired.demand != before.demand {
            self.step(Input::Wanted);
        }
        if desired.doubts != before.doubts {
            self.step(Input::Unanswered);
        }
        if desired.network_changes != before.network_changes {
            // Another network has other name servers, and they may have other answers.
            self.dialler.forget_answers();
            let unbound = self.live.as_ref().is_some_and(Live::is_unbound);
            self.step(Input::NetworkChanged { unbound });
        }
        self.take_exhausted(desired.exhausted);
        let requested = desired.connect_requests != before.connect_requests;
        match (desired.connect, before.connect) {
            (true, was) if !was || requested => {
                // The CA file or DNS may have been put right before.
                self.dialler.forget();
                self.step(Input::Connect);
            }
            (false, true) => self.step(Input::Disconnect),
            _ => {}
        }
        if let Some(until) = desired.drain_until
            && before.drain_until != desired.drain_until
        {
            self.step(Input::Drain { until });
        }
    }

    /// Connection number `generation` takes no more streams.
    fn take_exhausted(&mut self, generation: u64) {
        let is = |it: &Option<Live>| it.as_ref().is_some_and(|it| it.generation == generation);
        if is(&self.live) {
            self.step(Input::Spent);
        } else if is(&self.standby) {
            self.step(Input::StandbySpent);
        }
    }

    fn set_gateways(&mut self, gateways: Arc<Vec<GatewayConfig>>) {
        let in_use = self.live.as_ref().map(|live| &live.gateway);
        let keep = in_use.and_then(|ours| gateways.iter().position(|it| it.same_place(ours)));
        let list = ranks(&gateways);
        self.dialler.set_gateways(gateways);
        self.step(Input::Gateways { list, keep });
    }

    /// Another road may lead where the old one did not, and may be wanted for what it is.
    fn set_network(&mut self, network: Arc<NetworkConfig>) {
        let moves = self.dialler.set_network(network);
        let in_use = match self.machine.phase() {
            Phase::Proving { gateway, .. }
            | Phase::Trial { gateway, .. }
            | Phase::Connected { gateway, .. } => Some(*gateway),
            _ => None,
        };
        let keep = in_use.filter(|_| !moves);
        self.step(Input::Gateways { list: ranks(self.dialler.gateways()), keep });
    }

    fn step(&mut self, input: Input) {
        let actions = self.machine.handle(input, now());
        // A connection that has fallen silent while small packets pass looks like this, too. What
        // replaces it works on either kind of network, for a little more of headers.
        let standby = self.machine.standby().map(|it| it.kind);
        self.dialler.small_segments = standby == Some(StandbyKind::Silent);
        for action in actions {
            match action {
                Action::Dial(gateway) => {
                    let group = Group::of(&self.dialler.gateways()[gateway]);
                    let certified = self.members.certificate_for(&group);
                    self.dialler.find_or_dial(gateway, certified);
                }
                Action::DialTarget { gateway, target } => {
                    let group = Group::of(&self.dialler.gateways()[gateway]);
                    let certified = self.members.certificate_for(&group);
                    if let Err(failure) = self.dialler.dial_target(gateway, target, certified) {
                        self.step(Input::Failed(failure));
                    }
                }
                Action::StopDialing => self.dialler.stop(),
                Action::Ping => self.with_link(Link::ping),
                Action::Drain => self.with_link(Link::drain),
                Action::Retire => self.let_go(Link::drain, RETIRE_LIMIT),
                Action::Close => self.let_go(Link::close, CLOSE_LIMIT),
                Action::StandBy => self.standby = self.live.take(),
                Action::Resume => self.resume(),
                Action::ReleaseStandby => self.release_standby(Link::drain, RETIRE_LIMIT),
                Action::AbandonStandby => self.abandon_standby(),
                Action::CloseStandby => self.release_standby(Link::close, CLOSE_LIMIT),
            }
        }
    }

    /// The connection that requests take, if there is one.
    fn serving(&self) -> Option<&Live> {
        if self.machine.standby_serves() { self.standby.as_ref() } else { self.live.as_ref() }
    }

    fn publish(&self) {
        self.availability.send_replace(self.availability());
        self.publish_identity();
        let serving = self.serving();
        let state = self.state();
        let health = serving.map(|live| live.link.health());
        let last_failure = self.machine.last_failure().cloned();
        let before = self.status.send_replace(Status { state, health, last_failure });
        self.announce(&before.state);
    }

    fn availability(&self) -> Availability {
        let open = |live: &Live, probed| Availability::Open {
            link: live.link.clone(),
            generation: live.generation,
            probed,
        };
        match (self.machine.phase(), self.serving()) {
            (Phase::Off, _) => Availability::Shut { why: None },
            (Phase::Draining { .. } | Phase::Ended, _) => Availability::Draining,
            (Phase::Connected { probe, .. }, Some(live)) => open(live, probe.is_some()),
            (_, Some(live)) => open(live, false),
            (Phase::Stopped { why }, None) => Availability::Shut { why: Some(why.clone()) },
            (Phase::Waiting { soonest, why, .. }, None) => {
                Availability::Soon { next: Some(*soonest), why: Some(why.clone()) }
            }
            (_, None) => {
                let why = self.machine.last_failure().map(|(why, _)| why.clone());
                Availability::Soon { next: None, why }
            }
        }
    }

    fn state(&self) -> State {
        let name = |index: usize| self.dialler.gateways()[index].name.clone();
        let connected = |live: &Live, gateway, since| State::Connected {
            gateway: name(gateway),
            address: live.address,
            road: live.road.clone(),
            tls: live.tls.clone(),
            since,
        };
        let standby = self.machine.standby().filter(|_| self.machine.standby_serves());
        match (self.machine.phase(), standby, self.serving()) {
            (Phase::Off, ..) => State::Off,
            (Phase::Draining { .. }, ..) => State::Draining,
            (Phase::Ended, ..) => State::Ended,
            (_, Some(standby), Some(live)) => connected(live, standby.gateway, standby.since),
            (Phase::Connected { gateway, since, .. }, _, Some(live)) => {
                connected(live, *gateway, *since)
            }
            (
                Phase::Dialing { gateway }
                | Phase::Proving { gateway, .. }
                | Phase::Trial { gateway, .. }
                | Phase::Connected { gateway, .. },
                ..,
            ) => State::Connecting { gateway: name(*gateway), attempt: self.machine.attempt() },
            (Phase::Waiting { until, why, .. }, ..) => {
                State::Waiting { until: *until, why: why.clone() }
            }
            (Phase::Stopped { why }, ..) => State::Stopped { why: why.clone() },
        }
    }

    /// Logs what a user would notice.
    fn announce(&self, before: &State) {
        let status = self.status.borrow();
        if std::mem::discriminant(before) == std::mem::discriminant(&status.state) {
            return;
        }
        match &status.state {
            State::Connected { gateway, address, road, tls, .. } => {
                let Road { target, through } = road;
                let (tls, suite) = (tls.version, tls.suite);
                tracing::info!(gateway, target, through, %address, tls, suite, "connected");
            }
            State::Waiting { until, why } => {
                let pause = until.saturating_duration_since(now());
                tracing::info!(code = why.code(), %why, ?pause, "not connected, will try again");
            }
            State::Stopped { why } => {
                tracing::warn!(code = why.code(), %why, "not connected, and trying again is no use");
            }
            state => tracing::debug!(?state, "channel"),
        }
    }
}

fn ranks(gateways: &[GatewayConfig]) -> Vec<Rank> {
    let rank = |it: &GatewayConfig| Rank { priority: it.priority, weight: it.weight };
    gateways.iter().map(rank).collect()
}

/// The runtime's clock, which tests may hold still.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
