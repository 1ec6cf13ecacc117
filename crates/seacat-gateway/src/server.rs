//! The gateway: the listener, the clients' tasks, the shutdown.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use seacat_link::descriptors::AcceptErrors;
use seacat_link::{Budget, BudgetLimits, Division, ServerTls, Throttle};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use crate::backend::{Host, Pool};
use crate::config::{Config, Enroll, Identities, Limits};
use crate::connection;
use crate::enroll::{Registrar, Store, StoreError, Watch};
use crate::identity::IdentityFields;
use crate::reverse::{Present, ReverseListener};
use crate::slots::ConnectionSlots;

/// Connections that may wait to be accepted: many clients reconnect at once after an outage.
const BACKLOG: i32 = 1024;

/// Interval between two searches for idle connections of strangers.
const SWEEP: Duration = Duration::from_secs(10);

/// One in this many descriptors is for idle connections to back ends.
const POOLED: usize = 4;

static FULL: Throttle = Throttle::new();

/// A gateway that is bound and not serving yet, see [`Gateway::run`].
pub struct Gateway {
    listener: TcpListener,
    local_addr: SocketAddr,
    reverse_listeners: Vec<ReverseListener>,
    shared: Arc<Shared>,
    /// Watches the clients' records for changes, if this gateway enrols.
    watch: Option<Box<dyn Watch>>,
}

/// State shared by all clients' tasks.
pub(crate) struct Shared {
    pub(crate) tls: ServerTls,
    pub(crate) limits: Limits,
    pub(crate) stats: Arc<Stats>,
    pub(crate) admission: Admission,
    pub(crate) identity_fields: Arc<IdentityFields>,
    pub(crate) present: Arc<Present>,
    pub(crate) slots: Arc<ConnectionSlots>,
    /// The clients' records cannot be read: revocations may be missing.
    pub(crate) blind: Arc<AtomicBool>,
    hosts: HashMap<Vec<u8>, Arc<Host>>,
}

/// How a certificate gives an identity.
pub(crate) enum Admission {
    /// Never.
    Open,
    /// The handshake has verified it.
    ClientCa,
    /// It must be on the allow-list.
    Enroll(Arc<Registrar>, watch::Sender<()>),
}

/// Counters since the start.
#[derive(Debug, Default)]
pub struct Stats {
    /// Connections accepted.
    pub connections: Counter,
    /// Connections that got no slot, see [`Limits::connections`].
    pub refused: Counter,
    /// Connections that did not become TLS connections.
    pub handshakes_failed: Counter,
    /// HTTPS clients that were answered 400.
    pub http_clients: Counter,
    /// Requests, over all connections.
    pub streams: Counter,
}

/// A counter that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// How a gateway's run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Connections that were closed because the drain timeout had expired.
    pub cut: usize,
}

impl Gateway {
    /// Binds the listening socket. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The system's error for an address, most likely that it is in use.
    pub fn bind(config: Config) -> io::Result<Self> {
        let listener = listen(config.listen)?;
        let local_addr = listener.local_addr()?;
        let reverse_listener = |(name, config)| ReverseListener::open(name, config);
        let reverse_listeners =
            config.reverse.into_iter().map(reverse_listener).collect::<io::Result<_>>()?;
        let descriptors = config.limits.descriptors as usize;
        let pooled = descriptors / POOLED / config.hosts.len().max(1);
        let host = |(name, config): (String, _)| {
            (name.into_bytes(), Arc::new(Host { config, pool: Arc::new(Pool::new(pooled)) }))
        };
        let (admission, watch) = match config.identities {
            Identities::None => (Admission::Open, None),
            Identities::ClientCa => (Admission::ClientCa, None),
            Identities::Enroll(enroll) => {
                let (registrar, watch) = open_records(enroll).map_err(io::Error::other)?;
                (Admission::Enroll(Arc::new(registrar), watch::Sender::new(())), Some(watch))
            }
        };
        let limits = config.limits;
        let budget = Budget::new(&BudgetLimits {
            memory: limits.memory,
            spool: limits.spool,
            descriptors: limits.descriptors - limits.descriptors / POOLED as u64,
            connections: limits.connections as u64,
            division: match admission {
                Admission::Open => Division::Strangers,
                Admission::ClientCa | Admission::Enroll(..) => Division::Identities,
            },
        });
        let shared = Shared {
            tls: config.tls,
            limits,
            slots: ConnectionSlots::new(budget),
            blind: Arc::default(),
            stats: Arc::default(),
            admission,
            identity_fields: Arc::new(config.identity_fields),
            present: Arc::default(),
            hosts: config.hosts.into_iter().map(host).collect(),
        };
        Ok(Self { listener, local_addr, reverse_listeners, shared: Arc::new(shared), watch })
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The clients on record, if this gateway enrols.
    pub fn clients(&self) -> Option<Arc<Store>> {
        match &self.shared.admission {
            Admission::Enroll(registrar, _) => Some(Arc::clone(registrar.store())),
            Admission::Open | Admission::ClientCa => None,
        }
    }

    /// The counters, to be read at any time.
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.shared.stats)
    }

    /// Serves clients until `shutdown` is ready, then stops listening, lets active streams end
    /// within [`Limits::drain_timeout`], and returns. Dropping the future closes everything at
    /// once.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Stopped {
        let Self { listener, reverse_listeners, shared, watch, .. } = self;
        let mut shutdown = pin!(shutdown);
        let mut clients = JoinSet::new();
        let (stop, stopping) = watch::channel(false);
        let mut errors = AcceptErrors::new("the clients' port");
        let mut sweep = tokio::time::interval(SWEEP);
        let mut watching = JoinSet::new(); // ends with us
        if let Some(watch) = watch {
            watching.spawn(follow_changes(Arc::clone(&shared), watch));
            watching.spawn(expire_newcomers(Arc::clone(&shared)));
        }
        for reverse_listener in reverse_listeners {
            watching.spawn(reverse_listener.serve(Arc::clone(&shared.present)));
        }
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = clients.join_next() => {}
                _ = sweep.tick() => shared.slots.sweep(shared.limits.stranger_idle),
                (tcp, peer) = accept(&listener, &mut errors, || shared.slots.spare_one()) => {
                    shared.stats.connections.add();
                    let Some(slot) = shared.slots.enter(peer.ip()) else {
                        shared.no_place(peer);
                        continue;
                    };
                    let shared = Arc::clone(&shared);
                    clients.spawn(connection::serve(tcp, peer, slot, shared, stopping.clone()));
                }
            }
        }
        drop(listener);
        watching.abort_all();
        info!(connections = clients.len(), "stopping");
        stop.send_replace(true);
        let all_gone = async { while clients.join_next().await.is_some() {} };
        let in_time = timeout(shared.limits.drain_timeout, all_gone).await.is_ok();
        let cut = if in_time { 0 } else { clients.len() };
        Stopped { cut }
    }
}

impl Shared {
    /// Logs that a connection from `peer` got no slot.
    pub(crate) fn no_place(&self, peer: SocketAddr) {
        self.stats.refused.add();
        if let Some(more) = FULL.pass() {
            warn!(%peer, more, "a client was refused: too many connections");
        }
    }

    /// Notifies when a client's record may have changed.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        match &self.admission {
            Admission::Enroll(_, changes) => changes.subscribe(),
            Admission::Open | Admission::ClientCa => watch::channel(()).1,
        }
    }

    /// The host of this name, in any case. Names as configured are found without a copy.
    pub(crate) fn host(&self, name: &[u8]) -> Option<Arc<Host>> {
        self.hosts.get(name).or_else(|| self.hosts.get(&name.to_ascii_lowercase())).cloned()
    }
}

/// Opens the clients' records and reads the revocations, before the first client connects.
fn open_records(enroll: Enroll) -> Result<(Registrar, Box<dyn Watch>), StoreError> {
    let open = || {
        let store = enroll.state.open()?.keeping(enroll.revoked);
        let mut watch = store.watch();
        store.follow(&mut *watch)?;
        Ok((Registrar::new(store.into(), enroll.policy, enroll.ca)?, watch))
    };
    // On a thread of its own: the database's client blocks, which a runtime's thread must not.
    let opened = std::thread::scope(|scope| scope.spawn(open).join());
    opened.unwrap_or_else(|_| Err(io::Error::other("opening it failed").into()))
}

/// Polls for records that an administrator or another gateway has changed and notifies the
/// connections, which then look their client up again. If a poll takes long, most of the time is
/// still left for clients.
///
/// While polling a folder fails or hangs, certificates give no identity: one of them may have been
/// revoked. For an unreachable database there is a copy, so enrolled clients keep working.
async fn follow_changes(shared: Arc<Shared>, mut watch: Box<dyn Watch>) {
    const SHARE: u32 = 10;
    /// A poll that takes longer has failed: a revocation takes effect within two seconds.
    const PATIENCE: Duration = Duration::from_secs(1);
    let Admission::Enroll(registrar, changes) = &shared.admission else {
        return;
    };
    let mut failing = false;
    let mut rest = watch.interval();
    let has_copy = rest.is_zero();
    let set_blind = |blind: bool| shared.blind.store(blind && !has_copy, Ordering::Relaxed);
    loop {
        tokio::time::sleep(rest).await;
        let began = Instant::now();
        let look = move |it: &Registrar| {
            let changed = it.store().follow(&mut *watch);
            Ok((watch, changed))
        };
        let mut looking = pin!(registrar.beside(look));
        let looked = match timeout(PATIENCE, &mut looking).await {
            Ok(looked) => looked,
            Err(_) => {
                set_blind(true);
                looking.await
            }
        };
        // An error means that the runtime is shutting down.
        let Ok((back, changed)) = looked else { return };
        watch = back;
        rest = match watch.interval() {
            // The call itself waits for a change.
            Duration::ZERO => Duration::ZERO,
            interval => interval.max(began.elapsed() * SHARE),
        };
        set_blind(changed.is_err());
        match &changed {
            Ok(true) => changes.send_replace(()),
            Ok(false) => {}
            Err(error) if !failing => warn!(%error, "new revocations are not detected"),
            Err(_) => {}
        }
        failing = changed.is_err();
    }
}

/// Deletes requests that have waited for too long. The limit is days.
async fn expire_newcomers(shared: Arc<Shared>) {
    const PAUSE: Duration = Duration::from_secs(600);
    let Admission::Enroll(registrar, _) = &shared.admission else {
        return;
    };
    loop {
        if let Err(error) = registrar.in_turn(|it| it.expire(SystemTime::now())).await {
            warn!(%error, "requests that have waited too long could not be deleted");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Listens at an address; an error says at which.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    try_listen(address).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    })
}

fn try_listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        socket.set_only_v6(false)?; // [::] accepts IPv4 too, on every system
    }
    // A restart must not wait for old connections in TIME_WAIT. On Windows the same option would
    // let two programs share the port.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// The next connection. `spare_one` is asked when the system has no more descriptors.
pub(crate) async fn accept(
    listener: &TcpListener,
    errors: &mut AcceptErrors,
    spare_one: impl Fn() -> bool,
) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((tcp, peer)) => match prepare(&tcp) {
                Ok(()) => {
                    errors.accepted();
                    return (tcp, peer);
                }
                Err(error) => debug!(%error, "a client was gone at once"),
            },
            Err(error) => errors.failed(&error, &spare_one).await,
        }
    }
}

/// Socket options. Not every SeaCat client answers a gateway's PING (wire specification, section
/// 3.5), so TCP itself finds out whether a silent client is still there: after 2 to 3 minutes.
fn prepare(tcp: &TcpStream) -> io::Result<()> {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(120))
        .with_interval(Duration::from_secs(15));
    tcp.set_nodelay(true)?;
    socket2::SockRef::from(tcp).set_tcp_keepalive(&keepalive)
}
