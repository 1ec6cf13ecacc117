//! The idle connections to one back end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use seacat_http1_client::Connection;
use tokio::time::{Instant, sleep_until};

/// An idle connection and since when it is idle.
pub(super) struct Idle {
    pub(super) since: Instant,
    pub(super) connection: Box<Connection>,
}

impl Idle {
    pub(super) fn now(connection: Box<Connection>) -> Self {
        Self { since: Instant::now(), connection }
    }
}

/// The idle connections of one host.
pub(crate) struct Pool {
    idle: Mutex<List>,
    largest: usize,
}

#[derive(Default)]
struct List {
    /// Newest last.
    connections: Vec<Idle>,
    /// A task closes expired ones.
    swept: bool,
}

impl Pool {
    /// With fewer idle connections than concurrent requests, most requests open a connection of
    /// their own: with 256 here, a thousand clients cost twice the processor time per request. Back
    /// ends have limits too, but this many connections were in use a moment ago.
    const LARGEST: usize = 1024;
    /// Below the 60 s and more that most servers keep an idle connection.
    const IDLE: Duration = Duration::from_secs(30);

    /// A pool that uses at most this many file descriptors.
    pub(crate) fn new(descriptors: usize) -> Self {
        Self { idle: Mutex::default(), largest: Self::LARGEST.min(descriptors) }
    }

    /// The most recently used connection, if it is still open. Newest first lets the others expire.
    pub(super) fn take(&self) -> Option<Box<Connection>> {
        let mut idle = self.lock();
        while let Some(newest) = idle.connections.pop() {
            if newest.connection.is_idle() {
                return Some(newest.connection);
            }
        }
        None
    }

    /// Closes the oldest idle connection when a new one has to be opened, so that a back end has at
    /// most as many connections as there are concurrent requests.
    pub(super) fn give_way(&self) {
        let mut idle = self.lock();
        if !idle.connections.is_empty() {
            idle.connections.remove(0);
        }
    }

    /// Stores a connection for the next request.
    pub(super) fn put(self: &Arc<Self>, connection: Box<Connection>) {
        let mut idle = self.lock();
        if idle.connections.len() >= self.largest {
            return;
        }
        idle.connections.push(Idle::now(connection));
        if !std::mem::replace(&mut idle.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A collection of idle connections that expire.
pub(super) trait ExpireIdle: Send + Sync + 'static {
    /// Closes connections that have been idle for too long and returns when to check again; `None`
    /// when none is left.
    fn expire(&self, now: Instant) -> Option<Instant>;
}

impl ExpireIdle for Pool {
    fn expire(&self, now: Instant) -> Option<Instant> {
        let mut idle = self.lock();
        idle.connections.retain(|it| it.since + Self::IDLE > now);
        let next = idle.connections.first().map(|it| it.since + Self::IDLE);
        idle.swept = next.is_some();
        next
    }
}

/// Expires connections as long as the collection exists and is not empty.
pub(super) async fn sweep(idle: Weak<impl ExpireIdle>) {
    while let Some(next) = idle.upgrade().and_then(|idle| idle.expire(Instant::now())) {
        sleep_until(next).await;
    }
}
