//! The proxy from its start to its end, and the life of a client connection.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use seacat_channel::Channel;
use seacat_proto::MAX_PAYLOAD;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use crate::access::AccessLog;
use crate::activity::Activity;
use crate::config::ProxyConfig;
use crate::gated::Gated;
use crate::head::MAX_FIELDS;
use crate::headers::Pseudonym;
use crate::plain::{self, Next};
use crate::policy::users::UserCheck;
use crate::ports::{Accepted, BindError, Listening, accept, addresses, listen};
use crate::respond::Date;
use crate::service::{Client, Shared};

/// Surplus connections that get an answer at once; beyond them they are just closed.
const SURPLUS: usize = 64;
/// After a failed accept (no file descriptors left), wait for something to be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What hyper may buffer of one connection in each direction: a whole head, and enough of a body
/// to keep a fast local client busy, in whole frames.
const HTTP_BUFFER: usize = 4 * MAX_PAYLOAD;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A proxy whose ports are bound and which serves once it is [run](Proxy::run).
pub struct Proxy {
    listeners: Vec<Listening>,
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
    reins: Reins,
    turns: mpsc::Receiver<Turn>,
}

/// How a proxy ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut off because they outlasted the grace.
    pub cut: usize,
}

/// Changes a proxy while it runs. Clones change the same one.
#[derive(Debug, Clone)]
pub struct Reins(mpsc::Sender<Turn>);

/// A change on its way.
#[derive(Debug)]
struct Turn {
    config: ProxyConfig,
    reply: oneshot::Sender<Result<Vec<SocketAddr>, BindError>>,
}

impl Reins {
    /// Listens and behaves by `config` from now on, and returns the addresses as
    /// [`Proxy::addresses`] does. A port that is wanted still is not closed for a moment. Requests
    /// under way finish as they began; connections that rest are closed, so that their clients come
    /// back to the new rules.
    ///
    /// # Errors
    /// [`BindError`]; nothing is changed then.
    pub async fn turn(&self, config: ProxyConfig) -> Result<Vec<SocketAddr>, BindError> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Turn { config, reply }).await.map_err(|_| BindError::Stopping)?;
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
        let (sender, turns) = mpsc::channel(1);
        let shared = Arc::new(Shared {
            channel,
            routes: config.routes,
            credentials: config.credentials,
            users: UserCheck::new(config.users),
            allow_remote: config.allow_remote,
            limits: config.limits,
            own: addresses.clone(),
            pseudonym: Pseudonym::random(),
            log: AccessLog::new(),
            date: Date::default(),
        });
        Ok(Proxy { listeners, addresses, shared, reins: Reins(sender), turns })
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
    pub fn reins(&self) -> Reins {
        self.reins.clone()
    }

    /// Serves until `shutdown` is ready, then takes nothing new and lets what runs finish for at
    /// most `grace`. Dropping the future cuts everything off at once.
    pub async fn run(self, shutdown: impl Future<Output = ()>, grace: Duration) -> Drained {
        // The reins stay, so that the queue of turns never ends.
        let Proxy { mut listeners, mut shared, mut turns, reins: _reins, .. } = self;
        let mut connections = JoinSet::new();
        let mut clients = Clients::default();
        let mut sweep = pin!(sleep(shared.limits.idle));
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = accept(&listeners) => match accepted {
                    Ok(Accepted { tcp, peer, here, door }) => {
                        let open = connections.len();
                        let limit = shared.limits.connections;
                        if open < limit + SURPLUS {
                            let stranger = shared.stranger(&door, peer, here);
                            let client = Client {
                                shared: shared.clone(),
                                activity: Arc::default(),
                                door,
                                peer,
                                surplus: open >= limit,
                                stranger,
                                here,
                                notes: OnceLock::new(),
                                afterwards: Mutex::default(),
                            };
                            clients.push(&client.activity);
                            connections.spawn(serve(tcp, client));
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(Turn { mut config, reply }) = turns.recv() => {
                    let outcome = listen(&mut config, &mut listeners).map(|()| {
                        shared = Arc::new(shared.turned(config, addresses(&listeners)));
                        clients.each(Activity::leave);
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
                        // Nothing wakes us for nobody.
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

/// Everybody who is connected, and some who were.
#[derive(Default)]
struct Clients {
    list: Vec<Weak<Activity>>,
    /// At this length those who have gone are taken off.
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

    fn each(&self, tell: impl Fn(&Activity)) {
        self.list.iter().filter_map(Weak::upgrade).for_each(|client| tell(&client));
    }
}

/// A panic is a bug of ours, but costs one connection only.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a client connection ended in a panic");
    }
}

/// The life of one client connection: answers requests the short way as long as that will do, and then
/// hyper's. A block, which has its arguments once: there may be ten thousand.
#[expect(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
fn serve(mut tcp: TcpStream, client: Client) -> impl Future<Output = ()> {
    async move {
        let ended: Result<(), BoxError> = match plain::serve(&mut tcp, &client).await {
            Ok(Next::Over) => Ok(()),
            // On the heap: an idle connection is to be small.
            Ok(Next::Hyper(held)) => {
                Box::pin(through_hyper(tcp, held, &client)).await.map_err(Into::into)
            }
            Err(error) => Err(error.into()),
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a client connection broke off");
        }
        let afterwards = client.afterwards.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(afterwards) = afterwards
            && let Err(error) = Box::pin(afterwards.run()).await
        {
            tracing::debug!(%error, "a tunnel broke off");
        }
    }
}

async fn through_hyper(tcp: TcpStream, held: Vec<u8>, client: &Client) -> hyper::Result<()> {
    let notes = client.notes.get_or_init(Arc::default);
    let gated = Gated::new(tcp, held, notes.clone(), client.shared.limits.head);
    let service = service_fn(|request| {
        let passed = notes.next();
        let answer = client.answer_hyper(request, passed);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .title_case_headers(true)
            .max_headers(usize::from(MAX_FIELDS))
            .max_buf_size(HTTP_BUFFER)
            // The gate watches over heads, `serve` over the rest.
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(gated), service)
            .with_upgrades()
    );
    let mut told = false;
    poll_fn(|cx| {
        if !told && client.activity.poll_leaving(cx) {
            told = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx)
    })
    .await
}
