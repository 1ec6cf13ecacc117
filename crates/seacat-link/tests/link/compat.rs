//! OpenSSL at both ends, and nothing but the suite of the reference client.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    AlertDescription, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    SignatureScheme,
};
use seacat_link::compat::{ClientConfig, Identity, REFERENCE_SUITE, SUITES, ServerConfig};
use seacat_link::{
    ClientTls, Closed, IncomingEvent, Link, LinkConfig, ServerTls, Session, handshake_client,
    handshake_server,
};
use tokio::net::{TcpListener, TcpStream};

use crate::pki::Pki;

#[path = "scenarios.rs"]
mod scenarios;

pub(crate) fn tls() -> (ClientTls, ServerTls) {
    (client(), server(&[REFERENCE_SUITE]))
}

/// The same with TLS 1.3.
pub(crate) fn tls_13() -> (ClientTls, ServerTls) {
    (client(), server(&SUITES))
}

/// How many encrypted records end the client's part of a handshake of TLS 1.3: OpenSSL gives the
/// empty list of certificates, which our gateway asks for, one of its own.
pub(crate) const LAST_FLIGHT: usize = 2;

/// How long the record is that holds so much, with CBC and encrypt-then-MAC: the first block is
/// random, the last one padded by at least a byte, and a MAC of 48 stands behind.
pub(crate) fn sealed(length: usize) -> usize {
    16 + (length + 1).next_multiple_of(16) + 48
}

fn client() -> ClientTls {
    client_with(None)
}

fn client_with(identity: Option<Identity<'_>>) -> ClientTls {
    let judge = WebPkiServerVerifier::builder(Arc::new(Pki::get().roots())).build().unwrap();
    ClientTls::OpenSsl(ClientConfig::new(judge, identity).unwrap())
}

/// Asks clients for a certificate, and believes the one that there is.
fn server(suites: &[&str]) -> ServerTls {
    let judge = WebPkiClientVerifier::builder(Arc::new(Pki::get().roots()));
    let judge = judge.allow_unauthenticated().build().unwrap();
    ServerTls::OpenSsl(ServerConfig::new(Pki::get().identity(), judge, suites).unwrap())
}

fn rustls() -> ServerTls {
    Pki::get().rustls_server().into()
}

/// Shakes hands as `name`; what the client and what the server have come to.
async fn meet(
    client: ClientTls,
    server: ServerTls,
    name: &'static str,
) -> (Result<Session, Closed>, Result<Session, Closed>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let name = name.try_into().unwrap();
    let accept = async {
        let (tcp, _) = listener.accept().await.unwrap();
        handshake_server(tcp, server).await.map(|(_, session)| session)
    };
    let connect = async { handshake_client(tcp, client, name).await.map(|(_, session)| session) };
    tokio::join!(connect, accept)
}

/// The configurations of both ends and the suite they agree on.
#[tokio::test]
async fn the_safest_suite_in_common_is_taken() {
    let modern = || ClientTls::from(Pki::get().rustls_client());
    let gcm = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
    let cases = [
        (client(), server(&[REFERENCE_SUITE]), Ok(("TLS 1.2", REFERENCE_SUITE))),
        (client(), server(&[gcm, REFERENCE_SUITE]), Ok(("TLS 1.2", gcm))),
        (client(), server(&SUITES), Ok(("TLS 1.3", "TLS_AES_128_GCM_SHA256"))),
        (client(), server(&SUITES[..3]), Ok(("TLS 1.3", "TLS_AES_128_GCM_SHA256"))),
        (client(), rustls(), Ok(("TLS 1.3", "TLS_AES_128_GCM_SHA256"))),
        (modern(), server(&SUITES), Ok(("TLS 1.3", "TLS13_AES_128_GCM_SHA256"))),
        (modern(), server(&[gcm]), Ok(("TLS 1.2", gcm))),
        (modern(), server(&[REFERENCE_SUITE]), Err(AlertDescription::HandshakeFailure)),
    ];
    for (client, server, expected) in cases {
        let (connected, accepted) = meet(client, server, "localhost").await;
        match (connected, expected) {
            (Ok(session), Ok((version, suite))) => {
                assert_eq!((session.version(), session.suite()), (version, Some(suite)));
                assert_eq!(session.peer_certificate(), Some(&Pki::get().certificate));
                assert!(accepted.unwrap().peer_certificate().is_none());
            }
            (Err(Closed::Tls(Error::AlertReceived(alert))), Err(expected)) => {
                assert_eq!(alert, expected);
                let why = PeerIncompatible::NoCipherSuitesInCommon;
                assert!(
                    matches!(&accepted, Err(Closed::Tls(Error::PeerIncompatible(it))) if *it == why),
                    "{accepted:?}"
                );
            }
            (connected, expected) => panic!("{connected:?} instead of {expected:?}"),
        }
    }
}

/// The client tells whether it was asked, because it says different things to a gateway that knows
/// it (wire spec 3.9).
#[tokio::test]
async fn a_certificate_is_presented_on_request() {
    let ours = || client_with(Some(Pki::get().identity()));
    let rustls_12 = || {
        let versions = [&rustls::version::TLS12];
        let builder = rustls::ServerConfig::builder_with_protocol_versions(&versions);
        let (chain, key) = (vec![Pki::get().certificate.clone()], Pki::get().key.clone_key());
        let config = builder.with_no_client_auth().with_single_cert(chain, key.into()).unwrap();
        ServerTls::from(Arc::new(config))
    };
    let cases = [
        (ours(), server(&[REFERENCE_SUITE]), true),
        (ours(), server(&SUITES), true),
        (ours(), rustls(), false),
        (ours(), rustls_12(), false),
        (client(), server(&[REFERENCE_SUITE]), false),
        (client(), server(&SUITES), false),
    ];
    for (client, server, expected) in cases {
        let (connected, accepted) = meet(client, server, "localhost").await;
        let (connected, accepted) = (connected.unwrap(), accepted.unwrap());
        let Session::OpenSsl(session) = &connected else { unreachable!() };
        assert_eq!(session.has_shown_certificate(), expected, "{connected:?}");
        assert_eq!(accepted.peer_certificate().is_some(), expected, "{connected:?}");
    }
}

/// The verifier decides at either end, and its error is the result.
#[tokio::test]
async fn a_peer_that_the_verifier_refuses_is_not_connected() {
    for suites in [&SUITES[..], &[REFERENCE_SUITE]] {
        let (connected, accepted) = meet(client(), server(suites), "other.example").await;
        let refused = connected.unwrap_err().to_string();
        assert!(
            refused.contains("NotValidForName") || refused.contains("other.example"),
            "{refused}"
        );
        assert!(matches!(accepted, Err(Closed::Tls(_))), "{accepted:?}");

        let strangers = rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(strangers.cert.der().clone()).unwrap();
        let judge = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
        let strict = ServerConfig::new(Pki::get().identity(), judge, suites).unwrap();
        let ours = client_with(Some(Pki::get().identity()));
        let (_, accepted) = meet(ours, ServerTls::OpenSsl(strict), "localhost").await;
        assert!(matches!(accepted, Err(Closed::Tls(Error::InvalidCertificate(_)))), "{accepted:?}");
    }
}

/// Believes every certificate, as a gateway does that decides later.
#[derive(Debug)]
struct Anybody;

impl ClientCertVerifier for Anybody {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::RSA_PKCS1_SHA256]
    }
}

/// A certificate of one CA with the certificate of another of the same name, as the reference client
/// sends it after a change of gateways.
fn mismatched_chain() -> Vec<CertificateDer<'static>> {
    let ca = || {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "ca.seacat.mobi");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let key = KeyPair::try_from(&Pki::get().key).unwrap();
    let leaf = CertificateParams::new(vec!["client".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &ca()).unwrap();
    vec![leaf.der().clone(), ca().der().clone()]
}

/// What OpenSSL has noted of a fault in a chain that was accepted is no fault of the next call.
#[tokio::test]
async fn an_accepted_chain_with_a_bad_signature_ends_no_connection() {
    for suites in [&SUITES[..], &[REFERENCE_SUITE]] {
        let chain = mismatched_chain();
        let ours =
            client_with(Some(Identity { chain: &chain, key: Pki::get().key.secret_pkcs8_der() }));
        let server = ServerConfig::new(Pki::get().identity(), Arc::new(Anybody), suites).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let accept = async {
            let (tcp, _) = listener.accept().await.unwrap();
            handshake_server(tcp, ServerTls::OpenSsl(server)).await.unwrap()
        };
        let connect = handshake_client(tcp, ours, "localhost".try_into().unwrap());
        let (connected, (tcp, session)) = tokio::join!(connect, accept);
        assert_eq!(session.peer_certificate(), Some(&chain[0]));
        let (_gateway, _requests, driver) = Link::start(tcp, session, &LinkConfig::gateway(b""));
        let mut gateway = tokio::spawn(driver);
        let (tcp, session) = connected.unwrap();
        let (client, mut news, driver) = Link::start(tcp, session, &LinkConfig::client());
        tokio::spawn(driver);
        client.ping();
        loop {
            tokio::select! {
                closed = &mut gateway => panic!("the gateway ended the connection: {closed:?}"),
                event = news.next() => {
                    if let IncomingEvent::Pong { .. } = event.expect("the connection stands") {
                        break;
                    }
                }
            }
        }
    }
}
