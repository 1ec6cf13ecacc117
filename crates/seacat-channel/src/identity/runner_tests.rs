//! A whole life against a gateway of the tests, over real TLS.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
};
use seacat_link::{IncomingEvent, Link, LinkConfig, Request, handshake_server};
use seacat_proto::frame::{Cert, CertQuery, CharacteristicsAck, CsrReply};
use seacat_proto::{Bytes, Control};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;

use super::testing::{certificate_for, issue};
use super::*;
use crate::testing::{Ca, HOST, answer, head, install_provider, leaf, serve};
use crate::{Channel, ChannelConfig, NoBody, Replay};

/// What the gateway knows, and what it saw.
#[derive(Default)]
struct Gate {
    requested: Option<Vec<u8>>,
    issued: Option<Bytes>,
    approved: bool,
    revoked: bool,
    /// Whoever shows a certificate is dropped without a word.
    rude: bool,
    links: Vec<Link>,
    /// In order: frames, and connections with `identified` or `anonymous`.
    seen: Vec<String>,
    facts: Vec<String>,
}

type Shared = Arc<Mutex<Gate>>;

/// A public key as a [`Key`], for issuing.
#[derive(Debug)]
struct Public(Vec<u8>);

impl Key for Public {
    fn public_key(&self) -> &[u8] {
        &self.0
    }
    fn schemes(&self) -> &[SignatureScheme] {
        &[]
    }
    fn sign(&self, _: SignatureScheme, _: &[u8]) -> Result<Vec<u8>, SignError> {
        Err(SignError)
    }
}

/// Asks for a certificate and believes any, until it is revoked.
struct AnyClient(Shared);

impl std::fmt::Debug for AnyClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnyClient")
    }
}

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }
    fn client_auth_mandatory(&self) -> bool {
        false
    }
    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        match self.0.lock().unwrap().revoked {
            true => Err(CertificateError::Revoked.into()),
            false => Ok(ClientCertVerified::assertion()),
        }
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, &algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, &algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let provider = rustls::crypto::ring::default_provider();
        provider.signature_verification_algorithms.supported_schemes()
    }
}

/// One connection: frames are answered, requests are the test's.
async fn converse(
    tcp: TcpStream,
    tls: Arc<ServerConfig>,
    gate: Shared,
    requests: mpsc::UnboundedSender<Request>,
) {
    let Ok((tcp, session)) = handshake_server(tcp, tls).await else {
        return;
    };
    let who = match session.peer_certificate() {
        Some(_) => "identified",
        None => "anonymous",
    };
    if who == "identified" && gate.lock().unwrap().rude {
        gate.lock().unwrap().seen.push("dropped".to_owned());
        return;
    }
    let (link, mut incoming, driver) = Link::start(tcp, session, &LinkConfig::gateway(b""));
    {
        let mut gate = gate.lock().unwrap();
        gate.seen.push(who.to_owned());
        gate.links.push(link.clone());
    }
    let listen = async {
        while let Some(news) = incoming.next().await {
            match news {
                IncomingEvent::Request(request) => drop(requests.send(request)),
                IncomingEvent::Control(frame) => {
                    if let Some(reply) = reply(&frame, &mut gate.lock().unwrap()) {
                        link.control(&reply).unwrap();
                    }
                }
                _ => {}
            }
        }
    };
    tokio::join!(driver, listen);
}

fn reply(frame: &Control, gate: &mut Gate) -> Option<Control> {
    match frame {
        Control::Csr(csr) => {
            gate.seen.push("csr".to_owned());
            let (_, request) = X509CertificationRequest::from_der(&csr.der).unwrap();
            request.verify_signature().unwrap();
            let info = request.certification_request_info;
            gate.requested = Some(info.subject_pki.subject_public_key.data.to_vec());
            gate.issued = None;
            let flags = if gate.approved { 3 } else { 1 };
            Some(Control::CsrReply(CsrReply { flags }))
        }
        Control::CertQuery(CertQuery { id, public_key, .. }) => {
            gate.seen.push(format!("query {id} with {} bytes", public_key.len()));
            let certificate = match (&gate.requested, gate.approved) {
                (Some(key), true) => {
                    let make = || issue(&Public(key.clone()), 86_400).into();
                    gate.issued.get_or_insert_with(make).clone()
                }
                _ => Bytes::new(),
            };
            Some(Control::Cert(Cert { flags: 0, id: *id, certificate }))
        }
        Control::Characteristics(facts) => {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            gate.facts = facts.items().map(|(key, _)| text(key)).collect();
            let serial = facts.serial;
            Some(Control::CharacteristicsAck(CharacteristicsAck { serial }))
        }
        _ => None,
    }
}

async fn phase(identity: &Identity, wanted: Phase) -> IdentityStatus {
    let (mut status, last) = (identity.status(), identity.status());
    let reached = status.wait_for(|status| status.phase == wanted);
    match timeout(Duration::from_secs(60), reached).await {
        Ok(status) => status.unwrap().clone(),
        Err(_) => panic!("{wanted:?} is not reached: {:?}", last.borrow().phase),
    }
}

fn tls(ca: &Ca, gate: &Shared) -> Arc<ServerConfig> {
    let (chain, key) = ca.identity(&leaf("x", &[HOST]));
    let tls = ServerConfig::builder()
        .with_client_cert_verifier(Arc::new(AnyClient(gate.clone())))
        .with_single_cert(chain, key)
        .unwrap();
    Arc::new(tls)
}

/// A key store that does not answer.
#[derive(Debug)]
struct Hanging;

impl Hanging {
    fn hang<T>() -> Result<T, KeyringError> {
        std::thread::sleep(Duration::from_secs(4));
        Err(KeyringError::Silent)
    }
}

impl store::Vault for Hanging {
    fn name(&self) -> &'static str {
        "the test's key store"
    }
    fn get(&self, _: &str) -> Result<Option<PrivateKey>, KeyringError> {
        Self::hang()
    }
    fn set(&self, _: &str, _: &PrivateKey) -> Result<(), KeyringError> {
        Self::hang()
    }
    fn delete(&self, _: &str) -> Result<(), KeyringError> {
        Self::hang()
    }
}

/// The first dial waits until it is known who we are: no time at all where the key is in a file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_store_that_hangs_holds_up_nobody_whose_key_is_in_a_file() {
    install_provider();
    let folder = tempfile::tempdir().unwrap();
    let key = testing::key();
    let certificate = certificate_for(&RsaKey::new(&key).unwrap());
    Store::new(folder.path().to_owned(), None).import(&key, &certificate).unwrap();

    let store = Store::new(folder.path().to_owned(), Some(Arc::new(Hanging)));
    let began = std::time::Instant::now();
    let config = IdentityConfig::new(folder.path().to_owned());
    let setup = Setup { preferred: true, ..Setup::default() };
    let (identity, mut link) = Identity::start_on(config, store, setup);
    let ready = link.presented.wait_for(|presented| presented.ready);
    assert!(timeout(Duration::from_secs(30), ready).await.unwrap().unwrap().certified.is_some());
    let took = began.elapsed();
    println!("known after {took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    // And the status says why the key is in a file.
    let mut status = identity.status();
    let told = status.wait_for(|status| status.key_problem.is_some());
    timeout(Duration::from_secs(30), told).await.unwrap().unwrap();
}

/// A gateway that refuses a certificate with a reset: we go on without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_without_a_word() {
    install_provider();
    let ca = Ca::new("gateways");
    let gate = Shared::default();
    gate.lock().unwrap().approved = true;
    let tls = tls(&ca, &gate);
    let (sender, _requests) = mpsc::unbounded_channel();
    let shared = gate.clone();
    let server = serve(move |tcp| converse(tcp, tls.clone(), shared.clone(), sender.clone())).await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = ChannelConfig::new(vec![ca.gateway_at(server.address)]);
    let identity = IdentityConfig::new(folder.path().join("identity"));
    config.identity = Some(IdentityConfig { keyring: false, ..identity });
    let channel = Channel::start(config);
    let identity = channel.identity().unwrap();
    let enrolled = phase(&identity, Phase::Enrolled).await;
    // The status is ahead of the connection with the certificate. A connection without one that is
    // still being made would come between those that are dropped.
    wait_to_be(&gate, "identified").await;

    gate.lock().unwrap().seen.clear();
    gate.lock().unwrap().rude = true;
    gate.lock().unwrap().links.iter().for_each(Link::close);
    // A person who says "connect now" cuts the pauses short.
    let nudge = async {
        let mut status = channel.status();
        loop {
            let waits = |it: &crate::Status| matches!(it.state, crate::State::Waiting { .. });
            drop(status.wait_for(waits).await.unwrap());
            channel.connect();
            status.changed().await.unwrap();
        }
    };
    let revoked = tokio::select! {
        status = phase(&identity, Phase::Revoked) => status,
        () = nudge => unreachable!(),
    };
    assert_eq!(revoked.client_id, enrolled.client_id, "the key stays");
    assert_eq!(revoked.certificate, enrolled.certificate, "and so does the certificate");
    let seen = gate.lock().unwrap().seen.clone();
    assert_eq!(seen[..4], ["dropped", "dropped", "dropped", "anonymous"], "{seen:?}");
}

/// A gateway that restarts again and again answers on each connection: the certificate is wanted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_connections_that_answered_keep_the_certificate() {
    install_provider();
    let ca = Ca::new("gateways");
    let gate = Shared::default();
    gate.lock().unwrap().approved = true;
    let tls = tls(&ca, &gate);
    let (sender, mut requests) = mpsc::unbounded_channel();
    let shared = gate.clone();
    let server = serve(move |tcp| converse(tcp, tls.clone(), shared.clone(), sender.clone())).await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = ChannelConfig::new(vec![ca.gateway_at(server.address)]);
    let identity = IdentityConfig::new(folder.path().join("identity"));
    config.identity = Some(IdentityConfig { keyring: false, ..identity });
    let channel = Channel::start(config);
    let identity = channel.identity().unwrap();
    phase(&identity, Phase::Enrolled).await;
    wait_to_be(&gate, "identified").await;

    for _ in 0..5 {
        gate.lock().unwrap().seen.clear();
        gate.lock().unwrap().links.drain(..).for_each(|link| link.close());
        // As a person who cuts the pause short.
        while gate.lock().unwrap().links.is_empty() {
            channel.connect();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let asking = channel.clone();
        let asking = tokio::spawn(async move {
            asking.exchange(head("GET", "/"), None::<NoBody>, Replay::Idempotent).await
        });
        answer(&mut requests.recv().await.unwrap(), 200, "served");
        assert_eq!(asking.await.unwrap().unwrap().head.status(), 200);
        assert_eq!(gate.lock().unwrap().seen[0], "identified");
    }
    // It may be asking the gateway at this very moment.
    phase(&identity, Phase::Enrolled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_life() {
    let start = std::time::Instant::now();
    let tell = |what: &str| println!("{:>7.3} s  {what}", start.elapsed().as_secs_f64());
    install_provider();
    let ca = Ca::new("gateways");
    let gate = Shared::default();
    let tls = tls(&ca, &gate);
    let (sender, mut requests) = mpsc::unbounded_channel();
    let shared = gate.clone();
    let server = serve(move |tcp| converse(tcp, tls.clone(), shared.clone(), sender.clone())).await;

    let folder = tempfile::tempdir().unwrap();
    let config = || {
        let mut config = ChannelConfig::new(vec![ca.gateway_at(server.address)]);
        config.identity = Some(IdentityConfig {
            keyring: false,
            facts: vec![("osh".into(), "here".into())],
            ..IdentityConfig::new(folder.path().join("identity"))
        });
        config
    };
    let channel = Channel::start(config());
    let identity = channel.identity().unwrap();

    tell("first start");
    // First start: a key, a request, and the administrator is asked.
    let waiting = phase(&identity, Phase::Waiting).await;
    assert!(waiting.client_id.is_some() && waiting.certificate.is_none());
    assert!(waiting.key_place.unwrap().ends_with("key.pk8"));
    assert_eq!(gate.lock().unwrap().facts, ["osh"]);

    tell("waiting for approval");
    // A request is on its way while the certificate comes and the connection changes.
    let slow = channel.clone();
    let slow = tokio::spawn(async move {
        slow.exchange(head("POST", "/slow"), None::<NoBody>, Replay::Never).await
    });
    let mut held = requests.recv().await.unwrap();
    let approve = || {
        let mut gate = gate.lock().unwrap();
        gate.approved = true;
        let link = gate.links.last().unwrap().clone();
        link.control(&Control::CsrReply(CsrReply { flags: 3 })).unwrap();
    };
    tell("approving");
    approve();
    let enrolled = phase(&identity, Phase::Enrolled).await;
    assert_eq!(enrolled.client_id, waiting.client_id);
    tell("enrolled");
    wait_to_be(&gate, "identified").await;
    let after = channel.clone();
    let after = tokio::spawn(async move {
        after.exchange(head("GET", "/after"), None::<NoBody>, Replay::Never).await
    });
    answer(&mut requests.recv().await.unwrap(), 200, "identified");
    assert_eq!(after.await.unwrap().unwrap().head.status(), 200);
    answer(&mut held, 200, "finished on the old connection");
    assert_eq!(slow.await.unwrap().unwrap().head.status(), 200);
    {
        let seen = std::mem::take(&mut gate.lock().unwrap().seen);
        assert_eq!(seen[..2], ["anonymous", "csr"], "{seen:?}");
        let last = &seen[seen.len() - 2..];
        assert_eq!(last, ["identified", "query 1 with 0 bytes"], "and asked whether it is known");
        assert!(seen.iter().any(|it| it == "query 1 with 270 bytes"), "{seen:?}");
    }

    tell("identified, and the old connection finished");
    // The next start shows the certificate from its first connection on, and tells nothing twice.
    gate.lock().unwrap().facts.clear();
    channel.drain(Duration::from_secs(1)).await;
    drop((channel, identity));
    let channel = Channel::start(config());
    let identity = channel.identity().unwrap();
    let again = phase(&identity, Phase::Enrolled).await;
    assert_eq!(again.certificate, enrolled.certificate);
    let ping = channel.clone();
    let ping = tokio::spawn(async move {
        ping.exchange(head("GET", "/"), None::<NoBody>, Replay::Never).await
    });
    answer(&mut requests.recv().await.unwrap(), 200, "identified");
    ping.await.unwrap().unwrap();
    // The question follows the connection; the response does not wait for it.
    wait_for(&gate, |seen| seen.len() > 1).await;
    assert_eq!(gate.lock().unwrap().seen, ["identified", "query 1 with 0 bytes"]);
    assert!(gate.lock().unwrap().facts.is_empty());

    tell("enrolled again after a restart");
    // Revoked: anonymous from now on, and another certificate is asked for in its turn.
    gate.lock().unwrap().revoked = true;
    gate.lock().unwrap().links.iter().for_each(Link::close);
    phase(&identity, Phase::Revoked).await;
    tell("revoked");
    let anonymous = channel.clone();
    let anonymous = tokio::spawn(async move {
        anonymous.exchange(head("GET", "/"), None::<NoBody>, Replay::Idempotent).await
    });
    answer(&mut requests.recv().await.unwrap(), 403, "who are you?");
    assert_eq!(anonymous.await.unwrap().unwrap().head.status(), 403);
    wait_to_be(&gate, "anonymous").await;

    tell("anonymous");
    // The gateway comes back to it: the next start shows it.
    gate.lock().unwrap().revoked = false;
    channel.drain(Duration::from_secs(1)).await;
    drop((channel, identity));
    let channel = Channel::start(config());
    let identity = channel.identity().unwrap();
    wait_to_be(&gate, "identified").await;
    // Reset: another key, nothing of the old one is left, and nobody knows us any more.
    identity.reset().await.unwrap();
    tell("reset");
    let fresh = phase(&identity, Phase::Ready).await;
    assert!(fresh.client_id.is_some() && fresh.client_id != enrolled.client_id);
    assert_eq!(fresh.certificate, None);
    wait_to_be(&gate, "anonymous").await;
}

/// Waits for a connection that is this.
async fn wait_to_be(gate: &Shared, what: &str) {
    let connection = |seen: &&String| matches!(seen.as_str(), "identified" | "anonymous");
    wait_for(gate, |seen| seen.iter().rfind(connection).is_some_and(|it| it == what)).await;
}

/// Waits until the gateway has seen what is wanted.
async fn wait_for(gate: &Shared, wanted: impl Fn(&[String]) -> bool) {
    let seen = async {
        while !wanted(&gate.lock().unwrap().seen) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(30), seen).await.unwrap();
}
