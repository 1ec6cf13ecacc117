//! From a TCP socket to an established TLS session.

use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

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
/// As [`handshake_client`].
pub async fn handshake_server(
    tcp: TcpStream,
    config: Arc<ServerConfig>,
) -> io::Result<(TcpStream, rustls::Connection)> {
    let (tcp, session) = TlsAcceptor::from(config).accept(tcp).await?.into_inner();
    Ok((tcp, session.into()))
}
