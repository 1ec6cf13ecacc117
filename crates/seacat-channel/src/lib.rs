//! The lasting link to a gateway.
//!
//! Connections come and go; a [`Channel`] stays. It is the only place in the program that dials:
//! it finds a gateway, checks that it is the right one, keeps a connection to it, and carries
//! requests, each as one [`Channel::exchange`].
//!
//! ```text
//!   Channel ──desired state──► Driver ──inputs──► Machine (pure: state.rs)
//!      ▲                         │ ▲ ◄──actions──────┘
//!      │ availability, status    │ └── dial: resolver, every address, TLS, trust
//!      └─────────────────────────┘
//!   exchange: take the link that is available, open a stream on it, send, wait, maybe again
//! ```
//!
//! * Why there is no connection is a [`Failure`]: told apart, with a code, permanent or not.
//! * What a request may hope for is decided in one place, by the retry rule in `exchange.rs`.
//! * The hot path, an exchange on a live connection, passes no queue and spawns nothing.
//!
//! Section numbers refer to the project's wire specification.

mod advice;
mod availability;
mod backoff;
mod certificates;
mod config;
mod dial;
mod discovery;
mod driver;
mod exchange;
mod failure;
pub mod identity;
mod order;
mod portal;
pub mod probe;
mod reverse;
#[cfg(test)]
mod simulation;
mod state;
mod status;
mod task;
#[cfg(test)]
mod testing;
mod transport;
mod trust;
mod upload;
mod upstream;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};

pub use certificates::certificates_as_pem;
pub use config::{
    ChannelConfig, ConfigError, DEFAULT_PORT, DEFAULT_WAIT, GatewayConfig, NetworkConfig, Roots,
    Tls, Trust, Warning, reachability,
};
pub use discovery::{DEFAULT_DOMAIN, Discovery, Target, discover};
pub use exchange::{ExchangeError, Replay, Reply, ReplyBody, Timings, Tunnel};
pub use failure::{Failure, ProxyAuth, Stage};
pub use reverse::{ReversePort, ReverseStatus};
pub use seacat_link::descriptors;
pub use seacat_link::{Carried, Closed, Duplex, Health, StreamError, Throttle, TunnelError};
pub use seacat_proto::{Bytes, Reason, ReplyHead, RequestHead};
pub use status::{Road, State, Status, TlsInfo};
pub use upload::{BodyError, NoBody, RequestBody};
pub use upstream::{ConnectBy, Credentials, Except, Upstream, UpstreamError};

use identity::{Group, Identities, Identity, IdentityConfig, IdentityUpdate};

use availability::Availability;
use driver::{DesiredState, Driver, Members};
use reverse::Reverse;

/// A handle of a channel. Clones are handles of the same one; when the last is dropped, the
/// channel says goodbye to its gateway and what runs on it is lost.
#[derive(Clone)]
pub struct Channel {
    inner: Arc<Inner>,
}

struct Inner {
    desired: watch::Sender<DesiredState>,
    availability: watch::Receiver<Availability>,
    status: watch::Receiver<Status>,
    identities: Mutex<Identities>,
    identity_updates: mpsc::UnboundedSender<IdentityUpdate>,
    /// The group of the gateway that is connected or was dialled last.
    at: watch::Receiver<Option<Group>>,
    reverse: Reverse,
    wait: Duration,
}

impl Channel {
    /// Starts a channel, which dials at once if [`ChannelConfig::connect`] says so.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time.
    #[must_use]
    pub fn start(mut config: ChannelConfig) -> Self {
        let changed = Arc::<Notify>::default();
        let (identities, first_identities) =
            Identities::start(config.identity.take(), &config.gateways, Arc::clone(&changed));
        let (desired, changes) = watch::channel(DesiredState {
            connect: config.connect,
            connect_requests: 0,
            network_changes: 0,
            demand: 0,
            doubts: 0,
            exhausted: 0,
            gateways: Arc::new(config.gateways.clone()),
            network: Arc::new(config.network.clone()),
            drain_until: None,
        });
        // What is seen before the driver has run for the first time.
        let first = if config.connect {
            Availability::Soon { next: None, why: None }
        } else {
            Availability::Shut { why: None }
        };
        let (publisher, availability) = watch::channel(first);
        let off = Status { state: State::Off, health: None, last_failure: None };
        let (status_sender, status) = watch::channel(off);
        let wait = config.wait;
        let reverse = Reverse::new(std::mem::take(&mut config.reverse));
        let (identity_updates, updates) = mpsc::unbounded_channel();
        // The other end is held by the driver.
        let _ = identity_updates.send(first_identities);
        let (at_sender, at) = watch::channel(None);
        let members = Members::new(updates, changed, at_sender);
        let driver =
            Driver::new(config, changes, publisher, status_sender, members, reverse.clone());
        tokio::spawn(driver.run());
        let identities = Mutex::new(identities);
        let inner = Inner {
            desired,
            availability,
            status,
            identities,
            identity_updates,
            at,
            reverse,
            wait,
        };
        Self { inner: Arc::new(inner) }
    }

    /// To be connected, now and to the preferred gateway: the back-off starts again, a channel that
    /// had stopped tries again, a connection that is up is asked for a sign of life, or replaced by
    /// one to a gateway that is preferred to its own.
    pub fn connect(&self) {
        self.inner.desired.send_modify(|desired| {
            desired.connect = true;
            desired.connect_requests += 1;
        });
    }

    /// Not to be connected. Requests in flight are lost.
    pub fn disconnect(&self) {
        self.inner.desired.send_modify(|desired| desired.connect = false);
    }

    /// The computer woke up, has another network or another time. A connection that is up is asked
    /// for a sign of life, and replaced when it gives none; a channel that waits or had stopped tries
    /// again. Nothing happens when the channel is off.
    pub fn network_changed(&self) {
        self.inner.desired.send_modify(|desired| desired.network_changes += 1);
    }

    /// Replaces the list of gateways. A connection to one that is still in it, with the same host,
    /// port, address, trust and group, stays; another is let go of, and requests on it may finish.
    pub fn set_gateways(&self, gateways: Vec<GatewayConfig>) {
        let update = self.identities_mut().follow(&gateways);
        self.replace_gateways(gateways, update);
    }

    /// Replaces gateways and identities at once, so that no identity of the former gateways is one at
    /// the new.
    pub fn replace(&self, gateways: Vec<GatewayConfig>, identity: Option<IdentityConfig>) {
        let update = self.identities_mut().replace(identity, &gateways);
        self.replace_gateways(gateways, update);
    }

    /// The driver takes the identities before it dials the gateways.
    fn replace_gateways(&self, gateways: Vec<GatewayConfig>, update: IdentityUpdate) {
        // An error means that the driver is gone, and identities are of no use.
        let _ = self.inner.identity_updates.send(update);
        self.inner.desired.send_modify(|desired| desired.gateways = Arc::new(gateways));
    }

    /// Changes how gateways are found and reached. A connection that goes through another proxy than
    /// it should, or through one that it should not, is let go of, and what runs on it may finish.
    pub fn set_network(&self, network: NetworkConfig) {
        self.inner.desired.send_if_modified(|desired| {
            let differs = *desired.network != network;
            if differs {
                desired.network = Arc::new(network);
            }
            differs
        });
    }

    /// Takes nothing new, waits for what runs, but no longer than `deadline` (and the moment that
    /// a goodbye takes). The channel is over then.
    pub async fn drain(&self, deadline: Duration) {
        let until = driver::now() + deadline;
        self.inner.desired.send_modify(|desired| {
            let sooner = desired.drain_until.map_or(until, |other| other.min(until));
            desired.drain_until = Some(sooner);
        });
        let mut status = self.inner.status.clone();
        // An error means that the driver is gone, which is just as well.
        let _ = status.wait_for(|status| matches!(status.state, State::Ended)).await;
    }

    /// Where the channel is, and a way to wait until that changes.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.inner.status.clone()
    }

    /// Our identity at the gateway that is connected, or was dialled last; none when the channel is
    /// anonymous.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.identity_here().map(|(_, identity)| identity)
    }

    /// The same, and the group of gateways that it belongs to.
    #[must_use]
    pub fn identity_here(&self) -> Option<(Group, Identity)> {
        let at = self.inner.at.borrow().clone();
        self.identities_mut().at(at.as_ref())
    }

    /// Our identities at all gateways, those of the preferred gateways first.
    #[must_use]
    pub fn identities(&self) -> Vec<(Group, Identity)> {
        self.identities_mut().all()
    }

    /// The group of the gateway that is connected or was dialled last, and a way to wait until
    /// [`Channel::identity_here`] may be another one.
    #[must_use]
    pub fn current_group(&self) -> watch::Receiver<Option<Group>> {
        self.inner.at.clone()
    }

    /// Replaces all identities: as the channel was started with `identity`. What the former ones have
    /// under way on this computer is finished first.
    pub fn set_identity(&self, identity: Option<IdentityConfig>) {
        let gateways = Arc::clone(&self.inner.desired.borrow().gateways);
        let update = self.identities_mut().replace(identity, &gateways);
        // An error means that the driver is gone, and identities are of no use.
        let _ = self.inner.identity_updates.send(update);
    }

    fn identities_mut(&self) -> MutexGuard<'_, Identities> {
        self.inner.identities.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reverse ports and their connections at this moment.
    #[must_use]
    pub fn reverse(&self) -> Vec<ReverseStatus> {
        self.inner.reverse.status()
    }

    /// The pulse of the connection at this moment, if there is one.
    #[must_use]
    pub fn health(&self) -> Option<Health> {
        match &*self.inner.availability.borrow() {
            Availability::Open { link, .. } => Some(link.health()),
            _ => None,
        }
    }

    /// Passes on that the gateway has denied a request for want of an identity.
    fn note_denial(&self, head: &ReplyHead) {
        if identity::is_denial(head)
            && let Some(identity) = self.identity()
        {
            identity.denied();
        }
    }

    fn wait(&self) -> Duration {
        self.inner.wait
    }

    fn availability(&self) -> &watch::Receiver<Availability> {
        &self.inner.availability
    }

    /// A request waits while nothing is being tried.
    fn demand(&self) {
        self.inner.desired.send_modify(|desired| desired.demand += 1);
    }

    /// Something that must not be lost is to be sent on a connection that has not been heard lately.
    fn doubt(&self) {
        self.inner.desired.send_modify(|desired| desired.doubts += 1);
    }

    /// Connection number `generation` takes no more streams.
    fn exhausted(&self, generation: u64) {
        self.inner.desired.send_if_modified(|desired| {
            let newer = desired.exhausted < generation;
            desired.exhausted = desired.exhausted.max(generation);
            newer
        });
    }
}

#[cfg(test)]
#[path = "channel_tests.rs"]
mod tests;
