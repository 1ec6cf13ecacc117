//! One client: its handshake, its requests, its end.

use std::fmt::Display;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use seacat_link::{Closed, IncomingEvent, Link, LinkConfig, Session, handshake_server};
use seacat_proto::frame::CharacteristicsAck;
use seacat_proto::{ConnectionError, Control};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{Instrument, Level, Span, debug, enabled, error, info, info_span};

use crate::backend::Logins;
use crate::client_id::ClientId;
use crate::enroll::{EnrollmentSession, NotListed, PresentedCertificate, Registrar};
use crate::exchange;
use crate::identity::{Anonymous, Caller, Identity};
use crate::server::{Admission, Shared};
use crate::slots::{ConnectionSlot, SlotActivity};

/// The response to an HTTPS client. Browsers and port scanners connect, too; that is not an attack
/// (wire specification, section 7).
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
    slot: ConnectionSlot,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
) {
    let span = info_span!("client", %peer);
    let work = async move {
        let activity = slot.activity();
        let handshake = handshake_server(tcp, shared.tls.clone());
        let handshake = async {
            tokio::select! {
                ended = timeout(shared.limits.handshake_timeout, handshake) => Some(ended),
                () = activity.leave() => None,
            }
        };
        match handshake.await {
            Some(Ok(Ok((tcp, session)))) => {
                established(tcp, session, peer, slot, &shared, stop).await;
            }
            Some(Ok(Err(closed))) => handshake_failed(&shared, &closed),
            Some(Err(_)) => handshake_failed(&shared, &"timeout"),
            None => handshake_failed(&shared, &"another client needed its slot"),
        }
    };
    work.instrument(span).await;
}

fn handshake_failed(shared: &Shared, error: &dyn Display) {
    shared.stats.handshakes_failed.add();
    info!(%error, "no TLS connection");
}

async fn established(
    tcp: TcpStream,
    session: Session,
    peer: SocketAddr,
    mut slot: ConnectionSlot,
    shared: &Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    let shown = session.peer_certificate().and_then(shown);
    // Subscribed before the list is read, so that changes in between are not missed.
    let changes = shared.changes();
    let identity = identify(shared, session.peer_certificate(), shown.as_ref()).await;
    let client = identity.as_ref().ok().map(|it| it.id);
    debug!(version = session.version(), suite = session.suite(), ?client, "connected");

    let Some(share) = slot.settle(client.as_ref()) else {
        return shared.no_place(peer);
    };
    let mut config = LinkConfig::gateway(HTTPS_ANSWER);
    config.share = Some(share.clone());
    config.proto.max_streams = shared.limits.streams;
    let (link, mut incoming, driver) = Link::start(tcp, session, &config);
    if client.is_none() {
        slot.expose(&link);
    }
    let mut guard = JoinSet::new(); // ends with the connection
    if let (Admission::Enroll(registrar, _), Ok(_), Some(shown)) =
        (&shared.admission, &identity, &shown)
    {
        let (registrar, shown) = (Arc::clone(registrar), shown.clone());
        guard.spawn(end_when_revoked(link.clone(), registrar, shown, changes).in_current_span());
    }
    let fields = Arc::clone(&shared.identity_fields);
    let caller = Caller::new(peer.ip(), identity, fields, share, Arc::clone(&shared.blind));
    let _presence = client.map(|_| shared.present.enter(caller.clone(), link.clone()));
    let mut client = Client {
        caller,
        session: match &shared.admission {
            Admission::Enroll(registrar, _) => {
                Some(EnrollmentSession::open(link.clone(), Arc::clone(registrar), shown, peer.ip()))
            }
            Admission::Open | Admission::ClientCa => None,
        },
        link,
        activity: slot.activity(),
        shared: Arc::clone(shared),
        logins: Arc::default(),
    };
    let activity = slot.activity();
    let mut driver = pin!(driver);
    let mut stopped = pin!(stop.wait_for(|stop| *stop));
    let mut draining = false;
    let closed = loop {
        tokio::select! {
            biased;
            // First, so that the driver continues when all its events are taken.
            Some(event) = incoming.next() => client.handle(event),
            closed = &mut driver => break closed,
            () = activity.leave() => {
                info!("an idle client without an identity was disconnected: its slot was needed");
                client.link.close();
            }
            // An error means that the gateway itself is gone.
            _ = &mut stopped, if !draining => {
                draining = true;
                client.link.drain();
            }
        }
    };
    match closed {
        Closed::Protocol(ConnectionError::HttpClient) => {
            shared.stats.http_clients.add();
            info!("an HTTPS client connected and was answered 400");
        }
        Closed::Local | Closed::Peer => debug!("disconnected"),
        closed => info!(%closed, "disconnected"),
    }
}

/// The client certificate of the handshake, if its key has a client id.
fn shown(der: &CertificateDer<'_>) -> Option<PresentedCertificate> {
    Some(PresentedCertificate { id: ClientId::of_certificate(der)?, der: der.to_vec() })
}

/// The identity of the client. A certificate that is not on the allow-list is no reason to refuse
/// the connection: the client stays anonymous, can use the hosts without `identity`, and learns its
/// state by CSR and CERT_QUERY.
async fn identify(
    shared: &Shared,
    certificate: Option<&CertificateDer<'_>>,
    shown: Option<&PresentedCertificate>,
) -> Result<Identity, Anonymous> {
    if certificate.is_none() {
        return Err(Anonymous::NoCertificate);
    }
    let shown = shown.ok_or(Anonymous::NoClientId)?;
    let until = match &shared.admission {
        Admission::Open => return Err(Anonymous::NoCertificate),
        Admission::ClientCa => shown.until(),
        Admission::Enroll(registrar, _) => listed(registrar, shown).await?,
    };
    Ok(Identity { id: shown.id, until })
}

/// Looks a certificate up on the allow-list.
async fn listed(
    registrar: &Arc<Registrar>,
    shown: &PresentedCertificate,
) -> Result<SystemTime, Anonymous> {
    let asked = shown.clone();
    let looked_up = registrar.beside(move |it| it.identify(&asked, SystemTime::now())).await;
    match looked_up {
        Ok(Ok(until)) => Ok(until),
        Ok(Err(not_listed)) => {
            info!(client = %shown.id.tag(), %not_listed, "a certificate without an identity");
            Err(not_listed.into())
        }
        Err(error) => {
            error!(%error, "a client could not be looked up");
            Err(Anonymous::NotNow)
        }
    }
}

/// Looks the client up again whenever a record has changed, and ends its connection when its
/// certificate was revoked.
async fn end_when_revoked(
    link: Link,
    registrar: Arc<Registrar>,
    shown: PresentedCertificate,
    mut changes: watch::Receiver<()>,
) {
    while changes.changed().await.is_ok() {
        match listed(&registrar, &shown).await {
            // Expired as intended: requests are answered accordingly.
            Ok(_) | Err(Anonymous::NotListed(NotListed::Expired)) => {}
            // The disk has failed, which is not the client's fault.
            Err(Anonymous::NotNow) => {}
            Err(_) => {
                info!(client = %shown.id.tag(), "its certificate was revoked: connection ended");
                link.close();
                return;
            }
        }
    }
}

/// One connected client.
struct Client {
    link: Link,
    caller: Caller,
    /// Its enrolment, if the gateway enrols.
    session: Option<EnrollmentSession>,
    activity: Arc<SlotActivity>,
    shared: Arc<Shared>,
    /// Back-end connections that carry a login of one of its applications. They are closed with it.
    logins: Arc<Logins>,
}

impl Client {
    fn handle(&mut self, event: IncomingEvent) {
        match event {
            IncomingEvent::Request(request) => {
                self.activity.touch();
                self.shared.stats.streams.add();
                let host = self.shared.host(request.head.host());
                let id = request.reply.id();
                let method = request.head.method().escape_ascii();
                debug!(%id, host = %request.head.host().escape_ascii(), %method, "request");
                let caller = self.caller.clone();
                // An exchange logs at debug level only.
                let span = if enabled!(Level::DEBUG) { Span::current() } else { Span::none() };
                // Boxed, because a task is moved seven times before its first poll.
                let logins = Arc::clone(&self.logins);
                let exchange = Box::pin(exchange::serve(request, host, caller, logins));
                tokio::spawn(exchange.instrument(span));
            }
            IncomingEvent::Control(control) => self.handle_control(control),
            // Clients do not ask for sockets; dropped, it is refused.
            IncomingEvent::Socket(_) | IncomingEvent::FrameReceived | IncomingEvent::Unanswered => {
            }
            IncomingEvent::ConnectionEnded { id } => self.logins.end(id),
            // Sent by gateways. A client's answer to it needs no action.
            IncomingEvent::GoAway => {}
            IncomingEvent::Pong { rtt } => debug!(?rtt, "pong"),
        }
    }

    /// Frames that belong to no stream. What we do not know is ignored (wire specification,
    /// section 3.12).
    fn handle_control(&mut self, control: Control) {
        self.activity.touch();
        let enrolment = matches!(
            control,
            Control::Csr(_) | Control::CertQuery(_) | Control::Characteristics(_)
        );
        match (&mut self.session, &control) {
            (Some(session), _) if enrolment => session.take(control),
            // They are not stored here. The acknowledgement stops the client from sending them
            // again.
            (None, Control::Characteristics(facts)) => {
                let ack = CharacteristicsAck { serial: facts.serial };
                if let Err(error) = self.link.control(&Control::CharacteristicsAck(ack)) {
                    debug!(%error, "the acknowledgement was not sent");
                }
            }
            (None, Control::Csr(_)) => {
                info!("a request for a certificate was ignored: there is no [enroll] here");
            }
            _ => debug!(frame = ?std::mem::discriminant(&control), "control frame ignored"),
        }
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
