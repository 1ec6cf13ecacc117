//! Reverse ports: ports of this machine that are forwarded to ports of identified clients (wire
//! specification, section 3.11).
//!
//! ```text
//!   ssh ──TCP──► listener ─► client connected? ─► SOCKETS_REQUEST ─► 0: tunnel ◄──bytes──► client
//!                 RST ◄──────────┘ no      RST ◄──────────────────┘ anything else
//! ```

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use seacat_link::descriptors::AcceptErrors;
use seacat_link::{Link, TunnelError, tunnel};
use seacat_proto::Reason;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tracing::{debug, info, warn};

use crate::client_id::ClientName;
use crate::config;
use crate::identity::Caller;
use crate::server;

/// Concurrent connections through one reverse port. Our client accepts as many for a port.
const CONNECTIONS: usize = 64;

/// A client answers when its own connect has succeeded or failed; ours takes at most 5 s.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// The identified clients that are connected, in the order in which they connected.
#[derive(Default)]
pub(crate) struct Present(Mutex<Vec<Entry>>);

struct Entry {
    number: u64,
    caller: Caller,
    link: Link,
}

/// Registers a client as connected until it is dropped.
pub(crate) struct Presence {
    present: Arc<Present>,
    number: u64,
}

impl Present {
    /// Registers a client as connected.
    pub(crate) fn enter(self: &Arc<Self>, caller: Caller, link: Link) -> Presence {
        let mut entries = self.lock();
        let number = entries.last().map_or(0, |last| last.number + 1);
        entries.push(Entry { number, caller, link });
        Presence { present: Arc::clone(self), number }
    }

    /// The newest connection of a client whose identity is valid now.
    fn find(&self, name: &ClientName) -> Option<Link> {
        let now = SystemTime::now();
        let fits = |it: &&Entry| it.caller.identity(now).is_ok_and(|who| name.fits(&who.id));
        self.lock().iter().rev().find(fits).map(|entry| entry.link.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.present.lock().retain(|entry| entry.number != self.number);
    }
}

/// A listening reverse port.
pub(crate) struct ReverseListener {
    listener: TcpListener,
    name: String,
    config: config::Reverse,
}

impl ReverseListener {
    pub(crate) fn open(name: String, config: config::Reverse) -> std::io::Result<Self> {
        Ok(Self { listener: server::listen(config.listen)?, name, config })
    }

    /// Accepts connections until the future is dropped. Accepted connections continue afterwards,
    /// as long as their client's connection does.
    pub(crate) async fn serve(self, present: Arc<Present>) {
        let Self { listener, name, config } = self;
        let name: Arc<str> = name.into();
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        let mut errors = AcceptErrors::new("a reverse port");
        loop {
            let (tcp, peer) = server::accept(&listener, &mut errors, || false).await;
            let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
                warn!(reverse = %name, CONNECTIONS, "a reverse port is full");
                abort(&tcp);
                continue;
            };
            let visit = Visit { reverse: Arc::clone(&name), peer, port: config.port, permit };
            match present.find(&config.client) {
                Some(link) => drop(tokio::spawn(visit.run(tcp, link))),
                None => {
                    info!(reverse = %name, %peer, "connection refused: the client is not connected");
                    abort(&tcp);
                }
            }
        }
    }
}

/// One connection through a reverse port.
struct Visit {
    reverse: Arc<str>,
    peer: SocketAddr,
    port: u16,
    #[expect(dead_code, reason = "held until the connection ends")]
    permit: OwnedSemaphorePermit,
}

impl Visit {
    async fn run(self, tcp: TcpStream, link: Link) {
        let Self { reverse, peer, port, .. } = &self;
        let (mut send, recv) = match timeout(ANSWER_LIMIT, link.connect(*port)).await {
            Ok(Ok(halves)) => halves,
            Ok(Err(error)) => {
                info!(%reverse, %peer, port, %error, "no connection to the client's port");
                return abort(&tcp);
            }
            Err(_) => {
                info!(%reverse, %peer, port, "the client does not answer");
                return abort(&tcp);
            }
        };
        let id = send.id();
        info!(%reverse, %peer, port, %id, "connected to the client's port");
        match tunnel(tcp, Bytes::new(), &mut send, recv).await {
            Ok(()) => debug!(%reverse, %id, "a reverse connection has ended"),
            Err(TunnelError::Stream(error)) => {
                debug!(%reverse, %id, %error, "the client ended the connection");
            }
            Err(TunnelError::Socket(error)) => {
                debug!(%reverse, %id, %error, "the peer ended the connection");
                send.reset(Reason::CANCEL);
            }
        }
    }
}

/// Resets a connection that could not be forwarded, so that it is not taken for an empty response.
fn abort(tcp: &TcpStream) {
    // If this fails, the socket is closed already.
    let _ = tcp.set_zero_linger();
}
