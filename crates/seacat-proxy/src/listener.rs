//! The listening ports and the life of a client connection.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use seacat_channel::Channel;
use seacat_proto::MAX_PAYLOAD;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use crate::access::AccessLog;
use crate::activity::Activity;
use crate::config::{MappedPort, ProxyConfig};
use crate::gated::Gated;
use crate::head::MAX_FIELDS;
use crate::headers::Pseudonym;
use crate::plain::{self, Next};
use crate::respond::Date;
use crate::service::{Client, Door, Shared};
use crate::syntax::{HOST, all};

/// Connections the system queues for us: a burst of applications starting together.
const BACKLOG: i32 = 1024;
/// Surplus connections that get an answer at once; beyond them they are just closed.
const SURPLUS: usize = 64;
/// After a failed accept (no file descriptors left), wait for something to be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What hyper may buffer of one connection in each direction: a whole head, and enough of a body
/// to keep a fast local client busy, in whole frames.
const HTTP_BUFFER: usize = 4 * MAX_PAYLOAD;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a proxy cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program has the port.
    #[error("{address} is in use")]
    InUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// An address that others can reach, without the operator's word for it.
    #[error("{address} is not a loopback address and allow_remote is not set")]
    Remote {
        /// The address asked for.
        address: SocketAddr,
    },
    /// `allow_remote` without `credentials`.
    #[error("allow_remote needs proxy credentials")]
    NoCredentials,
    /// Mapped ports cannot ask for credentials, so they never leave loopback.
    #[error("the mapped port {address} is not on a loopback address")]
    MappedRemote {
        /// The address asked for.
        address: SocketAddr,
    },
    /// A mapped port for something that is not a host.
    #[error("`{host}` is not a host name")]
    MappedHost {
        /// The host asked for.
        host: String,
    },
    /// No address to listen on is left.
    #[error("there is no address to listen on")]
    Nothing,
    /// The proxy takes nothing new, a change neither.
    #[error("the proxy is stopping")]
    Stopping,
    /// The system refuses.
    #[error("cannot listen on {address}")]
    Io {
        /// The address asked for.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// A proxy whose ports are bound and which serves once it is [run](Proxy::run).
pub struct Proxy {
    listeners: Vec<Listening>,
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
    reins: Reins,
    turns: mpsc::Receiver<Turn>,
}

/// A bound port.
struct Listening {
    /// The address that was asked for, whose port may be 0.
    asked: SocketAddr,
    tcp: TcpListener,
    door: Door,
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
                (accepted, door) = accept(&listeners) => match accepted {
                    Ok((tcp, peer)) => {
                        let open = connections.len();
                        let limit = shared.limits.connections;
                        if open < limit + SURPLUS {
                            let client = client(&tcp, peer, &shared, door, open >= limit);
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

/// Binds what `config` wants and `there` has not, then lets go of what is not wanted. On an error
/// `there` is as it was.
fn listen(config: &mut ProxyConfig, there: &mut Vec<Listening>) -> Result<(), BindError> {
    if config.allow_remote && config.credentials.is_none() {
        return Err(BindError::NoCredentials);
    }
    let mut wanted = Vec::new();
    let mut bound = Vec::new();
    for listener in config.inherited.drain(..) {
        let asked = local_address(&listener)?;
        check_local(asked, config.allow_remote)?;
        bound.push(Listening { asked, tcp: adopt(listener, asked)?, door: Door::Proxy });
    }
    for &address in &config.listen {
        check_local(address, config.allow_remote)?;
        wanted.push((address, Door::Proxy));
    }
    for MappedPort { listen, host } in config.mapped.drain(..) {
        if !listen.ip().is_loopback() {
            return Err(BindError::MappedRemote { address: listen });
        }
        if host.is_empty() || !all(HOST, host.as_bytes()) {
            return Err(BindError::MappedHost { host });
        }
        wanted.push((listen, Door::Mapped(host.into())));
    }
    let mut stay = Vec::new();
    for (asked, door) in wanted {
        let free = |nth: &usize| !stay.iter().any(|(it, _)| it == nth);
        match (0..there.len()).filter(free).find(|&nth| there[nth].asked == asked) {
            Some(nth) => stay.push((nth, door)),
            None => bound.extend(bind(asked)?.map(|tcp| Listening { asked, tcp, door })),
        }
    }
    if bound.is_empty() && stay.is_empty() {
        return Err(BindError::Nothing);
    }
    let mut old: Vec<Option<Listening>> = there.drain(..).map(Some).collect();
    let kept = stay
        .into_iter()
        .filter_map(|(nth, door)| old[nth].take().map(|listening| Listening { door, ..listening }));
    there.extend(kept);
    there.extend(bound);
    // Mapped ports last, as people are told.
    there.sort_by_key(|listening| matches!(listening.door, Door::Mapped(_)));
    Ok(())
}

fn addresses(listeners: &[Listening]) -> Vec<SocketAddr> {
    listeners.iter().filter_map(|listening| listening.tcp.local_addr().ok()).collect()
}

/// A panic is a bug of ours, but costs one connection only.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a client connection ended in a panic");
    }
}

fn check_local(address: SocketAddr, allow_remote: bool) -> Result<(), BindError> {
    if allow_remote || address.ip().is_loopback() {
        Ok(())
    } else {
        Err(BindError::Remote { address })
    }
}

/// `None`: IPv6 is switched off on this system.
fn bind(address: SocketAddr) -> Result<Option<TcpListener>, BindError> {
    let no_ipv6 = |error: &io::Error| {
        tracing::warn!(%address, %error, "no IPv6 here, not listening on it");
        Ok(None)
    };
    let failed = |source| BindError::Io { address, source };
    let socket = match Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))
    {
        Err(error) if address.is_ipv6() => return no_ipv6(&error),
        socket => socket.map_err(failed)?,
    };
    if address.is_ipv6() {
        // Each address has its own socket; an IPv6 one does not take IPv4 ports.
        socket.set_only_v6(true).map_err(failed)?;
    }
    // On Windows this would mean sharing the port with others.
    #[cfg(unix)]
    socket.set_reuse_address(true).map_err(failed)?;
    match socket.bind(&address.into()).and_then(|()| socket.listen(BACKLOG)) {
        Ok(()) => adopt(socket.into(), address).map(Some),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(BindError::InUse { address }),
        Err(error) if address.is_ipv6() && error.kind() == io::ErrorKind::AddrNotAvailable => {
            no_ipv6(&error)
        }
        Err(error) => Err(failed(error)),
    }
}

fn adopt(listener: StdListener, address: SocketAddr) -> Result<TcpListener, BindError> {
    listener
        .set_nonblocking(true)
        .and_then(|()| TcpListener::from_std(listener))
        .map_err(|source| BindError::Io { address, source })
}

fn local_address(listener: &StdListener) -> Result<SocketAddr, BindError> {
    listener.local_addr().map_err(|source| BindError::Io {
        // Not known: that is what failed.
        address: (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
        source,
    })
}

/// The next connection on any of the listeners.
async fn accept(listeners: &[Listening]) -> (io::Result<(TcpStream, SocketAddr)>, Door) {
    poll_fn(|cx| {
        for Listening { tcp, door, .. } in listeners {
            if let Poll::Ready(accepted) = tcp.poll_accept(cx) {
                return Poll::Ready((accepted, door.clone()));
            }
        }
        Poll::Pending
    })
    .await
}

fn client(
    tcp: &TcpStream,
    peer: SocketAddr,
    shared: &Arc<Shared>,
    door: Door,
    surplus: bool,
) -> Client {
    // Only a delay is lost if this cannot be set.
    let _ = tcp.set_nodelay(true);
    Client {
        here: tcp.local_addr().unwrap_or_else(|_| shared.own[0]),
        peer,
        shared: shared.clone(),
        door,
        notes: OnceLock::new(),
        activity: Arc::default(),
        surplus,
        afterwards: Mutex::default(),
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
