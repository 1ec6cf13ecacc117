//! The listening ports: bound, kept while they are configured, closed.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::task::Poll;

use seacat_http1::syntax::{HOST, all};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::config::{MappedPort, ProxyConfig};
use crate::server::client::PortKind;

/// Connections the system queues for us: a burst of applications starting together.
const BACKLOG: i32 = 1024;

/// Why a proxy cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program has the port.
    #[error("{address} is in use")]
    InUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// An address that others can reach, without the operator's permission.
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

/// A bound port.
pub(crate) struct Listening {
    /// The address that was asked for, whose port may be 0.
    asked: SocketAddr,
    /// The address it is.
    own: SocketAddr,
    tcp: TcpListener,
    port: PortKind,
}

/// A new connection.
pub(crate) struct Accepted {
    pub(crate) tcp: TcpStream,
    pub(crate) peer: SocketAddr,
    /// Our end of it.
    pub(crate) here: SocketAddr,
    pub(crate) port: PortKind,
}

/// Binds the addresses of `config` that `there` does not have, then closes those that are no longer
/// configured. On an error `there` is as it was.
pub(crate) fn listen(
    config: &mut ProxyConfig,
    there: &mut Vec<Listening>,
) -> Result<(), BindError> {
    if config.allow_remote && config.credentials.is_none() {
        return Err(BindError::NoCredentials);
    }
    let mut wanted = Vec::new();
    let mut bound = Vec::new();
    for listener in config.inherited.drain(..) {
        let asked = local_address(&listener)?;
        check_local(asked, config.allow_remote)?;
        bound.push(adopt(listener, asked, PortKind::Proxy)?);
    }
    for &address in &config.listen {
        check_local(address, config.allow_remote)?;
        wanted.push((address, PortKind::Proxy));
    }
    for port in config.mapped.drain(..) {
        let MappedPort { listen, host, .. } = &port;
        if !listen.ip().is_loopback() {
            return Err(BindError::MappedRemote { address: *listen });
        }
        if host.is_empty() || !all(HOST, host.as_bytes()) {
            return Err(BindError::MappedHost { host: host.clone() });
        }
        wanted.push((*listen, PortKind::Mapped(port.into())));
    }
    let mut stay = Vec::new();
    for (asked, port) in wanted {
        let free = |nth: &usize| !stay.iter().any(|(it, _)| it == nth);
        match (0..there.len()).filter(free).find(|&nth| there[nth].asked == asked) {
            Some(nth) => stay.push((nth, port)),
            None => bound.extend(bind(asked, port)?),
        }
    }
    if bound.is_empty() && stay.is_empty() {
        return Err(BindError::Nothing);
    }
    let mut old: Vec<Option<Listening>> = there.drain(..).map(Some).collect();
    let kept = stay
        .into_iter()
        .filter_map(|(nth, port)| old[nth].take().map(|listening| Listening { port, ..listening }));
    there.extend(kept);
    there.extend(bound);
    // Mapped ports last, as the addresses are documented.
    there.sort_by_key(|listening| matches!(listening.port, PortKind::Mapped(_)));
    Ok(())
}

pub(crate) fn addresses(listeners: &[Listening]) -> Vec<SocketAddr> {
    listeners.iter().map(|listening| listening.own).collect()
}

/// Whether binding failed because of another program: it has the port, or, on Windows (WSAEACCES), has it for
/// itself alone or reserved, as Hyper-V and WSL reserve whole ranges.
#[must_use]
pub fn is_port_taken(error: &io::Error) -> bool {
    let reserved = cfg!(windows) && error.kind() == io::ErrorKind::PermissionDenied;
    reserved || error.kind() == io::ErrorKind::AddrInUse
}

fn check_local(address: SocketAddr, allow_remote: bool) -> Result<(), BindError> {
    if allow_remote || address.ip().is_loopback() {
        Ok(())
    } else {
        Err(BindError::Remote { address })
    }
}

/// `None`: IPv6 is switched off on this system.
fn bind(address: SocketAddr, port: PortKind) -> Result<Option<Listening>, BindError> {
    let no_ipv6 = |error: &io::Error| {
        tracing::warn!(%address, %error, "not listening on this address: IPv6 is disabled on this computer");
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
        Ok(()) => adopt(socket.into(), address, port).map(Some),
        Err(error) if is_port_taken(&error) => Err(BindError::InUse { address }),
        Err(error) if address.is_ipv6() && error.kind() == io::ErrorKind::AddrNotAvailable => {
            no_ipv6(&error)
        }
        Err(error) => Err(failed(error)),
    }
}

fn adopt(listener: StdListener, asked: SocketAddr, port: PortKind) -> Result<Listening, BindError> {
    let adopt = || {
        listener.set_nonblocking(true)?;
        if INHERITED {
            without_delay(&SockRef::from(&listener));
        }
        let own = listener.local_addr()?;
        Ok(Listening { asked, own, tcp: TcpListener::from_std(listener)?, port })
    };
    adopt().map_err(|source| BindError::Io { address: asked, source })
}

/// Whether connections have the options of the port they come to: a system call less for each.
const INHERITED: bool = cfg!(target_os = "linux");

/// Sends small pieces at once. Only a delay is lost if this cannot be set.
fn without_delay(socket: &SockRef<'_>) {
    let _ = socket.set_tcp_nodelay(true);
}

fn local_address(listener: &StdListener) -> Result<SocketAddr, BindError> {
    listener.local_addr().map_err(|source| BindError::Io {
        // Not known: that is what failed.
        address: (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
        source,
    })
}

/// The next connection on any of the listeners.
pub(crate) async fn accept(listeners: &[Listening]) -> io::Result<Accepted> {
    let next = poll_fn(|cx| {
        for listening in listeners {
            if let Poll::Ready(accepted) = listening.tcp.poll_accept(cx) {
                return Poll::Ready(accepted.map(|accepted| (accepted, listening)));
            }
        }
        Poll::Pending
    });
    let ((tcp, peer), Listening { own, port, .. }) = next.await?;
    if !INHERITED {
        without_delay(&SockRef::from(&tcp));
    }
    // The system is asked only where the port is open on all our addresses.
    let here = if own.ip().is_unspecified() { tcp.local_addr()? } else { *own };
    Ok(Accepted { tcp, peer, here, port: port.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_sends_at_once_and_knows_its_own_end() {
        for asked in ["127.0.0.1:0", "0.0.0.0:0"] {
            let asked = asked.parse().unwrap();
            let listener = StdListener::bind(asked).unwrap();
            let port = listener.local_addr().unwrap().port();
            let listening = adopt(listener, asked, PortKind::Proxy).unwrap();
            let client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let accepted = accept(&[listening]).await.unwrap();
            assert!(accepted.tcp.nodelay().unwrap());
            assert_eq!(accepted.here, client.peer_addr().unwrap());
            assert_eq!(accepted.peer, client.local_addr().unwrap());
        }
    }
}
