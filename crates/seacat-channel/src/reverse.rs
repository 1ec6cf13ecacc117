//! Reverse ports: doors of this computer that the gateway may knock at (wire specification,
//! section 3.11).
//!
//! ```text
//!   gateway ─SOCKETS_REQUEST, port─► configured? ─► a place free? ─► connect to its target
//!              2 port not configured ◄──┘ no   5 ◄──┘ no       1 ◄──┘ refused, silent
//!              0 and bytes both ways ◄───────────────────────────── connected
//! ```
//!
//! The answer waits for the local connection. The reference client grants first and connects
//! then, so that its gateway cannot tell a service that is down from one that has nothing to say.

use std::sync::Arc;
use std::time::Duration;

use seacat_link::{SocketRequest, TunnelError, tunnel};
use seacat_proto::{Bytes, Reason, SocketsCode};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Connections a port takes at one time; one more is answered 5, port in use. The reference
/// client takes one. A browser opens six to a host, an administrator a few terminals: this is
/// room for several people, and bounds what a gateway can make us hold.
const CONNECTIONS: usize = 64;

/// A service on this computer or beside it answers at once or not at all.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A port that the gateway may ask for, and what stands behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReversePort {
    /// The number the gateway asks for.
    pub port: u16,
    /// Where the connection goes, `host:port`.
    pub target: String,
}

/// A reverse port at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReverseStatus {
    /// The port and its target.
    pub port: ReversePort,
    /// Connections open now.
    pub open: usize,
}

/// All reverse ports of a channel. Clones are the same ports.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reverse(Arc<[Door]>);

#[derive(Debug)]
struct Door {
    port: ReversePort,
    places: Arc<Semaphore>,
}

impl Reverse {
    pub(crate) fn new(ports: Vec<ReversePort>) -> Self {
        let door = |port| Door { port, places: Arc::new(Semaphore::new(CONNECTIONS)) };
        Self(ports.into_iter().map(door).collect())
    }

    pub(crate) fn status(&self) -> Vec<ReverseStatus> {
        let status = |door: &Door| ReverseStatus {
            port: door.port.clone(),
            open: CONNECTIONS - door.places.available_permits(),
        };
        self.0.iter().map(status).collect()
    }

    /// Answers the gateway's wish, in a task of its own that ends with the stream.
    pub(crate) fn answer(&self, request: SocketRequest) {
        let number = request.port;
        let Some(door) = self.0.iter().find(|door| door.port.port == number) else {
            tracing::debug!(port = number, "the gateway asked for a port that is not configured");
            return request.refuse(SocketsCode::NOT_CONFIGURED);
        };
        match Arc::clone(&door.places).try_acquire_owned() {
            Ok(place) => drop(tokio::spawn(serve(request, door.port.clone(), place))),
            Err(_) => {
                tracing::warn!(port = number, CONNECTIONS, "a reverse port is full");
                request.refuse(SocketsCode::IN_USE);
            }
        }
    }
}

async fn serve(mut request: SocketRequest, port: ReversePort, _place: OwnedSemaphorePermit) {
    let ReversePort { port, target } = port;
    let connected = tokio::select! {
        connected = timeout(CONNECT_LIMIT, connect(&target)) => connected,
        error = request.gone() => {
            return tracing::debug!(port, %error, "the gateway took its wish back");
        }
    };
    let tcp = match connected {
        Ok(Ok(tcp)) => tcp,
        Ok(Err(error)) => {
            tracing::warn!(port, target, %error, "a reverse port has nobody behind it");
            return request.refuse(SocketsCode::FAILED);
        }
        Err(_) => {
            tracing::warn!(port, target, limit = ?CONNECT_LIMIT, "no answer behind a reverse port");
            return request.refuse(SocketsCode::FAILED);
        }
    };
    let Ok((mut send, recv)) = request.accept() else {
        return; // the stream has gone in this very moment
    };
    tracing::info!(port, target, "the gateway has connected to a reverse port");
    match tunnel(tcp, Bytes::new(), &mut send, recv).await {
        Ok(()) => tracing::debug!(port, "a connection to a reverse port has ended"),
        Err(TunnelError::Stream(error)) => tracing::debug!(port, %error, "the gateway broke off"),
        Err(TunnelError::Socket(error)) => {
            tracing::debug!(port, %error, "the service broke off");
            send.reset(Reason::INTERNAL_ERROR);
        }
    }
}

async fn connect(target: &str) -> std::io::Result<TcpStream> {
    let tcp = TcpStream::connect(target).await?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}
