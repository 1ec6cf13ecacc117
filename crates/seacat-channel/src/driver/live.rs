//! The connection that is up: its start, its news, its end; and those that were let go of.

use std::future::pending;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use seacat_link::{Closed, Incoming, Link, News};
use tokio::task::JoinSet;
use tokio::time::{timeout, timeout_at};

use super::{Driver, Event, now};
use crate::config::GatewayConfig;
use crate::dial::Dialled;
use crate::failure::Failure;
use crate::identity::{Evidence, LinkAuth};
use crate::state::{Input, STEADY};
use crate::status::{Road, TlsInfo};
use crate::task::Task;

/// After a goodbye the peer gets this long to answer it (wire specification, section 1.4).
pub(super) const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// What runs on a connection that was let go of may run this long: an hour's download is worth
/// an idle socket, and there is one such socket for each change of gateways.
pub(super) const RETIRE_LIMIT: Duration = Duration::from_secs(3600);

/// A connection and what there is to know about it.
pub(super) struct Live {
    pub(super) link: Link,
    /// Runs the connection. A task of its own: its wake-ups, one for every burst of frames, have
    /// nothing to do with the channel's loop.
    driver: Task<Closed>,
    incoming: Incoming,
    pub(super) generation: u64,
    pub(super) gateway: GatewayConfig,
    pub(super) address: SocketAddr,
    pub(super) road: Road,
    pub(super) tls: TlsInfo,
    pub(super) identified: bool,
    pub(super) auth: LinkAuth,
    pub(super) since: Instant,
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
        let Some(Live { link, identified, since, .. }) = self.live.take() else {
            return;
        };
        let failure = Failure::from_closed(closed);
        if self.was_refusal(&failure, identified) {
            return;
        }
        match now() - since < STEADY {
            true => {
                let answered = link.health().last_frame.is_some();
                let presented = identified && (answered || failure.may_be_dismissal());
                self.rejection.connection_failed(Evidence { presented, answered });
            }
            false => drop(self.rejection.connection_survived(identified)),
        }
        self.step(Input::Lost(failure));
    }

    pub(super) fn with_link(&self, wish: fn(&Link)) {
        if let Some(live) = &self.live {
            wish(&live.link);
        }
    }

    /// Parts with the connection, which ends by itself or after `limit`.
    pub(super) fn let_go(&mut self, goodbye: fn(&Link), limit: Duration) {
        let Some(Live { link, driver, .. }) = self.live.take() else {
            return;
        };
        goodbye(&link);
        self.leaving.add(driver, limit);
    }
}

/// What a live connection has to say; nothing, for ever, when there is none.
pub(super) async fn news(live: Option<&mut Live>) -> Event {
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
                // The next request finds the connection draining and asks for another.
                News::GoAway => {}
                // A gateway makes no requests and names no connections; a request that is
                // dropped is refused.
                News::Request(_) | News::ConnectionEnded { .. } => {}
            },
        }
    }
}
