//! The gateway as a whole: the listener, the clients' tasks, the end.

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
use crate::places::Places;
use crate::reverse::{Door, Present};

/// Clients that may wait to be accepted: a fleet that comes back after an outage.
const BACKLOG: i32 = 1024;

/// Between two looks for strangers' connections that have rested too long.
const SWEEP: Duration = Duration::from_secs(10);

/// A part of the descriptors is for idle connections to back ends: one in so many.
const POOLED: usize = 4;

static FULL: Throttle = Throttle::new();

/// A gateway that listens and does not serve yet, see [`Gateway::run`].
pub struct Gateway {
    listener: TcpListener,
    local_addr: SocketAddr,
    doors: Vec<Door>,
    shared: Arc<Shared>,
    /// Looks for changes in the clients' records, if this gateway enrols.
    watch: Option<Box<dyn Watch>>,
}

/// What all clients' tasks use.
pub(crate) struct Shared {
    pub(crate) tls: ServerTls,
    pub(crate) limits: Limits,
    pub(crate) stats: Arc<Stats>,
    pub(crate) gate: Gate,
    pub(crate) identity_fields: Arc<IdentityFields>,
    pub(crate) present: Arc<Present>,
    pub(crate) places: Arc<Places>,
    /// The records of clients cannot be read: who was revoked meanwhile is not known.
    pub(crate) blind: Arc<AtomicBool>,
    hosts: HashMap<Vec<u8>, Arc<Host>>,
}

/// How a certificate becomes an identity.
pub(crate) enum Gate {
    /// It does not.
    Open,
    /// The handshake has checked it.
    ClientCa,
    /// It must be on the list.
    Enroll(Arc<Registrar>, watch::Sender<()>),
}

/// What has happened since the start.
#[derive(Debug, Default)]
pub struct Stats {
    /// Connections accepted.
    pub connections: Counter,
    /// Connections that found no place, see [`Limits::connections`].
    pub refused: Counter,
    /// Connections that did not become TLS connections.
    pub handshakes_failed: Counter,
    /// HTTPS clients turned away.
    pub http_clients: Counter,
    /// Requests, over all connections.
    pub streams: Counter,
}

/// A number that only grows.
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
    /// Connections that were cut because the drain timeout was over.
    pub cut: usize,
}

impl Gateway {
    /// Takes the listening socket. Call it within a tokio runtime.
    ///
    /// # Errors
    /// What the system says about an address, most likely that it is taken.
    pub fn bind(config: Config) -> io::Result<Self> {
        let listener = listen(config.listen)?;
        let local_addr = listener.local_addr()?;
        let door = |(name, config)| Door::open(name, config);
        let doors = config.reverse.into_iter().map(door).collect::<io::Result<_>>()?;
        let descriptors = config.limits.descriptors as usize;
        let pooled = descriptors / POOLED / config.hosts.len().max(1);
        let host = |(name, config): (String, _)| {
            (name.into_bytes(), Arc::new(Host { config, pool: Arc::new(Pool::new(pooled)) }))
        };
        let (gate, watch) = match config.identities {
            Identities::None => (Gate::Open, None),
            Identities::ClientCa => (Gate::ClientCa, None),
            Identities::Enroll(enroll) => {
                let (registrar, watch) = open_records(enroll).map_err(io::Error::other)?;
                (Gate::Enroll(Arc::new(registrar), watch::Sender::new(())), Some(watch))
            }
        };
        let limits = config.limits;
        let budget = Budget::new(&BudgetLimits {
            memory: limits.memory,
            spool: limits.spool,
            descriptors: limits.descriptors - limits.descriptors / POOLED as u64,
            connections: limits.connections as u64,
            division: match gate {
                Gate::Open => Division::Strangers,
                Gate::ClientCa | Gate::Enroll(..) => Division::Identities,
            },
        });
        let shared = Shared {
            tls: config.tls,
            limits,
            places: Places::new(budget),
            blind: Arc::default(),
            stats: Arc::default(),
            gate,
            identity_fields: Arc::new(config.identity_fields),
            present: Arc::default(),
            hosts: config.hosts.into_iter().map(host).collect(),
        };
        Ok(Self { listener, local_addr, doors, shared: Arc::new(shared), watch })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The clients on record, if this gateway enrols.
    pub fn clients(&self) -> Option<Arc<Store>> {
        match &self.shared.gate {
            Gate::Enroll(registrar, _) => Some(Arc::clone(registrar.store())),
            Gate::Open | Gate::ClientCa => None,
        }
    }

    /// The counters, to be read at any time.
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.shared.stats)
    }

    /// Serves clients until `shutdown` is ready, then stops listening, lets what runs end within
    /// [`Limits::drain_timeout`], and returns. Dropping the future cuts everything at once.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Stopped {
        let Self { listener, doors, shared, watch, .. } = self;
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
        for door in doors {
            watching.spawn(door.serve(Arc::clone(&shared.present)));
        }
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = clients.join_next() => {}
                _ = sweep.tick() => shared.places.sweep(shared.limits.stranger_idle),
                (tcp, peer) = accept(&listener, &mut errors, || shared.places.make_room()) => {
                    shared.stats.connections.add();
                    let Some(place) = shared.places.enter(peer.ip()) else {
                        shared.no_place(peer);
                        continue;
                    };
                    let shared = Arc::clone(&shared);
                    clients.spawn(connection::serve(tcp, peer, place, shared, stopping.clone()));
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
    /// Notes that a connection from `peer` found no place.
    pub(crate) fn no_place(&self, peer: SocketAddr) {
        self.stats.refused.add();
        if let Some(more) = FULL.pass() {
            warn!(%peer, more, "a client was refused: too many connections");
        }
    }

    /// Tells when a client's record may have changed.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        match &self.gate {
            Gate::Enroll(_, changes) => changes.subscribe(),
            Gate::Open | Gate::ClientCa => watch::channel(()).1,
        }
    }

    /// The host of this name, in any case. Names as configured are found without a copy.
    pub(crate) fn host(&self, name: &[u8]) -> Option<Arc<Host>> {
        self.hosts.get(name).or_else(|| self.hosts.get(&name.to_ascii_lowercase())).cloned()
    }
}

/// Opens the clients' records and reads what is revoked, before the first client comes.
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

/// Looks whether a record was changed by an administrator or another gateway and tells the
/// connections, which then look their client up again. Where a look takes long, most of the time
/// is still left for clients.
///
/// While a look at a folder fails or hangs, certificates give no identity: one of them may have been
/// taken back. A database that is lost leaves a copy, by which enrolled clients go on.
async fn follow_changes(shared: Arc<Shared>, mut watch: Box<dyn Watch>) {
    const SHARE: u32 = 10;
    /// A look that takes longer has failed: a revocation is to count within two seconds.
    const PATIENCE: Duration = Duration::from_secs(1);
    let Gate::Enroll(registrar, changes) = &shared.gate else {
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
        // An error means that the runtime ends.
        let Ok((back, changed)) = looked else { return };
        watch = back;
        rest = match watch.interval() {
            // It waits for a change itself.
            Duration::ZERO => Duration::ZERO,
            interval => interval.max(began.elapsed() * SHARE),
        };
        set_blind(changed.is_err());
        match &changed {
            Ok(true) => changes.send_replace(()),
            Ok(false) => {}
            Err(error) if !failing => warn!(%error, "new revocations are not noticed"),
            Err(_) => {}
        }
        failing = changed.is_err();
    }
}

/// Forgets newcomers who have waited for too long, which is a matter of days.
async fn expire_newcomers(shared: Arc<Shared>) {
    const PAUSE: Duration = Duration::from_secs(600);
    let Gate::Enroll(registrar, _) = &shared.gate else {
        return;
    };
    loop {
        if let Err(error) = registrar.in_turn(|it| it.expire(SystemTime::now())).await {
            warn!(%error, "newcomers who have waited too long could not be forgotten");
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
        socket.set_only_v6(false)?; // [::] means everywhere, on every system
    }
    // A restart must not wait for the old connections' TIME_WAIT. On Windows the same option
    // would let two programs share the port.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// The next connection. `make_room` is asked when the system has no more descriptors.
pub(crate) async fn accept(
    listener: &TcpListener,
    errors: &mut AcceptErrors,
    make_room: impl Fn() -> bool,
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
            Err(error) => errors.failed(&error, &make_room).await,
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
