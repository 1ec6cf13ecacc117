//! The server: ports, connections, the requests on them, and their responses.
//!
//! ```text
//!   ports ─► Proxy::run ─► connection ─┬─► inbound ──── heads, request_body
//!                                      ├─► service ──── policy, forward, pages
//!                                      └─► response_writer ◄── response_body
//! ```

pub(crate) mod activity;
pub(crate) mod client;
mod connection;
mod inbound;
mod ports;
pub(crate) mod request_body;
pub(crate) mod response_body;
pub(crate) mod response_writer;
mod service;
pub(crate) mod tunnel;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use seacat_channel::Channel;
use seacat_channel::descriptors::AcceptErrors;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use crate::access::AccessLog;
use crate::config::ProxyConfig;
use activity::Activity;
use client::{Client, Shared};
use ports::{Accepted, Listening, accept, addresses, listen};

pub use ports::{BindError, is_port_taken};

/// Connections beyond the limit that get an answer at once, or a place that is about to be free; more are
/// just closed. Fewer if the limit is low, because a low limit means few descriptors.
const SURPLUS: usize = 64;
/// A proxy whose ports are bound and which serves once it is [run](Proxy::run).
pub struct Proxy {
    listeners: Vec<Listening>,
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
    handle: Handle,
    changes: mpsc::Receiver<Reconfigure>,
}

/// How a proxy ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut off because they outlasted the grace.
    pub cut: usize,
}

/// Changes a proxy while it runs. Clones change the same one.
#[derive(Debug, Clone)]
pub struct Handle(mpsc::Sender<Reconfigure>);

/// A change on its way.
#[derive(Debug)]
struct Reconfigure {
    config: ProxyConfig,
    reply: oneshot::Sender<Result<Vec<SocketAddr>, BindError>>,
}

impl Handle {
    /// Listens and behaves by `config` from now on, and returns the addresses as
    /// [`Proxy::addresses`] does. A port that stays is not closed for a moment. Requests under way
    /// finish as they began. A connection at rest ends with its next response, or when it has been
    /// at rest for long: closed at once, it could lose the request that its client is sending.
    ///
    /// # Errors
    /// [`BindError`]; nothing is changed then.
    pub async fn reconfigure(&self, config: ProxyConfig) -> Result<Vec<SocketAddr>, BindError> {
        let (reply, answer) = oneshot::channel();
        let change = Reconfigure { config, reply };
        self.0.send(change).await.map_err(|_| BindError::Stopping)?;
        answer.await.unwrap_or(Err(BindError::Stopping))
    }
}

impl Proxy {
    /// Binds every port. IPv6 loopback is left out, with a warning, where the system has none.
    ///
    /// # Errors
    /// [`BindError`], which names the address.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time.
    pub fn bind(mut config: ProxyConfig, channel: Channel) -> Result<Self, BindError> {
        let mut listeners = Vec::new();
        listen(&mut config, &mut listeners)?;
        let addresses = addresses(&listeners);
        let (sender, changes) = mpsc::channel(1);
        let shared = Arc::new(Shared::new(channel, config, addresses.clone()));
        Ok(Proxy { listeners, addresses, shared, handle: Handle(sender), changes })
    }

    /// The addresses bound, inherited ones first, then as configured, mapped ports last.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The access lines. Take it before [`run`](Proxy::run).
    #[must_use]
    pub fn access_log(&self) -> AccessLog {
        self.shared.log.clone()
    }

    /// The way to change it while it runs. Take it before [`run`](Proxy::run).
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves until `shutdown` is ready, then takes nothing new and lets requests under way finish for at
    /// most `grace`. Dropping the future cuts everything off at once.
    pub async fn run(self, shutdown: impl Future<Output = ()>, grace: Duration) -> Drained {
        // Our own handle stays, so that the queue of changes never ends.
        let Proxy { mut listeners, mut shared, mut changes, handle: _handle, .. } = self;
        let mut connections = JoinSet::new();
        let mut clients = Clients::default();
        let mut errors = AcceptErrors::new("the proxy's port");
        let mut sweep = pin!(sleep(shared.limits.idle));
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = accept(&listeners) => match accepted {
                    Ok(Accepted { tcp, peer, here, port }) => {
                        errors.accepted();
                        let open = connections.len();
                        let limit = shared.limits.connections;
                        // An idle connection is closed rather than the new one.
                        let surplus = open >= limit && !clients.spare();
                        if open < limit + SURPLUS.min(limit.div_ceil(4)) {
                            let stranger = shared.stranger(&port, peer, here);
                            let client = Client {
                                shared: shared.clone(),
                                activity: Arc::default(),
                                port,
                                peer,
                                surplus,
                                stranger,
                                here,
                                named: None,
                                program: OnceLock::new(),
                            };
                            clients.push(&client.activity);
                            connections.spawn(connection::serve(tcp, client));
                        }
                    }
                    Err(error) => errors.failed(&error, || clients.spare()).await,
                },
                Some(Reconfigure { mut config, reply }) = changes.recv() => {
                    let outcome = listen(&mut config, &mut listeners).map(|()| {
                        shared = shared.reconfigured(config, addresses(&listeners));
                        clients.each(Activity::retire);
                        shared.own.clone()
                    });
                    let _ = reply.send(outcome);
                }
                () = &mut sweep, if !connections.is_empty() => {
                    clients.each(Activity::sweep);
                    sweep.as_mut().reset(Instant::now() + shared.limits.idle);
                }
                Some(ended) = connections.join_next() => {
                    report(ended);
                    if connections.is_empty() {
                        // Without connections nothing wakes us.
                        sweep.set(sleep(shared.limits.idle));
                    }
                }
            }
        }
        drop(listeners);
        clients.each(Activity::leave);
        let until = Instant::now() + grace;
        while let Ok(Some(ended)) = timeout_at(until, connections.join_next()).await {
            report(ended);
        }
        let cut = connections.len();
        connections.shutdown().await;
        Drained { cut }
    }
}

/// The connections that are open, and some that were.
#[derive(Default)]
struct Clients {
    list: Vec<Weak<Activity>>,
    /// At this length those that have ended are taken off.
    full: usize,
}

impl Clients {
    fn push(&mut self, client: &Arc<Activity>) {
        if self.list.len() >= self.full {
            self.list.retain(|client| client.strong_count() > 0);
            self.full = 2 * self.list.len() + 64;
        }
        self.list.push(Arc::downgrade(client));
    }

    /// Ends an idle connection and returns whether there was one: the first that has been idle
    /// since the last sweep, else the first that is idle now.
    fn spare(&self) -> bool {
        let at_rest = || self.list.iter().filter_map(Weak::upgrade).filter(|it| it.is_at_rest());
        let spared = at_rest().find(|it| it.has_rested()).or_else(|| at_rest().next());
        spared.as_deref().map(Activity::leave).is_some()
    }

    fn each(&self, act: impl Fn(&Activity)) {
        self.list.iter().filter_map(Weak::upgrade).for_each(|client| act(&client));
    }
}

/// A panic is a bug of ours, but costs one connection only.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a client connection panicked");
    }
}
