//! Back-end connections that carry a login (NTLM, Negotiate). Each serves one connection of one
//! application alone, and ends with it.
//!
//! Which application's connection a request came on is known only of clients with the extension
//! CONNECTIONS (docs/protocol/extensions.md). Without a name such a connection is closed after its answer:
//! the login may fail, but it is never used for another requester.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use seacat_http1_client::Connection;
use tokio::time::Instant;

use super::Host;
use super::pool::{Idle, Shelf, sweep};

/// The logins of one client.
#[derive(Default)]
pub(crate) struct Logins {
    bound: Mutex<Bindings>,
}

#[derive(Default)]
struct Bindings {
    /// Oldest first.
    list: Vec<Binding>,
    /// A task looks after them.
    swept: bool,
}

struct Binding {
    /// The application's connection, as the client numbers it.
    application: u32,
    host: Arc<Host>,
    /// `None` while it is in use.
    idle: Option<Idle>,
}

impl Binding {
    fn is(&self, application: u32, host: &Arc<Host>) -> bool {
        self.application == application && Arc::ptr_eq(&self.host, host)
    }
}

impl Logins {
    /// More than the applications of one computer log in with at one time; beyond it the oldest ends,
    /// and its application logs in again.
    const LARGEST: usize = 256;
    /// Servers keep a connection that has logged in for minutes (IIS: two), and to log in again may
    /// ask a person for a password.
    const IDLE: Duration = Duration::from_secs(300);

    /// The connection that is bound to this one of the application's, if it is still open.
    pub(super) fn take(&self, application: u32, host: &Arc<Host>) -> Option<Box<Connection>> {
        let mut bound = self.lock();
        let binding = bound.list.iter_mut().find(|it| it.is(application, host))?;
        let idle = binding.idle.take()?;
        idle.connection.is_idle().then_some(idle.connection)
    }

    /// A connection of this host carries a login from here on. What was bound before is closed.
    pub(super) fn bind(&self, application: u32, host: &Arc<Host>) {
        let mut bound = self.lock();
        bound.list.retain(|it| !it.is(application, host));
        if bound.list.len() >= Self::LARGEST {
            bound.list.remove(0);
        }
        bound.list.push(Binding { application, host: Arc::clone(host), idle: None });
    }

    /// Keeps a bound connection for the next request, unless the application's has ended.
    pub(super) fn put(
        self: &Arc<Self>,
        application: u32,
        host: &Arc<Host>,
        connection: Box<Connection>,
    ) {
        let mut bound = self.lock();
        let Some(binding) = bound.list.iter_mut().find(|it| it.is(application, host)) else {
            return;
        };
        binding.idle = Some(Idle::now(connection));
        if !std::mem::replace(&mut bound.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// The application has closed its connection.
    pub(crate) fn end(&self, application: u32) {
        self.lock().list.retain(|it| it.application != application);
    }

    fn lock(&self) -> MutexGuard<'_, Bindings> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf for Logins {
    fn expire(&self, now: Instant) -> Option<Instant> {
        let mut bound = self.lock();
        let young = |idle: &Idle| idle.since + Self::IDLE > now;
        bound.list.retain(|it| it.idle.as_ref().is_none_or(young));
        let idle = bound.list.iter().filter_map(|it| it.idle.as_ref());
        let next = idle.map(|it| it.since + Self::IDLE).min();
        bound.swept = next.is_some();
        next
    }
}
