//! Who we are towards the gateway: what connections show, and whether the gateway wants that.

use std::future::pending;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::{Driver, now};
use crate::failure::Failure;
use crate::identity::{Heard, Port, Shown};
use crate::state::{Input, Phase, STEADY};

/// The first dial waits this long for the identity, which gives a silent key store 4 s.
const IDENTITY_LIMIT: Duration = Duration::from_secs(5);

impl Driver {
    /// Waits until it is known who we are.
    pub(super) async fn meet_identity(&mut self) {
        if let Some(port) = &mut self.identity {
            let known = port.shown.wait_for(|shown| shown.ready);
            if let Ok(Ok(shown)) = timeout(IDENTITY_LIMIT, known).await {
                self.shown = shown.clone();
            }
        }
    }

    pub(super) fn show(&mut self, shown: Shown) {
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
    pub(super) async fn become_somebody(&mut self, port: Option<Port>) {
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
    pub(super) fn hear(&self, heard: Heard) -> bool {
        match &self.identity {
            Some(port) => port.heard.try_send(heard).is_ok(),
            None => false,
        }
    }

    /// If it was the certificate it showed for which a connection was refused, the next attempt
    /// goes without: no reason to give up.
    pub(super) fn was_refusal(&mut self, failure: &Failure, identified: bool) -> bool {
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
    pub(super) fn steady_at(&self) -> Option<Instant> {
        let connected = matches!(self.machine.phase(), Phase::Connected { .. });
        self.live.as_ref().filter(|_| connected).map(|live| live.since + STEADY)
    }

    pub(super) fn timer(&mut self) {
        self.step(Input::Timer);
        let identified = self.live.as_ref().is_some_and(|live| live.identified);
        if self.steady_at().is_some_and(|at| now() >= at)
            && self.rejection.connection_survived(identified)
        {
            tracing::warn!("the gateway drops whoever shows our certificate: going on without it");
            self.withdraw_certificate();
        }
    }
}

/// What connections show, when it changes; nothing, for ever, without an identity.
pub(super) async fn changed(port: Option<&mut Port>) -> Shown {
    if let Some(port) = port
        && port.shown.changed().await.is_ok()
    {
        return port.shown.borrow_and_update().clone();
    }
    pending().await
}
