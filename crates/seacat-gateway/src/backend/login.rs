//! Back-end connections that carry a login (NTLM, Negotiate). Each serves exactly one connection of
//! one application and is closed with it.
//!
//! Only clients with the extension CONNECTIONS (docs/protocol/extensions.md) name the application
//! connection of a request. Without a name, the back-end connection is closed after the response:
//! the login may fail, but it is never used for another requester.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use seacat_http1_client::Connection;
use tokio::time::Instant;

use super::Host;
use super::pool::{ExpireIdle, Idle, sweep};

/// The logins of one client.
#[derive(Default)]
pub(crate) struct Logins {
    bound: Mutex<Bindings>,
}

#[derive(Default)]
struct Bindings {
    /// Oldest first.
    list: Vec<Binding>,
    /// A task closes expired ones.
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
    /// More than the applications of one computer use at a time. Beyond it the oldest is closed,
    /// and its application has to log in again.
    const LARGEST: usize = 256;
    /// Servers keep an authenticated connection open for minutes (IIS: two). A new login may prompt
    /// the user for a password.
    const IDLE: Duration = Duration::from_secs(300);

    /// The back-end connection bound to this application connection, if it is still open.
    pub(super) fn take(&self, application: u32, host: &Arc<Host>) -> Option<Box<Connection>> {
        let mut bound = self.lock();
        let binding = bound.list.iter_mut().find(|it| it.is(application, host))?;
        let idle = binding.idle.take()?;
        idle.connection.is_idle().then_some(idle.connection)
    }

    /// Registers that a connection to this host carries a login. A connection that was bound before
    /// is closed.
    pub(super) fn bind(&self, application: u32, host: &Arc<Host>) {
        let mut bound = self.lock();
        bound.list.retain(|it| !it.is(application, host));
        if bound.list.len() >= Self::LARGEST {
            bound.list.remove(0);
        }
        bound.list.push(Binding { application, host: Arc::clone(host), idle: None });
    }

    /// Stores a bound connection for the next request, unless the application's connection has
    /// ended.
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

impl ExpireIdle for Logins {
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
