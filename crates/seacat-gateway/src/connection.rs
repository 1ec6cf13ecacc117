//! One client: its handshake, its requests, its end.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use seacat_link::{Closed, Link, LinkConfig, News, handshake_server};
use seacat_proto::frame::CharacteristicsAck;
use seacat_proto::{ConnectionError, Control};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{Instrument, debug, info, info_span};

use crate::exchange;
use crate::server::Shared;

/// What an HTTPS client gets. Browsers and port scanners come by; they are told where they are
/// and meant no harm (wire specification, section 7).
const HTTPS_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 82\r\n\
    Connection: close\r\n\
    \r\n\
    This is a SeaCat gateway, not a web site. It is reached through a SeaCat client.\r\n";

/// Serves one client until its connection ends, or has drained once `stop` changes.
pub(crate) async fn serve(
    tcp: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
) {
    let span = info_span!("client", %peer);
    let work = async move {
        let handshake = handshake_server(tcp, Arc::clone(&shared.tls));
        match timeout(shared.limits.handshake_timeout, handshake).await {
            Ok(Ok((tcp, session))) => established(tcp, session, peer, &shared, stop).await,
            Ok(Err(error)) => handshake_failed(&shared, &error),
            Err(_) => handshake_failed(&shared, &io::ErrorKind::TimedOut.into()),
        }
    };
    work.instrument(span).await;
}

fn handshake_failed(shared: &Shared, error: &io::Error) {
    shared.stats.handshakes_failed.add();
    info!(%error, "no TLS connection");
}

async fn established(
    tcp: TcpStream,
    session: rustls::Connection,
    peer: SocketAddr,
    shared: &Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    // An identity is only shown, not used yet.
    let identified = session.peer_certificates().is_some();
    debug!(version = ?session.protocol_version(), identified, "connected");

    let mut config = LinkConfig::gateway(HTTPS_ANSWER);
    config.proto.max_streams = shared.limits.streams;
    let (link, mut incoming, driver) = Link::start(tcp, session, &config);
    let mut driver = pin!(driver);
    let mut draining = false;
    let closed = loop {
        tokio::select! {
            biased;
            closed = &mut driver => break closed,
            Some(news) = incoming.next() => heed(news, &link, peer, shared),
            // An error means that the gateway itself is gone.
            _ = stop.wait_for(|stop| *stop), if !draining => {
                draining = true;
                link.drain();
            }
        }
    };
    match closed {
        Closed::Protocol(ConnectionError::HttpClient) => {
            shared.stats.http_clients.add();
            info!("an HTTPS client came by and was told what this is");
        }
        Closed::Local | Closed::Peer => debug!("disconnected"),
        closed => info!(%closed, "disconnected"),
    }
}

fn heed(news: News, link: &Link, peer: SocketAddr, shared: &Arc<Shared>) {
    match news {
        News::Request(request) => {
            shared.stats.streams.add();
            let host = shared.host(request.head.host());
            let id = request.reply.id();
            let method = request.head.method().escape_ascii();
            debug!(%id, host = %request.head.host().escape_ascii(), %method, "request");
            tokio::spawn(exchange::serve(request, host, peer.ip()).in_current_span());
        }
        News::Control(control) => heed_control(&control, link),
        News::Pong { rtt } => debug!(?rtt, "pong"),
    }
}

/// Frames that belong to no stream. CSR and CERT_QUERY, the enrolment, will be answered here;
/// until then they are ignored like everything we do not know (wire specification, section 3.12).
fn heed_control(control: &Control, link: &Link) {
    match control {
        Control::Characteristics(characteristics) => {
            debug!(serial = characteristics.serial, "characteristics acknowledged");
            let ack = CharacteristicsAck { serial: characteristics.serial };
            if let Err(error) = link.control(&Control::CharacteristicsAck(ack)) {
                debug!(%error, "the acknowledgement was not sent");
            }
        }
        other => debug!(frame = ?std::mem::discriminant(other), "control frame ignored"),
    }
}

#[cfg(test)]
mod tests {
    use super::HTTPS_ANSWER;

    #[test]
    fn the_answer_for_https_clients_has_the_length_it_says() {
        let text = std::str::from_utf8(HTTPS_ANSWER).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
    }
}
