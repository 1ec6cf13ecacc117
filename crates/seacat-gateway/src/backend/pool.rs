//! The idle connections to one back end, kept for the next request.

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
    /// A task looks after them.
    swept: bool,
}

impl Pool {
    /// With fewer than there are requests at one time, most of them would pay for a connection of their
    /// own: a thousand clients cost twice the processor time a request with 256 here. Back ends have
    /// limits too, but as many connections as this were in use a moment ago.
    const LARGEST: usize = 1024;
    /// Below the 60 s and more that most servers keep an idle connection.
    const IDLE: Duration = Duration::from_secs(30);

    /// A pool for which there are so many file descriptors.
    pub(crate) fn new(descriptors: usize) -> Self {
        Self { idle: Mutex::default(), largest: Self::LARGEST.min(descriptors) }
    }

    /// The connection used last, if it is still open. Newest first lets the others grow old.
    pub(super) fn take(&self) -> Option<Box<Connection>> {
        let mut idle = self.lock();
        while let Some(newest) = idle.connections.pop() {
            if newest.connection.is_idle() {
                return Some(newest.connection);
            }
        }
        None
    }

    /// Closes the oldest connection, to make room for one that is opened although others are idle:
    /// a back end has as many as there are requests at one time.
    pub(super) fn give_way(&self) {
        let mut idle = self.lock();
        if !idle.connections.is_empty() {
            idle.connections.remove(0);
        }
    }

    /// Keeps a connection for the next request.
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

/// What holds idle connections.
pub(super) trait Shelf: Send + Sync + 'static {
    /// Closes what has been idle for too long, and says when to look again; `None` when nothing is
    /// left to look after.
    fn expire(&self, now: Instant) -> Option<Instant>;
}

impl Shelf for Pool {
    fn expire(&self, now: Instant) -> Option<Instant> {
        let mut idle = self.lock();
        idle.connections.retain(|it| it.since + Self::IDLE > now);
        let next = idle.connections.first().map(|it| it.since + Self::IDLE);
        idle.swept = next.is_some();
        next
    }
}

/// Looks after a shelf while it is there and holds something.
pub(super) async fn sweep(shelf: Weak<impl Shelf>) {
    while let Some(next) = shelf.upgrade().and_then(|shelf| shelf.expire(Instant::now())) {
        sleep_until(next).await;
    }
}
