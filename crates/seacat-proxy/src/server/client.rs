//! One client connection, as everything that answers its requests sees it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use seacat_channel::Channel;
use seacat_http1::{Fields, login};

use crate::access::AccessLog;
use crate::config::{Credentials, Limits, MappedPort, ProxyConfig};
use crate::forward::fields::Pseudonym;
use crate::policy::routes::Routes;
use crate::policy::users::{Stranger, UserCheck};
use crate::programs::Program;
use crate::server::activity::Activity;
use crate::server::response_writer::Date;

/// What all connections of a proxy share.
pub(crate) struct Shared {
    pub(crate) channel: Channel,
    pub(crate) routes: Routes,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) users: UserCheck,
    pub(crate) allow_remote: bool,
    pub(crate) limits: Limits,
    /// Every address we listen on.
    pub(crate) own: Vec<SocketAddr>,
    pub(crate) pseudonym: Pseudonym,
    pub(crate) log: AccessLog,
    pub(crate) date: Date,
    /// What replaces this one, once the proxy has been reconfigured.
    successor: OnceLock<Arc<Shared>>,
}

impl Shared {
    /// For a new proxy that listens on `own`.
    pub(crate) fn new(channel: Channel, config: ProxyConfig, own: Vec<SocketAddr>) -> Self {
        Self::with(channel, config, own, Pseudonym::random(), AccessLog::new())
    }

    /// The same by another configuration.
    pub(crate) fn reconfigured(
        self: &Arc<Self>,
        config: ProxyConfig,
        own: Vec<SocketAddr>,
    ) -> Arc<Self> {
        let (channel, pseudonym) = (self.channel.clone(), self.pseudonym.clone());
        let next = Self::with(channel, config, own, pseudonym, self.log.clone());
        self.successor.get_or_init(|| Arc::new(next)).clone()
    }

    fn with(
        channel: Channel,
        config: ProxyConfig,
        own: Vec<SocketAddr>,
        pseudonym: Pseudonym,
        log: AccessLog,
    ) -> Self {
        Self {
            channel,
            routes: config.routes,
            credentials: config.credentials,
            users: UserCheck::new(config.users),
            allow_remote: config.allow_remote,
            limits: config.limits,
            own,
            pseudonym,
            log,
            date: Date::default(),
            successor: OnceLock::new(),
        }
    }

    /// Who is at the other end of a new connection, if the user may not use this port.
    pub(crate) fn stranger(
        &self,
        port: &PortKind,
        peer: SocketAddr,
        here: SocketAddr,
    ) -> Option<Stranger> {
        match port {
            // Every user who has the credentials may use it.
            PortKind::Proxy if self.credentials.is_some() => None,
            _ => self.users.stranger(peer, here),
        }
    }
}

/// What a listening port is for.
#[derive(Debug, Clone)]
pub(crate) enum PortKind {
    /// The HTTP proxy.
    Proxy,
    /// One host of the gateway.
    Mapped(Arc<MappedPort>),
}

/// One client connection. In this order: what each request looks at, then the rest. Of ten
/// thousand each is fetched from memory for its request.
#[repr(C)]
pub(crate) struct Client {
    pub(crate) shared: Arc<Shared>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) port: PortKind,
    /// Its own end.
    pub(crate) peer: SocketAddr,
    /// One too many: it gets its 503 and is closed.
    pub(crate) surplus: bool,
    /// Another user's: its requests are refused.
    pub(crate) stranger: Option<Stranger>,
    /// Our end of it.
    pub(crate) here: SocketAddr,
    /// Its name at the gateway, once a login at a back end depends on it.
    pub(crate) named: Option<Box<NamedConnection>>,
    /// The program at the other end, once it was looked up.
    pub(crate) program: OnceLock<Option<Arc<Program>>>,
}

/// A connection that the gateway knows by a number, so that it serves it with back-end connections
/// of its own (docs/protocol/extensions.md). Dropped, it is reported as closed.
pub(crate) struct NamedConnection {
    id: u32,
    channel: Channel,
}

impl NamedConnection {
    fn new(channel: Channel) -> Self {
        /// Numbers are not used again: after 2^32 logins an old one has long ended.
        static NEXT: AtomicU32 = AtomicU32::new(1);
        NamedConnection { id: NEXT.fetch_add(1, Ordering::Relaxed), channel }
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }
}

impl Drop for NamedConnection {
    fn drop(&mut self) {
        self.channel.end_connection(self.id);
    }
}

impl Client {
    /// The program at the other end, looked up once for each connection.
    pub(crate) async fn program(&self) -> Option<Arc<Program>> {
        if let Some(known) = self.program.get() {
            return known.clone();
        }
        let found = self.shared.log.programs().of(self.peer, self.here).await;
        self.program.get_or_init(|| found).clone()
    }

    /// Names the connection from the first request on that takes part in a login which a back end
    /// ties to its connection (NTLM, Negotiate).
    pub(crate) fn note_login(&mut self, request: &Fields) {
        if self.named.is_none() && login::authenticates(request) {
            let named = NamedConnection::new(self.shared.channel.clone());
            self.named = Some(Box::new(named));
        }
    }

    /// Goes over to the newest configuration: a request is served by the one that holds when it
    /// comes.
    pub(crate) fn follow_changes(&mut self) {
        while let Some(next) = self.shared.successor.get() {
            self.shared = next.clone();
        }
    }
}
