//! From a TCP socket to an established TLS session.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// How long the client may take to hear why it was refused.
const GOODBYE: Duration = Duration::from_secs(2);

/// Performs the client's part of the handshake.
///
/// # Errors
/// Socket errors as they are; TLS errors as an [`io::Error`] around a [`rustls::Error`].
pub async fn handshake_client(
    tcp: TcpStream,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
) -> io::Result<(TcpStream, rustls::Connection)> {
    let (tcp, session) = TlsConnector::from(config).connect(name, tcp).await?.into_inner();
    Ok((tcp, session.into()))
}

/// Performs the server's part of the handshake.
///
/// # Errors
/// As [`handshake_client`]. The client has been told why, then.
pub async fn handshake_server(
    tcp: TcpStream,
    config: Arc<ServerConfig>,
) -> io::Result<(TcpStream, rustls::Connection)> {
    match TlsAcceptor::from(config).accept(tcp).into_fallible().await {
        Ok(stream) => {
            let (tcp, session) = stream.into_inner();
            Ok((tcp, session.into()))
        }
        Err((error, tcp)) => {
            // Too late is as good as done.
            let _ = timeout(GOODBYE, linger(tcp)).await;
            Err(error)
        }
    }
}

/// The alert that says why has left. It arrives only if we stay until the client has closed: a
/// socket that is closed with something unread (with TLS 1.3, the client's first frames) sends a
/// reset, which overtakes it.
async fn linger(mut tcp: TcpStream) {
    let _ = tcp.shutdown().await;
    let mut rest = [0; 1024];
    while !matches!(tcp.read(&mut rest).await, Ok(0) | Err(_)) {}
}
