//! The one loop that runs the reconnect machine: it waits for one thing, tells the machine, does
//! what the machine says, and publishes where that leads.

use std::collections::HashMap;
use std::future::{Future, pending};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use seacat_link::{Closed, Incoming, Link, LinkConfig, News, SocketRequest};
use seacat_proto::Control;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use crate::config::{ChannelConfig, GatewayConfig, NetworkConfig};
use crate::dial::{Destination, Dialled, dial};
use crate::discovery::{Answer, find};
use crate::door::Door;
use crate::failure::Failure;
use crate::identity::{Doubt, Heard, Port, Presenter, Shown, Wire};
use crate::order::Rank;
use crate::reverse::Reverse;
use crate::state::{Action, Input, Machine, Phase, STEADY};
use crate::status::{Road, State, Status, TlsInfo};
use crate::task::Task;
use crate::transport::Transport;
use crate::upstream::{Upstream, authority};

/// After a goodbye the peer gets this long to answer it (wire specification, section 1.4).
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// What runs on a connection that was let go of may run this long: an hour's download is worth
/// an idle socket, and there is one such socket for each change of gateways.
const RETIRE_LIMIT: Duration = Duration::from_secs(3600);

/// The first dial waits this long for the identity, which gives a silent key store 4 s.
const IDENTITY_LIMIT: Duration = Duration::from_secs(5);

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
    gateways: Arc<Vec<GatewayConfig>>,
    network: Arc<NetworkConfig>,
    /// What DNS said about a gateway.
    answers: HashMap<usize, Answer>,
    /// Made when a host is dialled for the first time: a gateway's own, or a target's.
    transports: HashMap<(usize, String), Transport>,
    wishes: watch::Receiver<Wishes>,
    /// The wishes that have been passed to the machine.
    fulfilled: Wishes,
    /// Every handle is gone.
    orphaned: bool,
    door: watch::Sender<Door>,
    status: watch::Sender<Status>,
    finding: Option<Task<Result<Answer, Failure>>>,
    dialling: Option<Dialling>,
    live: Option<Live>,
    /// Connections that were let go of and still say goodbye.
    leaving: JoinSet<()>,
    /// Counts the connections.
    generation: u64,
    /// The way to our identity, if there is one.
    identity: Option<Port>,
    /// The ways to others, when they take its place.
    identities: mpsc::UnboundedReceiver<Option<Port>>,
    /// What connections show.
    shown: Shown,
    /// Whether the gateway wants that.
    doubt: Doubt,
    reverse: Reverse,
}

/// A dial under way.
struct Dialling {
    task: Task<Outcome>,
    /// Which of the targets that were found.
    target: Option<usize>,
    road: Road,
    /// How it is secured; none where that cannot be.
    transport: Option<Transport>,
}

/// A connection and what there is to know about it.
struct Live {
    link: Link,
    /// Runs the connection. A task of its own: its wake-ups, one for every burst of frames, have
    /// nothing to do with this loop.
    driver: Task<Closed>,
    incoming: Incoming,
    generation: u64,
    gateway: GatewayConfig,
    address: SocketAddr,
    road: Road,
    tls: TlsInfo,
    identified: bool,
    since: Instant,
}

/// Boxed, because a TLS session is large.
type Outcome = Result<Box<Dialled>, Failure>;

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
        Self {
            machine: Machine::new(ranks(&config.gateways), seed),
            link_config: LinkConfig { proto: config.proto, ..LinkConfig::client() },
            gateways: fulfilled.gateways.clone(),
            network: fulfilled.network.clone(),
            answers: HashMap::new(),
            transports: HashMap::new(),
            wishes,
            fulfilled,
            orphaned: false,
            door,
            status,
            finding: None,
            dialling: None,
            live: None,
            leaving: JoinSet::new(),
            generation: 0,
            identity: identities.port,
            identities: identities.ports,
            shown: Shown::default(),
            doubt: Doubt::default(),
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
        let all_gone = async { while self.leaving.join_next().await.is_some() {} };
        let _ = tokio::time::timeout_at(until.into(), all_gone).await;
        self.publish();
    }

    /// Waits until it is known who we are.
    async fn meet_identity(&mut self) {
        if let Some(port) = &mut self.identity {
            let known = port.shown.wait_for(|shown| shown.ready);
            if let Ok(Ok(shown)) = timeout(IDENTITY_LIMIT, known).await {
                self.shown = shown.clone();
            }
        }
    }

    fn show(&mut self, shown: Shown) {
        let moved = shown.moves != self.shown.moves;
        // Who was nobody and stays nobody need not move.
        let was_somebody = self.live.as_ref().is_some_and(|live| live.identified)
            || self.shown.certified.is_some();
        let matters = shown.certified.is_some() || was_somebody;
        self.shown = shown;
        if moved && matters {
            self.step(Input::Identity);
        }
    }

    /// The former identity ends with its port. Whoever is connected as that one, or can show a
    /// certificate of the next, connects again.
    async fn become_somebody(&mut self, port: Option<Port>) {
        let was = self.shown.certified.is_some()
            || self.live.as_ref().is_some_and(|live| live.identified);
        self.identity = port;
        self.shown = Shown::default();
        self.meet_identity().await;
        if was || self.shown.certified.is_some() {
            self.step(Input::Identity);
        }
    }

    /// What is lost when the identity is busy comes again. Says whether it was heard.
    fn hear(&self, heard: Heard) -> bool {
        match &self.identity {
            Some(port) => port.heard.try_send(heard).is_ok(),
            None => false,
        }
    }

    /// If it was the certificate it showed for which a connection was refused, the next attempt
    /// goes without: no reason to give up.
    fn was_refusal(&mut self, failure: &Failure, identified: bool) -> bool {
        let refused = identified && matches!(failure, Failure::ClientCertRefused { .. });
        if refused {
            tracing::warn!(%failure, "connecting without it");
            self.withdraw_certificate();
            self.step(Input::Identity);
        }
        refused
    }

    /// From now on anonymous, until the identity says otherwise.
    fn withdraw_certificate(&mut self) {
        let shown = self.shown.certified.as_ref().and_then(|it| it.chain().first()).cloned();
        // Not heard, it is refused and told again.
        if shown.is_some_and(|it| self.hear(Heard::Refused(it))) {
            self.shown.certified = None;
        }
    }

    /// The moment at which the connection has lasted.
    fn steady_at(&self) -> Option<Instant> {
        let connected = matches!(self.machine.phase(), Phase::Connected { .. });
        self.live.as_ref().filter(|_| connected).map(|live| live.since + STEADY)
    }

    fn timer(&mut self) {
        self.step(Input::Timer);
        let identified = self.live.as_ref().is_some_and(|live| live.identified);
        if self.steady_at().is_some_and(|at| now() >= at) && self.doubt.lives(identified) {
            tracing::warn!("the gateway drops whoever shows our certificate: going on without it");
            self.withdraw_certificate();
        }
    }

    /// Waits for one thing. Safe to call again and again: nothing that was ready is lost.
    async fn next_event(&mut self) -> Event {
        let in_doubt = self.steady_at().filter(|_| self.doubt.withholds());
        let deadline = self.machine.deadline().into_iter().chain(in_doubt).min();
        tokio::select! {
            event = news(self.live.as_mut()) => event,
            answer = ready(self.finding.as_mut()) => Event::Found(answer),
            outcome = ready(self.dialling.as_mut().map(|it| &mut it.task)) => {
                Event::Dialled(outcome)
            }
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
            self.answers.clear();
            self.step(Input::NetworkChanged);
        }
        if self.live.as_ref().is_some_and(|live| live.generation == wishes.spent) {
            self.step(Input::Spent);
        }
        let nudged = wishes.nudges != before.nudges;
        match (wishes.connect, before.connect) {
            (true, was) if !was || nudged => {
                // Whoever asks may have put another CA file in place, or changed DNS.
                self.transports.clear();
                self.answers.clear();
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
        self.gateways = gateways;
        self.transports.clear();
        self.answers.clear();
        self.step(Input::Gateways { list, keep });
    }

    /// Another road may lead where the old one did not, and may be wanted for what it is.
    fn set_network(&mut self, network: Arc<NetworkConfig>) {
        let moves = network.upstream != self.network.upstream;
        self.network = network;
        self.answers.clear();
        let in_use = match self.machine.phase() {
            Phase::Proving { gateway, .. } | Phase::Connected { gateway, .. } => Some(*gateway),
            _ => None,
        };
        let keep = in_use.filter(|_| !moves);
        self.step(Input::Gateways { list: ranks(&self.gateways), keep });
    }

    fn found(&mut self, answer: Result<Answer, Failure>) {
        self.finding = None;
        let Phase::Dialing { gateway } = *self.machine.phase() else {
            return;
        };
        match answer {
            Ok(answer) => {
                let ranks = answer.ranks();
                let is_there = |host: &String| answer.targets.iter().any(|it| it.host == *host);
                self.transports.retain(|(index, host), _| *index != gateway || is_there(host));
                self.answers.insert(gateway, answer);
                self.step(Input::Found(ranks));
            }
            Err(failure) => self.step(Input::Failed(failure)),
        }
    }

    fn dialled(&mut self, outcome: Outcome) {
        let Some(Dialling { target, road, transport, .. }) = self.dialling.take() else {
            return;
        };
        let Phase::Dialing { gateway: index } = *self.machine.phase() else {
            return;
        };
        let Dialled { secured, address } = match outcome {
            Ok(dialled) => *dialled,
            Err(failure) => {
                if let (Some(answer), Some(target)) = (self.answers.get_mut(&index), target) {
                    answer.failed(target);
                }
                let identified = transport.is_some_and(|it| it.has_shown());
                return self.not_dialled(failure, identified);
            }
        };
        let gateway = self.gateways[index].clone();
        self.generation += 1;
        let (link, incoming, driver) = Link::start(secured.tcp, secured.session, &self.link_config);
        tracing::debug!(gateway = gateway.name, %address, tls = ?secured.tls, "TLS is up");
        self.live = Some(Live {
            link,
            driver: Task::spawn(driver),
            incoming,
            generation: self.generation,
            gateway,
            address,
            road,
            tls: secured.tls,
            identified: secured.identified,
            since: now(),
        });
        self.step(Input::Up);
    }

    fn not_dialled(&mut self, failure: Failure, identified: bool) {
        if self.was_refusal(&failure, identified) {
            return;
        }
        self.doubt.broke(identified && failure.may_be_dismissal());
        self.step(Input::Failed(failure));
    }

    fn lost(&mut self, closed: Closed) {
        let Some(Live { identified, since, .. }) = self.live.take() else {
            return;
        };
        let failure = Failure::from_closed(closed);
        if self.was_refusal(&failure, identified) {
            return;
        }
        match now() - since < STEADY {
            true => self.doubt.broke(identified && failure.may_be_dismissal()),
            false => drop(self.doubt.lives(identified)),
        }
        self.step(Input::Lost(failure));
    }

    fn step(&mut self, input: Input) {
        for action in self.machine.handle(input, now()) {
            match action {
                Action::Dial(gateway) => self.find_or_dial(gateway),
                Action::DialTarget { gateway, target } => self.dial_target(gateway, target),
                Action::StopDialing => {
                    self.finding = None;
                    self.dialling = None;
                }
                Action::Ping => self.with_link(Link::ping),
                Action::Drain => self.with_link(Link::drain),
                Action::Retire => self.let_go(Link::drain, RETIRE_LIMIT),
                Action::Close => self.let_go(Link::close, CLOSE_LIMIT),
            }
        }
    }

    fn find_or_dial(&mut self, index: usize) {
        let gateway = self.gateways[index].clone();
        let Some(discovery) = gateway.discover.clone() else {
            return self.dial(index, Destination::new(gateway, Vec::new(), self.upstream()), None);
        };
        let (network, known) = (self.network.clone(), self.answers.get(&index).cloned());
        let find = async move { find(&discovery, &network, known).await };
        self.finding = Some(Task::spawn(find));
    }

    fn dial_target(&mut self, index: usize, target: usize) {
        let found = self.answers.get(&index).and_then(|answer| answer.targets.get(target));
        let Some(found) = found.cloned() else {
            // The answer was thrown away while the round went on: the next round asks again.
            let host = self.gateways[index].name.clone();
            let detail = "the answer is out of date".to_owned();
            return self.step(Input::Failed(Failure::Unresolvable { host, detail }));
        };
        let gateway = self.gateways[index].at(&found);
        let destination = Destination::new(gateway, found.addresses, self.upstream());
        self.dial(index, destination, Some(target));
    }

    fn upstream(&self) -> Option<&Upstream> {
        self.network.upstream.as_ref()
    }

    fn dial(&mut self, index: usize, destination: Destination, target: Option<usize>) {
        let gateway = &destination.gateway;
        let certified = self.shown.certified.as_ref().filter(|_| !self.doubt.withholds());
        let key = (index, gateway.host.clone());
        let transport = match self.transports.get(&key) {
            Some(transport) if transport.shows(certified) => Ok(transport.clone()),
            _ => Transport::new(gateway, Presenter::new(certified.cloned()))
                .inspect(|made| drop(self.transports.insert(key, made.clone())))
                .map_err(|error| Failure::BadConfig(error.to_string())),
        };
        let road = Road {
            target: target.map(|_| authority(&gateway.host, gateway.port)),
            through: destination.upstream.as_ref().map(Upstream::to_string),
        };
        let used = transport.as_ref().ok().cloned();
        let task = Task::spawn(async move { dial(&destination, &transport?).await.map(Box::new) });
        self.dialling = Some(Dialling { task, target, road, transport: used });
    }

    fn with_link(&self, wish: fn(&Link)) {
        if let Some(live) = &self.live {
            wish(&live.link);
        }
    }

    /// Parts with the connection, which ends by itself or after `limit`.
    fn let_go(&mut self, goodbye: fn(&Link), limit: Duration) {
        let Some(Live { link, driver, .. }) = self.live.take() else {
            return;
        };
        goodbye(&link);
        // Those that have left since the last time.
        while self.leaving.try_join_next().is_some() {}
        self.leaving.spawn(async move {
            let _ = timeout(limit, driver).await;
        });
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
                    identified: live.identified,
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
        let name = |index: usize| self.gateways[index].name.clone();
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

/// What a live connection has to say; nothing, for ever, when there is none.
async fn news(live: Option<&mut Live>) -> Event {
    let Some(live) = live else {
        return pending().await;
    };
    loop {
        tokio::select! {
            closed = &mut live.driver => return Event::Lost(closed),
            Some(news) = live.incoming.next() => match news {
                News::Pong { .. } => return Event::Pong,
                News::Control(control) => return Event::Control(control),
                News::Socket(request) => return Event::Socket(request),
                // A gateway makes no requests; dropped, the request is refused.
                News::Request(_) => {}
            },
        }
    }
}

/// What connections show, when it changes; nothing, for ever, without an identity.
async fn changed(port: Option<&mut Port>) -> Shown {
    if let Some(port) = port
        && port.shown.changed().await.is_ok()
    {
        return port.shown.borrow_and_update().clone();
    }
    pending().await
}

/// The result of a future that may not be there.
async fn ready<F: Future + Unpin>(future: Option<&mut F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => pending().await,
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
