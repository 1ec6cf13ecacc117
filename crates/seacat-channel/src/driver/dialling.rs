//! Finding gateways and dialling them: what is known for it, what is under way, what came of it.

use std::collections::HashMap;
use std::future::{Future, pending};
use std::net::IpAddr;
use std::sync::Arc;

use super::{Driver, Event};
use crate::config::{GatewayConfig, NetworkConfig};
use crate::dial::{Destination, Dialled, dial};
use crate::discovery::{Answer, find};
use crate::failure::Failure;
use crate::identity::{Certified, Evidence, Group, Presenter};
use crate::state::{Input, Phase};
use crate::status::Road;
use crate::task::Task;
use crate::transport::Transport;
use crate::upstream::{Upstream, authority};

/// The gateways and the roads to them.
pub(super) struct Dialler {
    gateways: Arc<Vec<GatewayConfig>>,
    network: Arc<NetworkConfig>,
    /// Whether the next dial uses small segments, see [`Destination`].
    pub(super) small_segments: bool,
    /// What DNS said about a gateway.
    answers: HashMap<usize, Answer>,
    /// Made when a host is dialled for the first time: a gateway's own, or a target's.
    transports: HashMap<(usize, String), Transport>,
    finding: Option<Task<Result<Answer, Failure>>>,
    dialling: Option<Dialling>,
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

/// Boxed, because a TLS session is large.
pub(super) type Outcome = Result<Box<Dialled>, Failure>;

impl Dialler {
    pub(super) fn new(gateways: Arc<Vec<GatewayConfig>>, network: Arc<NetworkConfig>) -> Self {
        Self {
            gateways,
            network,
            small_segments: false,
            answers: HashMap::new(),
            transports: HashMap::new(),
            finding: None,
            dialling: None,
        }
    }

    pub(super) fn gateways(&self) -> &[GatewayConfig] {
        &self.gateways
    }

    pub(super) fn set_gateways(&mut self, gateways: Arc<Vec<GatewayConfig>>) {
        self.gateways = gateways;
        self.forget();
    }

    /// Says whether connections that are up have another road now.
    pub(super) fn set_network(&mut self, network: Arc<NetworkConfig>) -> bool {
        let moves = network.upstream != self.network.upstream;
        self.network = network;
        self.forget_answers();
        moves
    }

    pub(super) fn forget(&mut self) {
        self.transports.clear();
        self.answers.clear();
    }

    pub(super) fn forget_answers(&mut self) {
        self.answers.clear();
    }

    pub(super) fn stop(&mut self) {
        self.finding = None;
        self.dialling = None;
    }

    /// The connection is to show `certified`.
    pub(super) fn find_or_dial(&mut self, index: usize, certified: Option<&Arc<Certified>>) {
        let gateway = self.gateways[index].clone();
        let Some(discovery) = gateway.discover.clone() else {
            let destination = self.destination(gateway, Vec::new());
            return self.dial(index, destination, None, certified);
        };
        let (network, known) = (self.network.clone(), self.answers.get(&index).cloned());
        let find = async move { find(&discovery, &network, known).await };
        self.finding = Some(Task::spawn(find));
    }

    pub(super) fn dial_target(
        &mut self,
        index: usize,
        target: usize,
        certified: Option<&Arc<Certified>>,
    ) -> Result<(), Failure> {
        let found = self.answers.get(&index).and_then(|answer| answer.targets.get(target));
        let Some(found) = found.cloned() else {
            // The answer was thrown away while the round went on: the next round asks again.
            let host = self.gateways[index].name.clone();
            let detail = "the answer is out of date".to_owned();
            return Err(Failure::Unresolvable { host, detail });
        };
        let gateway = self.gateways[index].at(&found);
        let destination = self.destination(gateway, found.addresses);
        self.dial(index, destination, Some(target), certified);
        Ok(())
    }

    fn destination(&self, gateway: GatewayConfig, found: Vec<IpAddr>) -> Destination {
        let upstream = self.network.upstream.as_ref();
        let destination = Destination::new(gateway, found, upstream);
        Destination { small_segments: self.small_segments, ..destination }
    }

    fn dial(
        &mut self,
        index: usize,
        destination: Destination,
        target: Option<usize>,
        certified: Option<&Arc<Certified>>,
    ) {
        let gateway = &destination.gateway;
        let key = (index, gateway.host.clone());
        let transport = match self.transports.get(&key) {
            Some(transport) if transport.shows(certified) && transport.is_current(gateway) => {
                Ok(transport.clone())
            }
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

    /// What DNS said about gateway `index`.
    fn learn(&mut self, index: usize, answer: Answer) {
        let is_there = |host: &String| answer.targets.iter().any(|it| it.host == *host);
        self.transports.retain(|(gateway, host), _| *gateway != index || is_there(host));
        self.answers.insert(index, answer);
    }

    /// What the next round knows of a target that could not be dialled.
    fn failed(&mut self, index: usize, target: usize) {
        if let Some(answer) = self.answers.get_mut(&index) {
            answer.failed(target);
        }
    }

    /// What came of it; nothing, for ever, when nothing is under way.
    pub(super) async fn news(&mut self) -> Event {
        tokio::select! {
            answer = ready(self.finding.as_mut()) => Event::Found(answer),
            outcome = ready(self.dialling.as_mut().map(|it| &mut it.task)) => {
                Event::Dialled(outcome)
            }
        }
    }
}

impl Driver {
    pub(super) fn found(&mut self, answer: Result<Answer, Failure>) {
        self.dialler.finding = None;
        let Phase::Dialing { gateway } = *self.machine.phase() else {
            return;
        };
        match answer {
            Ok(answer) => {
                let ranks = answer.ranks();
                self.dialler.learn(gateway, answer);
                self.step(Input::Found(ranks));
            }
            Err(failure) => self.step(Input::Failed(failure)),
        }
    }

    pub(super) fn dialled(&mut self, outcome: Outcome) {
        let Some(dialling) = self.dialler.dialling.take() else {
            return;
        };
        let Phase::Dialing { gateway } = *self.machine.phase() else {
            return;
        };
        match outcome {
            Ok(dialled) => {
                let gateway = self.dialler.gateways[gateway].clone();
                let had_certificate = self.members.withholds(&Group::of(&gateway))
                    || dialling.transport.is_some_and(|it| !it.shows(None));
                self.up(*dialled, gateway, dialling.road, had_certificate);
            }
            Err(failure) => {
                if let Some(target) = dialling.target {
                    self.dialler.failed(gateway, target);
                }
                let identified = dialling.transport.is_some_and(|it| it.has_shown());
                let group = Group::of(&self.dialler.gateways[gateway]);
                self.not_dialled(&group, failure, identified);
            }
        }
    }

    fn not_dialled(&mut self, group: &Group, failure: Failure, identified: bool) {
        if self.was_refusal(group, &failure, identified) {
            return;
        }
        let presented = identified && failure.may_be_dismissal();
        self.members.connection_failed(group, Evidence { presented, answered: false });
        if matches!(failure, Failure::UnknownCa { .. }) {
            // The CA file is read again for the next attempt, whatever its age says.
            self.dialler.forget();
        }
        self.step(Input::Failed(failure));
    }
}

/// The result of a future that may not be there.
async fn ready<F: Future + Unpin>(future: Option<&mut F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}
