//! Our identities: what connections present, and whether the gateway accepts that.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout_at;

use super::{Driver, now};
use crate::failure::Failure;
use crate::identity::{
    Certified, Evidence, Group, IdentityEvent, IdentityLink, IdentityUpdate, Presented,
    SilentRejection, Wire,
};
use crate::state::{Input, Phase, STEADY};

/// The first dial waits this long for the identities, which give a silent key store 4 s.
const IDENTITY_LIMIT: Duration = Duration::from_secs(5);

/// One identity, as the driver knows it.
struct Member {
    link: IdentityLink,
    presented: Presented,
    rejection: SilentRejection,
}

/// The identities, one for each group of gateways.
pub(crate) struct Members {
    members: HashMap<Group, Member>,
    updates: mpsc::UnboundedReceiver<IdentityUpdate>,
    /// What one of them presents has changed.
    changed: Arc<Notify>,
    /// The group of the gateway that is connected or dialled.
    at: watch::Sender<Option<Group>>,
}

/// What happens to the identities.
pub(super) enum News {
    /// What one of them presents has changed.
    Changed,
    /// Some end, others begin.
    Update(IdentityUpdate),
}

impl Members {
    pub(crate) fn new(
        updates: mpsc::UnboundedReceiver<IdentityUpdate>,
        changed: Arc<Notify>,
        at: watch::Sender<Option<Group>>,
    ) -> Self {
        Self { members: HashMap::new(), updates, changed, at }
    }

    /// Waits for news; safe to call again and again.
    pub(super) async fn news(&mut self) -> News {
        tokio::select! {
            () = self.changed.notified() => News::Changed,
            Some(update) = self.updates.recv() => News::Update(update),
        }
    }

    /// What a connection to a gateway of this group presents now.
    pub(super) fn certificate_for(&self, group: &Group) -> Option<&Arc<Certified>> {
        let member = self.members.get(group)?;
        member.presented.certified.as_ref().filter(|_| !member.rejection.withhold_certificate())
    }

    /// Whether the certificate is withheld to find out whether it is refused.
    pub(super) fn withholds(&self, group: &Group) -> bool {
        self.members.get(group).is_some_and(|it| it.rejection.withhold_certificate())
    }

    /// A connection to a gateway of this group has ended before it was steady.
    pub(super) fn connection_failed(&mut self, group: &Group, evidence: Evidence) {
        if let Some(member) = self.members.get_mut(group) {
            member.rejection.connection_failed(evidence);
        }
    }

    /// One is steady. Returns whether that proves that the certificate is refused.
    pub(super) fn connection_survived(&mut self, group: &Group, presented: bool) -> bool {
        let member = self.members.get_mut(group);
        member.is_some_and(|it| it.rejection.connection_survived(presented))
    }

    /// Takes over what they present now. Returns the groups for which connections must move: one that
    /// is anonymous and stays so need not. `presented_at` are the groups of connections that are not.
    fn take_changes(&mut self, presented_at: &[&Group]) -> Vec<Group> {
        let mut moved = Vec::new();
        for (group, member) in &mut self.members {
            let presented = member.link.presented.borrow_and_update().clone();
            let moves = presented.moves != member.presented.moves;
            let matters = presented.certified.is_some()
                || member.presented.certified.is_some()
                || presented_at.contains(&group);
            member.presented = presented;
            if moves && matters {
                moved.push(group.clone());
            }
        }
        moved
    }

    /// Returns the groups whose identity is another one, or gone.
    fn apply(&mut self, update: IdentityUpdate) -> Vec<Group> {
        let mut replaced = Vec::new();
        let IdentityUpdate { keep, new } = update;
        self.members.retain(|group, member| {
            let stays = keep.contains(group);
            if !stays && member.presented.certified.is_some() {
                replaced.push(group.clone());
            }
            stays
        });
        for (group, link) in new {
            let (presented, rejection) = (Presented::default(), SilentRejection::default());
            self.members.insert(group, Member { link, presented, rejection });
        }
        replaced
    }

    fn are_ready(&self) -> bool {
        self.members.values().all(|it| it.presented.ready)
    }
}

impl Driver {
    /// Waits until it is known who we are.
    pub(super) async fn await_identity(&mut self) -> Vec<Group> {
        let deadline = now() + IDENTITY_LIMIT;
        let mut moved = self.take_identity_changes();
        while !self.members.are_ready() {
            let changed = self.members.changed.notified();
            if timeout_at(deadline.into(), changed).await.is_err() {
                break;
            }
            moved.extend(self.take_identity_changes());
        }
        moved
    }

    fn take_identity_changes(&mut self) -> Vec<Group> {
        let connections = self.live.iter().chain(&self.standby);
        let presented: Vec<&Group> =
            connections.filter(|it| it.identified).map(|it| &it.group).collect();
        self.members.take_changes(&presented)
    }

    pub(super) async fn identity_news(&mut self, news: News) {
        let moved = match news {
            News::Changed => self.take_identity_changes(),
            News::Update(update) => {
                let mut moved = self.members.apply(update);
                moved.extend(self.await_identity().await);
                moved
            }
        };
        self.move_connections(&moved);
    }

    /// Takes updates that have come meanwhile: a gateway that is new has its identity first.
    pub(super) fn take_identity_updates(&mut self) {
        while let Ok(update) = self.members.updates.try_recv() {
            let mut moved = self.members.apply(update);
            moved.extend(self.take_identity_changes());
            self.move_connections(&moved);
        }
    }

    /// Connections, and the one that is dialled, must not stay if they belong to one of these groups.
    /// Where none is tried, one of these groups may succeed now.
    fn move_connections(&mut self, moved: &[Group]) {
        let idle = matches!(self.machine.phase(), Phase::Waiting { .. } | Phase::Stopped { .. });
        let connections = self.live.iter().chain(&self.standby).map(|it| it.group.clone());
        let mut in_use = connections.chain(self.dialled_group());
        if idle && !moved.is_empty() || in_use.any(|group| moved.contains(&group)) {
            drop(in_use);
            self.step(Input::Identity);
        }
    }

    /// The group of the gateway whose connection requests take, or else of the one that is dialled.
    fn current_group(&self) -> Option<Group> {
        match self.serving() {
            Some(live) => Some(live.group.clone()),
            None => self.dialled_group(),
        }
    }

    fn dialled_group(&self) -> Option<Group> {
        match *self.machine.phase() {
            Phase::Dialing { gateway } => self.dialler.gateways().get(gateway).map(Group::of),
            _ => None,
        }
    }

    /// Hands the connection that requests take to the identity that it belongs to.
    pub(super) fn publish_identity(&self) {
        for (group, member) in &self.members.members {
            let live = self.serving().filter(|live| live.group == *group);
            let generation = live.map(|live| live.generation);
            member.link.wire.send_if_modified(|wire| {
                let changed = wire.as_ref().map(|wire| wire.generation) != generation;
                *wire = live.map(|live| Wire {
                    link: live.link.clone(),
                    generation: live.generation,
                    auth: live.auth,
                });
                changed
            });
        }
        if let Some(group) = self.current_group() {
            self.members.at.send_if_modified(|at| {
                let changed = at.as_ref() != Some(&group);
                *at = Some(group);
                changed
            });
        }
    }

    /// Passes an event to the identity of a group. One that is lost because the identity is busy
    /// comes again. Returns whether it was passed on.
    pub(super) fn tell_identity(&self, group: &Group, event: IdentityEvent) -> bool {
        let member = self.members.members.get(group);
        member.is_some_and(|it| it.link.events.try_send(event).is_ok())
    }

    /// If a connection was refused because of the certificate that it presented, the next attempt goes
    /// without: no reason to give up.
    pub(super) fn was_refusal(
        &mut self,
        group: &Group,
        failure: &Failure,
        presented: bool,
    ) -> bool {
        let refused = presented && matches!(failure, Failure::ClientCertRefused { .. });
        if refused {
            tracing::warn!(%failure, %group, "connecting without it");
            self.withdraw_certificate(group);
            self.step(Input::Identity);
        }
        refused
    }

    /// Connections are anonymous from now on, until the identity says otherwise.
    fn withdraw_certificate(&mut self, group: &Group) {
        let Some(member) = self.members.members.get_mut(group) else { return };
        let certified = member.presented.certified.as_ref();
        let Some(leaf) = certified.and_then(|it| it.chain().first()).cloned() else { return };
        // Not passed on, it is refused and passed on again.
        if member.link.events.try_send(IdentityEvent::Refused(leaf)).is_ok() {
            member.presented.certified = None;
        }
    }

    /// When the connection will have lasted.
    pub(super) fn steady_at(&self) -> Option<Instant> {
        let connected = matches!(self.machine.phase(), Phase::Connected { .. });
        self.live.as_ref().filter(|_| connected).map(|live| live.since + STEADY)
    }

    /// When a connection that goes without the certificate will have proved something.
    pub(super) fn rejection_due(&self) -> Option<Instant> {
        let group = &self.live.as_ref()?.group;
        self.steady_at().filter(|_| self.members.withholds(group))
    }

    pub(super) fn timer(&mut self) {
        self.step(Input::Timer);
        let Some(live) = &self.live else { return };
        let (group, presented) = (live.group.clone(), live.identified);
        if self.steady_at().is_some_and(|at| now() >= at)
            && self.members.connection_survived(&group, presented)
        {
            tracing::warn!(
                "the gateway drops connections that present our certificate: going on without it"
            );
            self.withdraw_certificate(&group);
        }
    }
}
