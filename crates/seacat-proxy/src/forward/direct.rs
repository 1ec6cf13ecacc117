//! The direct route: a host that the rules send straight to the network. One connection per
//! request; speed is not the point here, doing no harm is.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use seacat_channel::{Carried, RequestBody};
use seacat_http1::{Fields, Framing, ResponseHead};
use seacat_http1_client::{Body, BoxError, Connection, Error, Exchange, Limits, Request, connect};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::errors::Code;
use crate::fault::{Fault, of_broken_request};
use crate::forward::fields::incoming;
use crate::forward::{Far, Forward, Forwarded};
use crate::policy::host::is_loopback_address;
use crate::server::request_body::ClientBody;
use crate::server::response_body::Source;

/// What is read at once in each direction of a tunnel.
const BUFFER: usize = seacat_proto::MAX_PAYLOAD;
/// How long a server or a client may do nothing. The application decides how long it waits; this
/// ends only what is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(24 * 60 * 60);

/// An exchange whose response has begun.
pub(crate) type DirectExchange = Exchange<ClientBody>;

impl Forward<'_> {
    /// One exchange, or one tunnel, on a connection of its own. `loopback`: this computer may be
    /// reached.
    pub(crate) async fn directly(
        &self,
        body: Option<ClientBody>,
        port: u16,
        loopback: bool,
    ) -> Result<Forwarded, Fault> {
        let limit = self.shared.limits.direct_connect;
        let tcp = dial(self.destination.host, port, limit, |address| {
            if self.shared.own.contains(&address) {
                return Some(Fault::new(Code::OwnAddress, "The name points to this proxy."));
            }
            let forbidden = is_loopback_address(address.ip()) && !loopback;
            forbidden.then(|| Fault::new(Code::LoopbackTarget, "The name points to this computer."))
        })
        .await?;
        let pseudonym = self.outgoing.pseudonym;
        if self.method == Method::CONNECT {
            let (status, reason) = (StatusCode::OK, Box::default());
            let head = incoming(status, reason, Fields::default(), false, pseudonym)?;
            let far = DirectTunnel { tcp, early: Bytes::new() };
            return Ok(Forwarded::Tunnel(head, Far::Direct(far)));
        }
        let mut exchange = self.start(tcp, body);
        let ResponseHead { status, reason, fields, .. } = self.response(&mut exchange).await?;
        let switched = self.outgoing.upgrade && status == StatusCode::SWITCHING_PROTOCOLS;
        let head = incoming(status, reason, fields, switched, pseudonym)?;
        if !switched {
            return Ok(Forwarded::Response(head, Source::Direct(Box::new(exchange))));
        }
        let (tcp, early) = exchange.into_connection().into_parts();
        Ok(Forwarded::Tunnel(self.tunnel_head(head), Far::Direct(DirectTunnel { tcp, early })))
    }

    fn start(&self, tcp: TcpStream, body: Option<ClientBody>) -> DirectExchange {
        let chunked = body.is_some() && self.outgoing.request.framing == Framing::Chunked;
        let head = self.outgoing.http(self.method, self.destination.path, chunked);
        let request = Request { method: self.method.clone(), head, body, chunked };
        let limits = Limits { response: FORGOTTEN, body: FORGOTTEN };
        Exchange::start(Box::new(Connection::new(tcp)), request, limits)
    }

    /// The head of the response, with one length at most and only if it counts.
    async fn response(&self, exchange: &mut DirectExchange) -> Result<ResponseHead, Fault> {
        let mut head = exchange.head().await.map_err(|error| broken(&error))?;
        if let Some(what) = head.unasked(self.outgoing.upgrade) {
            return Err(Fault::new(Code::BadReply, format!("The server {what}.")));
        }
        match head.framing(self.method) {
            Ok(Framing::Length(length @ 1..)) => {
                head.fields.set("Content-Length", length.to_string().as_bytes());
            }
            Ok(Framing::Chunked) => head.fields.remove("content-length"),
            _ => {}
        }
        Ok(head)
    }
}

impl Body for ClientBody {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        std::pin::Pin::new(self).poll_chunk(cx)
    }

    fn is_ended(&self) -> bool {
        RequestBody::is_ended(self)
    }
}

/// The far end of a tunnel on the direct route.
pub(crate) struct DirectTunnel {
    tcp: TcpStream,
    /// Read beyond the head that opened the tunnel.
    early: Bytes,
}

impl DirectTunnel {
    /// Carries bytes until both directions have ended. If one is torn, both ends are reset.
    ///
    /// # Errors
    /// What the access line gets, and the cause.
    pub(crate) async fn carry(
        mut self,
        mut client: TcpStream,
        early: Bytes,
        carried: &Carried,
    ) -> Result<(), (Code, String)> {
        let (from_client, to_client) = client.split();
        let (from_far, to_far) = self.tcp.split();
        let (up, down) = (io::Cursor::new(early), io::Cursor::new(self.early));
        let ended = tokio::try_join!(
            pump(up.chain(from_client), to_far, &carried.sent),
            pump(down.chain(from_far), to_client, &carried.received),
        );
        ended.map(drop).map_err(|error| {
            // An end that is gone is reset in vain.
            let _ = client.set_zero_linger().and(self.tcp.set_zero_linger());
            (Code::ClientGone, error.to_string())
        })
    }
}

/// Copies one direction to its end and passes the end on.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    bytes: &AtomicU64,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let n = from.read(&mut buffer).await?;
        if n == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..n]).await?;
        bytes.fetch_add(n as u64, Ordering::Relaxed);
    }
}

/// Resolves a host and connects to the first of its addresses that answers (RFC 8305). Addresses
/// for which `forbidden` has a fault are not tried.
async fn dial(
    host: &str,
    port: u16,
    limit: Duration,
    forbidden: impl Fn(SocketAddr) -> Option<Fault>,
) -> Result<TcpStream, Fault> {
    let dialling = async {
        let addresses = resolve(host, port, forbidden).await?;
        connect(addresses).await.map_err(|error| {
            Fault::new(Code::DirectConnect, format!("Connecting to port {port} failed: {error}."))
        })
    };
    timeout(limit, dialling).await.unwrap_or_else(|_| {
        let what = format!("No connection was made within {} s.", limit.as_secs());
        Err(Fault::new(Code::DirectTimeout, what))
    })
}

async fn resolve(
    host: &str,
    port: u16,
    forbidden: impl Fn(SocketAddr) -> Option<Fault>,
) -> Result<Vec<SocketAddr>, Fault> {
    let name = host.trim_matches(['[', ']']);
    let found = lookup_host((name, port)).await.map_err(|error| {
        Fault::new(Code::DirectName, format!("The name cannot be resolved: {error}."))
    })?;
    let mut last = Fault::new(Code::DirectName, "The name has no address.");
    let mut allowed = Vec::new();
    for address in found {
        match forbidden(address) {
            Some(fault) => last = fault,
            None => allowed.push(address),
        }
    }
    if allowed.is_empty() { Err(last) } else { Ok(allowed) }
}

fn broken(error: &Error) -> Fault {
    let what = || format!("The server's answer could not be read: {error}.");
    match error {
        Error::Upload(cause) => of_broken_request(&**cause),
        Error::Response(violation) => Fault::new(Code::BadReply, violation.what),
        Error::ResponseTimeout | Error::BodyTimeout | Error::UploadTimeout => {
            Fault::new(Code::DirectTimeout, what())
        }
        Error::Lost(_) | Error::Broken(_) => Fault::new(Code::DirectLost, what()),
    }
}
