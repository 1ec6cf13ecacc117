//! Which clients may connect, and how others are answered.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use seacat_gateway::builtin::Builtin;
use seacat_gateway::config::{Host, Limits};
use seacat_gateway::pki::{self, Pki};
use seacat_gateway::{Config, Demo, Gateway};
use seacat_link::Closed;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::*;

struct Ca {
    params: CertificateParams,
    key: KeyPair,
}

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { params, key: KeyPair::generate().unwrap() }
    }

    /// A client of this CA that trusts the gateway's.
    fn client(&self, gateway_ca: &str) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        for certificate in pki::certificates(gateway_ca.as_bytes()).unwrap() {
            roots.add(certificate).unwrap();
        }
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["client".to_owned()])
            .unwrap()
            .signed_by(&key, &Issuer::from_params(&self.params, &self.key))
            .unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![certificate.der().clone()], key)
            .unwrap()
    }
}

/// Whether this client gets an answer. In TLS 1.3 a refusal arrives after its handshake.
async fn is_served(gateway: std::net::SocketAddr, config: ClientConfig) -> bool {
    let Ok((tcp, session)) = handshake(gateway, config).await else {
        return false;
    };
    let client = Client::over(tcp, session);
    match client.get("hello", "/").await {
        Ok(answer) => answer.status == 200,
        Err(_) => {
            let closed = client.driver.await.unwrap();
            assert!(matches!(closed, Closed::Tls(_)), "{closed}");
            false
        }
    }
}

#[test]
fn a_client_certificate_is_asked_for_and_not_required() {
    scenario(async {
        let (ours, foreign) = (Ca::new(), Ca::new());
        let dir = tempfile::tempdir().unwrap();
        pki::init(dir.path(), &[]).unwrap();
        let ca_pem = std::fs::read_to_string(dir.path().join("ca.pem")).unwrap();
        let clients = ours.params.self_signed(&ours.key).unwrap().pem();
        std::fs::write(dir.path().join("clients.pem"), clients).unwrap();
        let path = dir.path().join("gateway.toml");
        let text = std::fs::read_to_string(&path).unwrap().replace("[::]:8443", "127.0.0.1:0");

        // client_ca -> anonymous, one of ours, a foreign one
        let cases = [
            (text.clone(), [true, true, true]),
            (
                text.replace("# client_ca = \"your-ca.pem\"", "client_ca = \"clients.pem\""),
                [true, true, false],
            ),
        ];
        for (text, expected) in cases {
            std::fs::write(&path, text).unwrap();
            let gateway = Gateway::bind(Config::load(&path).unwrap()).unwrap();
            let addr = gateway.local_addr();
            let _running = tokio::spawn(gateway.run(std::future::pending()));
            let got = [
                is_served(addr, anonymous(&ca_pem)).await,
                is_served(addr, ours.client(&ca_pem)).await,
                is_served(addr, foreign.client(&ca_pem)).await,
            ];
            assert_eq!(got, expected);
        }
    });
}

#[test]
fn both_versions_of_tls_are_spoken() {
    scenario(async {
        let demo = Demo::start().unwrap();
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let mut roots = RootCertStore::empty();
            for certificate in pki::certificates(demo.ca_pem.as_bytes()).unwrap() {
                roots.add(certificate).unwrap();
            }
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(&[version])
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
            assert!(is_served(demo.addr, config).await, "{version:?}");
        }
    });
}

#[test]
fn https_clients_are_answered_400() {
    scenario(async {
        let demo = Demo::start().unwrap();
        let requests = [
            "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ];
        for (count, request) in (1..).zip(requests) {
            let connector = TlsConnector::from(Arc::new(anonymous(&demo.ca_pem)));
            let tcp = TcpStream::connect(demo.addr).await.unwrap();
            let name = ServerName::try_from(Demo::SERVER_NAME).unwrap();
            let mut tls = connector.connect(name, tcp).await.unwrap();
            tls.write_all(request.as_bytes()).await.unwrap();
            let mut text = String::new();
            // An end without close_notify would be an error.
            tls.read_to_string(&mut text).await.unwrap();
            assert!(text.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{text}");
            assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
            assert!(text.contains("This is a SeaCat gateway"), "{text}");
            drop(tls);
            while demo.stats.http_clients.get() < count {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(Client::connect(&demo).await.get("hello", "/").await.unwrap().status, 200);
        assert_eq!(demo.stats.http_clients.get(), 3);
        assert_eq!(demo.stats.handshakes_failed.get(), 0);
    });
}

#[test]
fn a_connection_that_never_becomes_tls_is_closed() {
    scenario(async {
        let limits =
            Limits { handshake_timeout: std::time::Duration::from_millis(50), ..Limits::default() };
        let host = Host::new(Builtin::Hello.into());
        let demo = Demo::start_with([("hello".to_owned(), host)], limits).unwrap();
        let mut silent = TcpStream::connect(demo.addr).await.unwrap();
        assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
        let mut plain = TcpStream::connect(demo.addr).await.unwrap();
        plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut alert = Vec::new();
        // Whether the alert or the reset comes first is up to the system.
        let _ = plain.read_to_end(&mut alert).await;
        while demo.stats.handshakes_failed.get() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(Client::connect(&demo).await.get("hello", "/").await.unwrap().status, 200);
    });
}

#[test]
fn a_name_that_is_invalid_in_a_certificate_is_an_error() {
    assert!(Pki::generate(&["m\u{fc}nchen".to_owned()]).is_err());
}
