//! From a TCP socket to an established TLS session.

use std::io;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{ClientTls, Closed, ServerTls, Session};

/// Ciphertext read at once. A flight of a handshake is seldom longer.
const READ_BUFFER: usize = 4096;

/// How long the client may take to receive the alert.
const GOODBYE: Duration = Duration::from_secs(2);

/// Performs the client's part of the handshake.
///
/// # Errors
/// As [`handshake`].
pub async fn handshake_client(
    tcp: TcpStream,
    tls: impl Into<ClientTls>,
    name: ServerName<'static>,
) -> Result<(TcpStream, Session), Closed> {
    let mut session = tls.into().session(name).map_err(Closed::Tls)?;
    handshake(&tcp, &mut session).await?;
    Ok((tcp, session))
}

/// Performs the server's part of the handshake.
///
/// # Errors
/// As [`handshake`]. The client has been sent an alert then.
pub async fn handshake_server(
    tcp: TcpStream,
    tls: impl Into<ServerTls>,
) -> Result<(TcpStream, Session), Closed> {
    let mut session = tls.into().session().map_err(Closed::Tls)?;
    match handshake(&tcp, &mut session).await {
        Ok(()) => Ok((tcp, session)),
        Err(closed) => {
            // A timeout needs no action.
            let _ = timeout(GOODBYE, linger(tcp)).await;
            Err(closed)
        }
    }
}

/// The alert has been sent. It arrives only if the socket stays open until the client has closed: a
/// socket that is closed with unread input (with TLS 1.3, the client's first frames) sends a reset,
/// which overtakes the alert.
async fn linger(mut tcp: TcpStream) {
    let _ = tcp.shutdown().await;
    let mut rest = [0; 1024];
    while !matches!(tcp.read(&mut rest).await, Ok(0) | Err(_)) {}
}

/// Writes and reads until both sides have finished. The session stays with the caller, because its
/// state explains a failure.
///
/// # Errors
/// [`Closed::Truncated`], [`Closed::Io`] or [`Closed::Tls`].
pub async fn handshake(tcp: &TcpStream, session: &mut Session) -> Result<(), Closed> {
    loop {
        while session.wants_write() {
            tcp.writable().await?;
            not_yet_is_nothing(session.write_to(tcp).map(|_| ()))?;
        }
        if !session.is_handshaking() {
            return Ok(());
        }
        tcp.readable().await?;
        if let Err(closed) = read_once(tcp, session) {
            // The alert; if it cannot be sent at once, the peer sees the connection end anyway.
            let _ = session.write_to(tcp);
            return Err(closed);
        }
    }
}

fn read_once(tcp: &TcpStream, session: &mut Session) -> Result<(), Closed> {
    let mut buffer = [0; READ_BUFFER];
    let mut bytes = match tcp.try_read(&mut buffer) {
        Ok(0) => return Err(Closed::Truncated),
        Ok(count) => &buffer[..count],
        Err(error) => return Ok(not_yet_is_nothing(Err(error))?),
    };
    while !bytes.is_empty() {
        session.receive(&mut bytes)?;
    }
    Ok(())
}

fn not_yet_is_nothing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}
