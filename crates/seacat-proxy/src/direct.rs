//! The direct route: a host that the rules send straight to the network. One connection per
//! request; speed is not the point here, doing no harm is.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::body::{BodyTooLarge, FromClient};
use crate::errors::Code;
use crate::reply::Fault;

/// Resolves a host and connects to the first address that answers. Addresses for which
/// `forbidden` has a fault are not tried.
pub(crate) async fn dial(
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
pub(crate) async fn exchange(
    tcp: TcpStream,
    request: Request<FromClient>,
) -> Result<Response<Incoming>, Fault> {
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
    if error.is_user() {
        let too_large = error.source().is_some_and(<dyn Error>::is::<BodyTooLarge>);
        let code = if too_large { Code::BodyTooLarge } else { Code::BodyCut };
        return Fault::new(code, "The request's body could not be read to its end.");
    }
    let what = format!("The server's answer could not be read: {error}.");
    Fault::new(if error.is_parse() { Code::BadReply } else { Code::Lost }, what)
}
