//! The direct route: a host that the rules send straight to the network. One connection per
//! request; speed is not the point here, doing no harm is.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming as Body;
use hyper_util::rt::TokioIo;
use seacat_channel::Carried;
use seacat_http1::Fields;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::errors::Code;
use crate::fault::{Fault, of_broken_request};
use crate::forward::fields::incoming;
use crate::forward::{Far, Forward, Forwarded};
use crate::policy::host::is_loopback_address;
use crate::server::request_body::{ClientBody, HyperBody};
use crate::server::response_body::Source;

/// What is read at once in each direction of a tunnel.
const BUFFER: usize = seacat_proto::MAX_PAYLOAD;

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
            return Ok(Forwarded::Tunnel(head, Far::Direct(DirectTunnel(Box::new(tcp)))));
        }
        let mut response = exchange(tcp, self.direct_request(body)?).await?;
        let switched = self.outgoing.upgrade && response.status() == 101;
        let far = switched.then(|| hyper::upgrade::on(&mut response));
        let (parts, body) = response.into_parts();
        let mut fields = Fields::with_capacity(parts.headers.len() + 1, 512);
        for (name, value) in &parts.headers {
            fields.push(&title_case(name.as_str()), value.as_bytes());
        }
        let head = incoming(parts.status, Box::default(), fields, switched, pseudonym)?;
        match far {
            None => Ok(Forwarded::Response(head, Source::Direct(body))),
            Some(far) => {
                let far = far.await.map_err(|error| {
                    Fault::new(Code::Lost, format!("The upgrade failed: {error}."))
                })?;
                let far = DirectTunnel(Box::new(TokioIo::new(far)));
                Ok(Forwarded::Tunnel(self.tunnel_head(head), Far::Direct(far)))
            }
        }
    }

    fn direct_request(&self, body: Option<ClientBody>) -> Result<Request<HyperBody>, Fault> {
        let mut request = Request::builder()
            .method(self.method)
            .uri(self.destination.path)
            .body(HyperBody(body))
            .map_err(|_| Fault::new(Code::BadTarget, "The target is not valid."))?;
        *request.headers_mut() = self.outgoing.http();
        Ok(request)
    }
}

/// `Content-Type` for `content-type`: hyper forgets the spelling of names.
fn title_case(name: &str) -> Vec<u8> {
    let mut title = name.as_bytes().to_vec();
    let mut upper = true;
    for b in &mut title {
        if upper {
            b.make_ascii_uppercase();
        }
        upper = *b == b'-';
    }
    title
}

/// A socket, or what an upgrade has left of one.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// The far end of a tunnel on the direct route.
pub(crate) struct DirectTunnel(Box<dyn Wire>);

impl DirectTunnel {
    /// Carries bytes until both directions have ended. A far end that is torn resets the client.
    ///
    /// # Errors
    /// What the access line gets, and the cause.
    pub(crate) async fn carry(
        self,
        mut client: TcpStream,
        early: Bytes,
        carried: &Carried,
    ) -> Result<(), (Code, String)> {
        let (from_client, to_client) = client.split();
        let (from_far, to_far) = split(self.0);
        let up = pump(io::Cursor::new(early).chain(from_client), to_far, &carried.sent);
        let down = pump(from_far, to_client, &carried.received);
        let ended = tokio::try_join!(up, down);
        ended.map(drop).map_err(|error| {
            // If it is the client that is gone, it is reset in vain.
            let _ = client.set_zero_linger();
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
        to.flush().await?;
        bytes.fetch_add(n as u64, Ordering::Relaxed);
    }
}

/// Resolves a host and connects to the first address that answers. Addresses for which
/// `forbidden` has a fault are not tried.
async fn dial(
    host: &str,
    port: u16,
    limit: Duration,
    forbidden: impl Fn(SocketAddr) -> Option<Fault>,
) -> Result<TcpStream, Fault> {
    timeout(limit, try_each(host, port, forbidden)).await.unwrap_or_else(|_| {
        let what = format!("No connection was made within {} s.", limit.as_secs());
        Err(Fault::new(Code::DirectTimeout, what))
    })
}

async fn try_each(
    host: &str,
    port: u16,
    forbidden: impl Fn(SocketAddr) -> Option<Fault>,
) -> Result<TcpStream, Fault> {
    let name = host.trim_matches(['[', ']']);
    let addresses = lookup_host((name, port)).await.map_err(|error| {
        Fault::new(Code::DirectName, format!("The name cannot be resolved: {error}."))
    })?;
    let mut last = Fault::new(Code::DirectName, "The name has no address.");
    for address in addresses {
        if let Some(fault) = forbidden(address) {
            last = fault;
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(tcp) => {
                // Only a delay is lost if this cannot be set.
                let _ = tcp.set_nodelay(true);
                return Ok(tcp);
            }
            Err(error) => {
                let what = format!("Connecting to port {port} failed: {error}.");
                last = Fault::new(Code::DirectConnect, what);
            }
        }
    }
    Err(last)
}

/// Sends one request on a fresh connection. The connection lives as long as its answer is read,
/// or as long as it is upgraded.
async fn exchange(tcp: TcpStream, request: Request<HyperBody>) -> Result<Response<Body>, Fault> {
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .title_case_headers(true)
        .handshake(TokioIo::new(tcp))
        .await
        .map_err(|error| broken(&error))?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a direct connection ended");
        }
    });
    sender.send_request(request).await.map_err(|error| broken(&error))
}

fn broken(error: &hyper::Error) -> Fault {
    // `is_user`: our half failed, which is the client's body.
    if let Some(cause) = error.source().filter(|_| error.is_user()) {
        return of_broken_request(cause);
    }
    let what = format!("The server's answer could not be read: {error}.");
    Fault::new(if error.is_parse() { Code::BadReply } else { Code::Lost }, what)
}
