//! The one loop that runs the reconnect machine: it waits for one thing, tells the machine, does
//! what the machine says, and publishes where that leads.

mod dialling;
mod identity;
mod live;

use std::sync::Arc;
use std::time::Instant;

use seacat_link::{Closed, Link, LinkConfig, SocketRequest};
use seacat_proto::Control;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

use crate::config::{ChannelConfig, GatewayConfig, NetworkConfig};
use crate::discovery::Answer;
use crate::door::Door;
use crate::failure::Failure;
use crate::identity::{Heard, Port, Shown, SilentRejection, Wire};
use crate::order::Rank;
use crate::reverse::Reverse;
use crate::state::{Action, Input, Machine, Phase};
use crate::status::{Road, State, Status};

use dialling::{Dialler, Outcome};
use identity::changed;
use live::{CLOSE_LIMIT, Leaving, Live, RETIRE_LIMIT, news};

/// What everybody who holds the channel wishes from the driver. It is a state, not a queue:
/// wishes that come faster than they are fulfilled are merged, the latest counts.
#[derive(Clone, Debug)]
pub(crate) struct Wishes {
    /// To be connected at all.
    pub(crate) connect: bool,
    /// Counts the calls of "connect now".
    pub(crate) nudges: u64,
    /// Counts the requests that found nothing but a pause.
    pub(crate) wanted: u64,
    /// Counts the changes of the network.
    pub(crate) networks: u64,
    /// The highest connection known to have used up its stream ids.
    pub(crate) spent: u64,
    pub(crate) gateways: Arc<Vec<GatewayConfig>>,
    pub(crate) network: Arc<NetworkConfig>,
    pub(crate) drain_until: Option<Instant>,
}

/// See the module.
pub(crate) struct Driver {
    machine: Machine,
    link_config: LinkConfig,
    dialler: Dialler,
    wishes: watch::Receiver<Wishes>,
    /// The wishes that have been passed to the machine.
    fulfilled: Wishes,
    /// Every handle is gone.
    orphaned: bool,
    door: watch::Sender<Door>,
    status: watch::Sender<Status>,
    live: Option<Live>,
    leaving: Leaving,
    /// Counts the connections.
    generation: u64,
    /// The way to our identity, if there is one.
    identity: Option<Port>,
    /// The ways to others, when they take its place.
    identities: mpsc::UnboundedReceiver<Option<Port>>,
    /// What connections show.
    shown: Shown,
    /// Whether the gateway silently refuses that.
    rejection: SilentRejection,
    reverse: Reverse,
}

/// What the loop may wake up for.
enum Event {
    Wishes,
    Orphaned,
    Found(Result<Answer, Failure>),
    Dialled(Outcome),
    Pong,
    Lost(Closed),
    Timer,
    Control(Control),
    Socket(SocketRequest),
    Identity(Shown),
    /// Somebody else from now on, or nobody.
    Somebody(Option<Port>),
}

/// Who we are, and who we are to become.
pub(crate) struct Identities {
    pub(crate) port: Option<Port>,
    pub(crate) ports: mpsc::UnboundedReceiver<Option<Port>>,
}

impl Driver {
    pub(crate) fn new(
        config: ChannelConfig,
        wishes: watch::Receiver<Wishes>,
        door: watch::Sender<Door>,
        status: watch::Sender<Status>,
        identities: Identities,
        reverse: Reverse,
    ) -> Self {
        let seed = config.seed.unwrap_or_else(|| fastrand::u64(..));
        let fulfilled = Wishes { connect: false, ..wishes.borrow().clone() };
        let dialler = Dialler::new(fulfilled.gateways.clone(), fulfilled.network.clone());
        Self {
            machine: Machine::new(ranks(&config.gateways), seed),
            link_config: LinkConfig { proto: config.proto, ..LinkConfig::client() },
            dialler,
            wishes,
            fulfilled,
            orphaned: false,
            door,
            status,
            live: None,
            leaving: Leaving::default(),
            generation: 0,
            identity: identities.port,
            identities: identities.ports,
            shown: Shown::default(),
            rejection: SilentRejection::default(),
            reverse,
        }
    }

    /// Runs until the channel has been drained or every handle of it is gone.
    pub(crate) async fn run(mut self) {
        self.meet_identity().await;
        self.look_at_wishes();
        while !matches!(self.machine.phase(), Phase::Ended) {
            self.publish();
            match self.next_event().await {
                Event::Wishes => self.look_at_wishes(),
                Event::Orphaned => self.step(Input::Drain { until: now() }),
                Event::Found(answer) => self.found(answer),
                Event::Dialled(outcome) => self.dialled(outcome),
                Event::Pong => self.step(Input::Pong),
                Event::Lost(closed) => self.lost(closed),
                Event::Timer => self.timer(),
                Event::Control(frame) => {
                    self.hear(Heard::Frame(frame));
                }
                Event::Socket(request) => self.reverse.answer(request),
                Event::Identity(shown) => self.show(shown),
                Event::Somebody(port) => self.become_somebody(port).await,
            }
        }
        // Nothing new is taken from here on, but who is leaving may finish.
        self.door.send_replace(Door::Draining);
        let until = self.fulfilled.drain_until.unwrap_or_else(now).max(now() + CLOSE_LIMIT);
        self.leaving.all_gone(until).await;
        self.publish();
    }

    /// Waits for one thing. Safe to call again and again: nothing that was ready is lost.
    async fn next_event(&mut self) -> Event {
        let in_doubt = self.steady_at().filter(|_| self.rejection.withhold_certificate());
        let deadline = self.machine.deadline().into_iter().chain(in_doubt).min();
        tokio::select! {
            event = news(self.live.as_mut()) => event,
            event = self.dialler.news() => event,
            changed = self.wishes.changed(), if !self.orphaned => match changed {
                Ok(()) => Event::Wishes,
                Err(_) => {
                    self.orphaned = true;
                    Event::Orphaned
                }
            },
            () = sleep_until(deadline.unwrap_or_else(now).into()), if deadline.is_some() => {
                Event::Timer
            }
            shown = changed(self.identity.as_mut()) => Event::Identity(shown),
            Some(port) = self.identities.recv() => Event::Somebody(port),
        }
    }

    /// Passes on what is new among the wishes.
    fn look_at_wishes(&mut self) {
        let wishes = self.wishes.borrow_and_update().clone();
        let before = std::mem::replace(&mut self.fulfilled, wishes.clone());
        if !Arc::ptr_eq(&wishes.gateways, &before.gateways) {
            self.set_gateways(wishes.gateways);
        }
        if wishes.network != before.network {
            self.set_network(wishes.network);
        }
        if wishes.wanted != before.wanted {
            self.step(Input::Wanted);
        }
        if wishes.networks != before.networks {
            // Another network has other name servers, and they may have other answers.
            self.dialler.forget_answers();
            self.step(Input::NetworkChanged);
        }
        if self.live.as_ref().is_some_and(|live| live.generation == wishes.spent) {
            self.step(Input::Spent);
        }
        let nudged = wishes.nudges != before.nudges;
        match (wishes.connect, before.connect) {
            (true, was) if !was || nudged => {
                // Whoever asks may have put another CA file in place, or changed DNS.
                self.dialler.forget();
                self.step(Input::Connect);
            }
            (false, true) => self.step(Input::Disconnect),
            _ => {}
        }
        if let Some(until) = wishes.drain_until
            && before.drain_until != wishes.drain_until
        {
            self.step(Input::Drain { until });
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
            Phase::Proving { gateway, .. } | Phase::Connected { gateway, .. } => Some(*gateway),
            _ => None,
        };
        let keep = in_use.filter(|_| !moves);
        self.step(Input::Gateways { list: ranks(self.dialler.gateways()), keep });
    }

    fn step(&mut self, input: Input) {
        for action in self.machine.handle(input, now()) {
            let certified =
                self.shown.certified.as_ref().filter(|_| !self.rejection.withhold_certificate());
            match action {
                Action::Dial(gateway) => self.dialler.find_or_dial(gateway, certified),
                Action::DialTarget { gateway, target } => {
                    if let Err(failure) = self.dialler.dial_target(gateway, target, certified) {
                        self.step(Input::Failed(failure));
                    }
                }
                Action::StopDialing => self.dialler.stop(),
                Action::Ping => self.with_link(Link::ping),
                Action::Drain => self.with_link(Link::drain),
                Action::Retire => self.let_go(Link::drain, RETIRE_LIMIT),
                Action::Close => self.let_go(Link::close, CLOSE_LIMIT),
            }
        }
    }

    fn publish(&self) {
        self.door.send_replace(self.door());
        if let Some(port) = &self.identity {
            let generation = self.live.as_ref().map(|live| live.generation);
            port.wire.send_if_modified(|wire| {
                let changed = wire.as_ref().map(|wire| wire.generation) != generation;
                *wire = self.live.as_ref().map(|live| Wire {
                    link: live.link.clone(),
                    generation: live.generation,
                    auth: live.auth,
                });
                changed
            });
        }
        let state = self.state();
        let health = self.live.as_ref().map(|live| live.link.health());
        let last_failure = self.machine.last_failure().cloned();
        let before = self.status.send_replace(Status { state, health, last_failure });
        self.announce(&before.state);
    }

    fn door(&self) -> Door {
        match (self.machine.phase(), &self.live) {
            (Phase::Off, _) => Door::Shut { why: None },
            (Phase::Stopped { why }, _) => Door::Shut { why: Some(why.clone()) },
            (Phase::Draining { .. } | Phase::Ended, _) => Door::Draining,
            (Phase::Waiting { soonest, why, .. }, _) => {
                Door::Soon { next: Some(*soonest), why: Some(why.clone()) }
            }
            (_, Some(live)) => Door::Open { link: live.link.clone(), generation: live.generation },
            (_, None) => Door::Soon { next: None, why: self.machine.last_failure().cloned() },
        }
    }

    fn state(&self) -> State {
        let name = |index: usize| self.dialler.gateways()[index].name.clone();
        match (self.machine.phase(), &self.live) {
            (Phase::Off, _) => State::Off,
            (Phase::Connected { gateway, since }, Some(live)) => State::Connected {
                gateway: name(*gateway),
                address: live.address,
                road: live.road.clone(),
                tls: live.tls.clone(),
                since: *since,
            },
            (
                Phase::Dialing { gateway }
                | Phase::Proving { gateway, .. }
                | Phase::Connected { gateway, .. },
                _,
            ) => State::Connecting { gateway: name(*gateway), attempt: self.machine.attempt() },
            (Phase::Waiting { until, why, .. }, _) => {
                State::Waiting { until: *until, why: why.clone() }
            }
            (Phase::Stopped { why }, _) => State::Stopped { why: why.clone() },
            (Phase::Draining { .. }, _) => State::Draining,
            (Phase::Ended, _) => State::Ended,
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
