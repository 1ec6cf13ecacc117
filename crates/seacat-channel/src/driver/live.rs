//! The connection that is up: its start, its news, its end; and those that were let go of.

use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use seacat_link::{Closed, Incoming, IncomingEvent, Link};
use tokio::task::JoinSet;
use tokio::time::{timeout, timeout_at};

use super::{Driver, LinkEvent, now};
use crate::config::GatewayConfig;
use crate::dial::Dialled;
use crate::failure::Failure;
use crate::identity::{Evidence, Group, IdentityEvent, LinkAuth};
use crate::state::{Input, STEADY};
use crate::status::{Road, TlsInfo};
use crate::task::Task;

/// After a goodbye the peer gets this long to answer it (wire specification, section 1.4).
pub(super) const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// What runs on a connection that was let go of may run this long: an hour's download is worth
/// an idle socket, and there is one such socket for each change of gateways.
pub(super) const RETIRE_LIMIT: Duration = Duration::from_secs(3600);

/// A connection that did not answer when another was found to has this long to do so after all, for
/// the sake of requests that must not be sent twice.
const SILENT_LIMIT: Duration = Duration::from_secs(10);

/// A connection and what there is to know about it.
pub(super) struct Live {
    pub(super) link: Link,
    /// Runs the connection. A task of its own: its wake-ups, one for every burst of frames, have
    /// nothing to do with the channel's loop.
    driver: Task<Closed>,
    incoming: Incoming,
    pub(super) generation: u64,
    pub(super) gateway: GatewayConfig,
    /// Which of our identities it belongs to.
    pub(super) group: Group,
    pub(super) address: SocketAddr,
    /// Our end's address.
    local: Option<IpAddr>,
    pub(super) road: Road,
    pub(super) tls: TlsInfo,
    pub(super) identified: bool,
    pub(super) auth: LinkAuth,
    pub(super) since: Instant,
}

impl Live {
    /// Whether our end's address is not this computer's any more. A socket is bound to find out:
    /// nothing is sent.
    pub(super) fn is_unbound(&self) -> bool {
        let bind = |local: IpAddr| UdpSocket::bind((local, 0));
        let error = self.local.and_then(|local| bind(local).err());
        error.is_some_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable)
    }
}

/// Connections that were let go of and still say goodbye.
#[derive(Default)]
pub(super) struct Leaving(JoinSet<()>);

impl Leaving {
    fn add(&mut self, driver: Task<Closed>, limit: Duration) {
        // Those that have left since the last time.
        while self.0.try_join_next().is_some() {}
        self.0.spawn(async move {
            let _ = timeout(limit, driver).await;
        });
    }

    /// Requests on a connection that does not answer may be answered late.
    fn add_silent(&mut self, link: Link, driver: Task<Closed>) {
        let heard = link.health().last_frame;
        self.0.spawn(async move {
            let mut driver = driver;
            let silent = timeout(SILENT_LIMIT, &mut driver).await.is_err();
            if silent && link.health().last_frame != heard {
                let _ = timeout(RETIRE_LIMIT, driver).await;
            }
        });
    }

    /// Waits for all of them, but no longer than this.
    pub(super) async fn all_gone(&mut self, until: Instant) {
        let all_gone = async { while self.0.join_next().await.is_some() {} };
        let _ = timeout_at(until.into(), all_gone).await;
    }
}

impl Driver {
    /// The connection that was dialled is the one we have.
    pub(super) fn up(
        &mut self,
        dialled: Dialled,
        gateway: GatewayConfig,
        road: Road,
        had_certificate: bool,
    ) {
        let Dialled { secured, address } = dialled;
        self.generation += 1;
        let local = secured.tcp.local_addr().ok().map(|local| local.ip());
        let (link, incoming, driver) = Link::start(secured.tcp, secured.session, &self.link_config);
        tracing::debug!(gateway = gateway.name, %address, tls = ?secured.tls, "TLS is up");
        self.live = Some(Live {
            link,
            driver: Task::spawn(driver),
            incoming,
            generation: self.generation,
            group: Group::of(&gateway),
            gateway,
            address,
            local,
            road,
            tls: secured.tls,
            identified: secured.identified,
            auth: match secured.identified {
                true => LinkAuth::Certificate,
                false if had_certificate => LinkAuth::Declined,
                false => LinkAuth::Nothing,
            },
            since: now(),
        });
        self.step(Input::Up);
    }

    pub(super) fn lost(&mut self, closed: Closed) {
        let Some(Live { link, group, identified, since, .. }) = self.live.take() else {
            return;
        };
        let failure = Failure::from_closed(closed);
        if self.was_refusal(&group, &failure, identified) {
            return;
        }
        match now() - since < STEADY {
            true => {
                let answered = link.health().last_frame.is_some();
                let presented = identified && (answered || failure.may_be_dismissal());
                self.members.connection_failed(&group, Evidence { presented, answered });
            }
            false => drop(self.members.connection_survived(&group, identified)),
        }
        self.step(Input::Lost(failure));
    }

    pub(super) fn with_link(&self, command: fn(&Link)) {
        if let Some(live) = &self.live {
            command(&live.link);
        }
    }

    pub(super) fn on_live(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Heard => self.step(Input::Heard),
            LinkEvent::Unanswered => self.step(Input::Unanswered),
            LinkEvent::GoAway => self.step(Input::Spent),
            LinkEvent::Lost(closed) => self.lost(closed),
            other => self.on_either(self.live.as_ref(), other),
        }
    }

    pub(super) fn on_standby(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Heard => self.step(Input::StandbyHeard),
            LinkEvent::GoAway => self.step(Input::StandbySpent),
            LinkEvent::Lost(closed) => {
                self.standby = None;
                self.step(Input::StandbyLost(Failure::from_closed(closed)));
            }
            other => self.on_either(self.standby.as_ref(), other),
        }
    }

    /// What does not depend on which of the two `connection` is.
    fn on_either(&self, connection: Option<&Live>, event: LinkEvent) {
        match event {
            LinkEvent::Control(frame) => {
                if let Some(connection) = connection {
                    self.tell_identity(&connection.group, IdentityEvent::Frame(frame));
                }
            }
            LinkEvent::Socket(request) => self.reverse.answer(request),
            // The status shows it, and is published after every event.
            LinkEvent::Pong => {}
            LinkEvent::Heard | LinkEvent::Unanswered | LinkEvent::GoAway | LinkEvent::Lost(_) => {}
        }
    }

    /// Parts with the connection, which ends with its last stream or after `limit`.
    pub(super) fn let_go(&mut self, goodbye: fn(&Link), limit: Duration) {
        if let Some(Live { link, driver, .. }) = self.live.take() {
            goodbye(&link);
            self.leaving.add(driver, limit);
        }
    }

    pub(super) fn release_standby(&mut self, goodbye: fn(&Link), limit: Duration) {
        if let Some(Live { link, driver, .. }) = self.standby.take() {
            goodbye(&link);
            self.leaving.add(driver, limit);
        }
    }

    pub(super) fn abandon_standby(&mut self) {
        if let Some(Live { link, driver, .. }) = self.standby.take() {
            link.abandon();
            link.drain();
            self.leaving.add_silent(link, driver);
        }
    }

    /// Requests that were refused by an earlier connection must not take it for that one.
    pub(super) fn resume(&mut self) {
        self.generation += 1;
        let generation = self.generation;
        self.live = self.standby.take().map(|live| Live { generation, ..live });
    }
}

/// What happens on a connection; nothing, for ever, when there is none.
pub(super) async fn link_event(live: Option<&mut Live>) -> LinkEvent {
    let Some(live) = live else {
        return pending().await;
    };
    loop {
        tokio::select! {
            closed = &mut live.driver => return LinkEvent::Lost(closed),
            Some(news) = live.incoming.next() => match news {
                IncomingEvent::FrameReceived => return LinkEvent::Heard,
                IncomingEvent::Unanswered => return LinkEvent::Unanswered,
                IncomingEvent::Pong { .. } => return LinkEvent::Pong,
                IncomingEvent::Control(control) => return LinkEvent::Control(control),
                IncomingEvent::Socket(request) => return LinkEvent::Socket(request),
                IncomingEvent::GoAway => return LinkEvent::GoAway,
                // A gateway makes no requests and names no connections; a request that is
                // dropped is refused.
                IncomingEvent::Request(_) | IncomingEvent::ConnectionEnded { .. } => {}
            },
        }
    }
}
