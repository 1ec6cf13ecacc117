//! From a gateway's name to a secured connection: the resolver, every address (RFC 8305), the
//! upstream proxy if there is one, TLS.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use crate::config::GatewayConfig;
use crate::failure::{Failure, Stage};
use crate::portal;
use crate::transport::{Secured, Transport};
use crate::upstream::{ConnectBy, Upstream, authority, tunnel};

/// One gateway with all its addresses gets this long.
pub(crate) const DIAL_LIMIT: Duration = Duration::from_secs(20);

/// One TLS handshake gets this long, so that an address that accepts and keeps silent leaves
/// time for the next.
const TLS_LIMIT: Duration = Duration::from_secs(8);

/// A second handshake with small segments gets this long: an address that keeps silent still leaves
/// time for the next.
const SMALL_TLS_LIMIT: Duration = Duration::from_secs(4);

/// The size of a segment, in bytes, where large ones are suspected to vanish: a tunnel on the way takes
/// less than Ethernet does, and the ICMP message that reports it is filtered. With the headers of TCP
/// and IPv6 it fits into the 1280 bytes that every network has to take (RFC 8200 section 5).
#[cfg(any(target_os = "linux", target_os = "android"))]
const SMALL_SEGMENT: u32 = 1200;

/// The head start of an address before the next is tried (RFC 8305 section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// How much may lie unsent in the kernel. More would let a small request queue behind megabytes
/// of upload that could have been interleaved with it; less would starve a fast network.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NOTSENT_LOWAT: u32 = 128 * 1024;

/// How long bytes may stay unacknowledged until the kernel gives the connection up (RFC 5482). Longer
/// than a line that comes back (a lift, a reboot of the router), shorter than what the kernel would
/// wait without it (a quarter of an hour).
#[cfg(any(target_os = "linux", target_os = "android"))]
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// A secured connection and the address it leads to.
#[derive(Debug)]
pub(crate) struct Dialled {
    pub(crate) secured: Secured,
    pub(crate) address: SocketAddr,
}

/// What is dialled, and what is known of the way there.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    pub(crate) gateway: GatewayConfig,
    /// Where the gateway is; empty asks the resolver.
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) upstream: Option<Upstream>,
    /// Whether large segments are suspected to vanish on the way.
    pub(crate) small_segments: bool,
}

impl Destination {
    /// The proxy is left out for whom it is not to be used.
    pub(crate) fn new(
        gateway: GatewayConfig,
        found: Vec<IpAddr>,
        upstream: Option<&Upstream>,
    ) -> Self {
        let literal = gateway.address.or_else(|| gateway.host.parse().ok());
        let addresses = literal.map_or(found, |ip| vec![ip]);
        let excepted = |it: &Upstream| {
            it.except.contains(&gateway.host, gateway.port)
                || gateway
                    .address
                    .is_some_and(|ip| it.except.contains(&ip.to_string(), gateway.port))
        };
        let upstream = upstream.filter(|upstream| !excepted(upstream)).cloned();
        Self { gateway, addresses, upstream, small_segments: false }
    }

    pub(crate) async fn addresses(&self) -> Result<Vec<SocketAddr>, Failure> {
        let GatewayConfig { host, port, .. } = &self.gateway;
        if self.addresses.is_empty() {
            return look_up(host, *port).await;
        }
        Ok(self.addresses.iter().map(|&ip| SocketAddr::new(ip, *port)).collect())
    }

    /// What the proxy is asked for, one after the other.
    pub(crate) async fn authorities(&self, upstream: &Upstream) -> Result<Vec<String>, Failure> {
        let GatewayConfig { host, port, address, .. } = &self.gateway;
        match (address, upstream.connect_by) {
            // Somebody has said that this, and not the name, leads there.
            (Some(ip), _) => Ok(vec![authority(&ip.to_string(), *port)]),
            (None, ConnectBy::Name) => Ok(vec![authority(host, *port)]),
            (None, ConnectBy::Address) => {
                let addresses = interleave(self.addresses().await?);
                Ok(addresses.iter().map(SocketAddr::to_string).collect())
            }
        }
    }
}

/// Tries every address of the gateway until one gives a secured connection. Of several failures
/// the one that came furthest is returned.
pub(crate) async fn dial(
    destination: &Destination,
    transport: &Transport,
) -> Result<Dialled, Failure> {
    let mut furthest = None;
    let attempts = async {
        match &destination.upstream {
            None => {
                let addresses = destination.addresses().await?;
                try_all(destination, addresses, None, transport, &mut furthest).await
            }
            Some(upstream) => try_proxy(destination, upstream, transport, &mut furthest).await,
        }
    };
    match timeout(DIAL_LIMIT, attempts).await {
        Ok(outcome) => outcome,
        Err(_) => {
            Err(further(furthest, Failure::TimedOut { stage: Stage::Dial, limit: DIAL_LIMIT }))
        }
    }
}

async fn try_proxy(
    destination: &Destination,
    upstream: &Upstream,
    transport: &Transport,
    furthest: &mut Option<Failure>,
) -> Result<Dialled, Failure> {
    let proxy = look_up(&upstream.host, upstream.port)
        .await
        .map_err(|failure| unreachable(upstream, &failure))?;
    let mut last = Failure::NoSuchHost { host: destination.gateway.host.clone() };
    for authority in destination.authorities(upstream).await? {
        let way = Some((upstream, authority.as_str()));
        match try_all(destination, proxy.clone(), way, transport, furthest).await {
            Err(failure) if !failure.is_permanent() => last = failure,
            outcome => return outcome,
        }
    }
    Err(last)
}

/// `way`: the proxy at these addresses, and what it is asked for.
async fn try_all(
    destination: &Destination,
    addresses: Vec<SocketAddr>,
    way: Option<(&Upstream, &str)>,
    transport: &Transport,
    furthest: &mut Option<Failure>,
) -> Result<Dialled, Failure> {
    let gateway = &destination.gateway;
    let small = destination.small_segments;
    let mut race = Race::new(interleave(addresses), move |address| connect(address, small));
    while let Some((address, outcome)) = race.next().await {
        let failure = match outcome {
            Ok(tcp) => match secure_again(tcp, address, way, transport, small).await {
                Ok(secured) => return Ok(Dialled { secured, address }),
                Err(failure) if failure.is_permanent() => return Err(failure),
                Err(failure) if way.is_none() => portal::explain(failure, gateway, address).await,
                Err(failure) => failure,
            },
            Err(error) => {
                let failure = Failure::from_tcp(address, &error);
                way.map_or(failure.clone(), |(upstream, _)| unreachable(upstream, &failure))
            }
        };
        tracing::debug!(gateway = gateway.name, %address, %failure, "address failed");
        *furthest = Some(further(furthest.take(), failure));
    }
    let nobody = || Failure::NoSuchHost { host: gateway.host.clone() };
    Err(furthest.clone().unwrap_or_else(nobody))
}

/// [`secure`], and once more with small segments where the handshake stalls, unless they are small.
async fn secure_again(
    tcp: TcpStream,
    address: SocketAddr,
    way: Option<(&Upstream, &str)>,
    transport: &Transport,
    small: bool,
) -> Result<Secured, Failure> {
    match secure(tcp, way, transport).await {
        Err(Failure::TimedOut { stage: Stage::Tls, limit }) if !small => {
            tracing::debug!(%address, "TLS stalls; trying small segments");
            let tcp = connect(address, true).await;
            let tcp = tcp.map_err(|error| Failure::from_tcp(address, &error))?;
            let again = timeout(SMALL_TLS_LIMIT, secure(tcp, way, transport)).await;
            again.unwrap_or(Err(Failure::TimedOut { stage: Stage::Tls, limit }))
        }
        outcome => outcome,
    }
}

/// Through the proxy, if there is one, and to the end of the TLS handshake.
pub(crate) async fn secure(
    mut tcp: TcpStream,
    way: Option<(&Upstream, &str)>,
    transport: &Transport,
) -> Result<Secured, Failure> {
    if let Some((upstream, authority)) = way {
        tunnel(&mut tcp, upstream, authority).await?;
    }
    match timeout(TLS_LIMIT, transport.secure(tcp)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::TimedOut { stage: Stage::Tls, limit: TLS_LIMIT }),
    }
}

fn unreachable(upstream: &Upstream, failure: &Failure) -> Failure {
    Failure::ProxyUnreachable { proxy: upstream.to_string(), why: failure.to_string() }
}

fn further(best: Option<Failure>, failure: Failure) -> Failure {
    match best {
        Some(best) if best.reach() >= failure.reach() => best,
        _ => failure,
    }
}

pub(crate) async fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    match tokio::net::lookup_host((host, port)).await {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => Err(Failure::from_lookup(host, &error)),
    }
}

/// `small_segments`: neither end sends segments larger than `SMALL_SEGMENT` (Linux; elsewhere the
/// size is not changed).
pub(crate) async fn connect(address: SocketAddr, small_segments: bool) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if small_segments {
        // Before connecting: the other end is told, too.
        socket2::SockRef::from(&socket).set_tcp_mss(SMALL_SEGMENT)?;
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = small_segments;
    let tcp = socket.connect(address).await?;
    tcp.set_nodelay(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let socket = socket2::SockRef::from(&tcp);
        let limits = socket
            .set_tcp_notsent_lowat(NOTSENT_LOWAT)
            .and_then(|()| socket.set_tcp_user_timeout(Some(USER_TIMEOUT)));
        if let Err(error) = limits {
            tracing::debug!(%error, "the socket's limits could not be set");
        }
    }
    Ok(tcp)
}

/// The resolver's order, with the families taking turns, beginning with its first choice (RFC
/// 8305 section 4). Each address once.
pub(crate) fn interleave(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let prefers_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut turn, mut other): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == prefers_v6);
    let mut order = VecDeque::with_capacity(turn.len() + other.len());
    while let Some(address) = turn.pop_front().or_else(|| other.pop_front()) {
        if !order.contains(&address) {
            order.push_back(address);
        }
        if !other.is_empty() {
            std::mem::swap(&mut turn, &mut other);
        }
    }
    order
}

/// Attempts on many addresses, each with a head start over the next. A failure starts the next
/// at once; a success stops the others, which may be asked for again.
struct Race<T, C> {
    connect: C,
    queue: VecDeque<SocketAddr>,
    running: Vec<Attempt<T>>,
}

struct Attempt<T> {
    address: SocketAddr,
    outcome: Pin<Box<dyn Future<Output = io::Result<T>> + Send>>,
}

impl<T, C, F> Race<T, C>
where
    C: Fn(SocketAddr) -> F,
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    fn new(queue: VecDeque<SocketAddr>, connect: C) -> Self {
        Self { connect, queue, running: Vec::new() }
    }

    /// The next outcome; `None` when every address has had one.
    async fn next(&mut self) -> Option<(SocketAddr, io::Result<T>)> {
        loop {
            if self.running.is_empty() {
                self.start_next()?;
            }
            tokio::select! {
                biased;
                (address, outcome) = finished(&mut self.running) => {
                    if outcome.is_ok() {
                        let stopped = self.running.drain(..).map(|attempt| attempt.address);
                        self.queue = stopped.chain(self.queue.drain(..)).collect();
                    } else {
                        let _ = self.start_next();
                    }
                    return Some((address, outcome));
                }
                () = sleep(STAGGER), if !self.queue.is_empty() => {
                    let _ = self.start_next();
                }
            }
        }
    }

    fn start_next(&mut self) -> Option<()> {
        let address = self.queue.pop_front()?;
        self.running.push(Attempt { address, outcome: Box::pin((self.connect)(address)) });
        Some(())
    }
}

/// The first of the attempts to finish, taken out.
async fn finished<T>(running: &mut Vec<Attempt<T>>) -> (SocketAddr, io::Result<T>) {
    poll_fn(|cx| {
        for i in 0..running.len() {
            if let Poll::Ready(outcome) = running[i].outcome.as_mut().poll(cx) {
                return Poll::Ready((running.remove(i).address, outcome));
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
#[path = "dial_tests.rs"]
mod tests;
