//! What the scenarios need: a client, origins, a gateway with hosts.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use seacat_gateway::Demo;
use seacat_gateway::config::{Backend, Host, Limits, Upstream};
use seacat_link::{
    Closed, Incoming, Link, LinkConfig, RecvHalf, SendHalf, Session, StreamError, handshake_client,
};
use seacat_proto::{Bytes, ReplyHead, RequestHead};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A scenario that takes this long has stopped.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a scenario; one that hangs fails.
pub(crate) fn scenario(scenario: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let reported = runtime.block_on(async { tokio::time::timeout(PATIENCE, scenario).await });
    reported.expect("the scenario hangs");
}

/// A gateway with one host, `app`, at this address.
pub(crate) fn gateway(origin: SocketAddr) -> Demo {
    gateway_with(upstream(origin))
}

pub(crate) fn upstream(origin: SocketAddr) -> Upstream {
    Upstream::new(&format!("http://{origin}")).unwrap()
}

pub(crate) fn gateway_with(upstream: Upstream) -> Demo {
    let host = Host::new(Backend::Http(upstream));
    Demo::start_with([("app".to_owned(), host)], Limits::default()).unwrap()
}

/// Trusts this CA and shows no certificate.
pub(crate) fn anonymous(ca_pem: &str) -> ClientConfig {
    trusting(ca_pem).with_no_client_auth()
}

/// Trusts this CA and shows this certificate.
pub(crate) fn identified(
    ca_pem: &str,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> ClientConfig {
    trusting(ca_pem).with_client_auth_cert(chain, key).unwrap()
}

fn trusting(ca_pem: &str) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
}

pub(crate) async fn handshake(
    addr: SocketAddr,
    config: ClientConfig,
) -> Result<(TcpStream, Session), Closed> {
    let tcp = TcpStream::connect(addr).await?;
    let name = ServerName::try_from(Demo::SERVER_NAME).unwrap();
    handshake_client(tcp, Arc::new(config), name).await
}

/// A SeaCat client with its connection.
pub(crate) struct Client {
    pub(crate) link: Link,
    pub(crate) incoming: Incoming,
    pub(crate) driver: JoinHandle<Closed>,
}

impl Client {
    pub(crate) async fn connect(demo: &Demo) -> Self {
        let (tcp, session) = handshake(demo.addr, anonymous(&demo.ca_pem)).await.unwrap();
        Self::over(tcp, session)
    }

    pub(crate) fn over(tcp: TcpStream, session: Session) -> Self {
        let (link, incoming, driver) = Link::start(tcp, session, &LinkConfig::client());
        Self { link, incoming, driver: tokio::spawn(driver) }
    }

    /// Opens a stream; the body is still to come.
    pub(crate) fn open(&self, request: RequestHead) -> (SendHalf, RecvHalf) {
        self.link.open(request, false).unwrap()
    }

    /// A whole request without a body, and its whole answer.
    pub(crate) async fn ask(&self, request: RequestHead) -> Result<Answer, StreamError> {
        let (_, mut answer) = self.link.open(request, true).unwrap();
        Answer::read(&mut answer).await
    }

    pub(crate) async fn get(&self, host: &str, path: &str) -> Result<Answer, StreamError> {
        self.ask(request("GET", host, path, &[])).await
    }
}

pub(crate) fn request(
    method: &str,
    host: &str,
    path: &str,
    fields: &[(&str, &str)],
) -> RequestHead {
    let mut head =
        RequestHead::builder(host.as_bytes(), method.as_bytes(), path.as_bytes()).unwrap();
    for (name, value) in fields {
        head.push(name.as_bytes(), value.as_bytes()).unwrap();
    }
    head.build()
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `Name: value`, joined with ` | `.
    pub(crate) fields: String,
    /// The head ended the stream.
    pub(crate) end: bool,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn read(answer: &mut RecvHalf) -> Result<Self, StreamError> {
        let head = answer.reply().await?;
        let end = answer.is_ended();
        let body = body(answer).await?;
        let body = String::from_utf8(body).unwrap();
        Ok(Self { status: head.status(), fields: fields(&head), end, body })
    }
}

pub(crate) fn fields(head: &ReplyHead) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let all: Vec<String> =
        head.fields().map(|(name, value)| format!("{}: {}", text(name), text(value))).collect();
    all.join(" | ")
}

pub(crate) async fn body(answer: &mut RecvHalf) -> Result<Vec<u8>, StreamError> {
    let mut body = Vec::new();
    while let Some(bytes) = answer.data().await {
        body.extend_from_slice(&bytes?);
    }
    Ok(body)
}

/// Sends a piece of a body, as a well-behaved client does.
pub(crate) async fn send(half: &mut SendHalf, piece: impl Into<Bytes>) -> Result<(), StreamError> {
    half.ready().await?;
    half.send(piece.into())
}

/// A TCP server on loopback that treats every connection in the same way.
pub(crate) async fn origin<F: Future<Output = ()> + Send + 'static>(
    treat: impl Fn(Socket) -> F + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (tcp, _) = listener.accept().await.unwrap();
            tokio::spawn(treat(Socket { tcp, number }));
        }
    });
    addr
}

/// An origin's view of a connection.
pub(crate) struct Socket {
    pub(crate) tcp: TcpStream,
    /// How many came before it.
    pub(crate) number: usize,
}

impl Socket {
    /// Reads until the text so far ends like this; `None` when the other side ended first.
    pub(crate) async fn read_until(&mut self, end: &str) -> Option<String> {
        let mut text = Vec::new();
        while !text.ends_with(end.as_bytes()) {
            text.push(self.tcp.read_u8().await.ok()?);
        }
        Some(String::from_utf8(text).unwrap())
    }

    /// Reads the head of a request.
    pub(crate) async fn head(&mut self) -> Option<String> {
        self.read_until("\r\n\r\n").await
    }

    pub(crate) async fn write(&mut self, text: &str) {
        self.tcp.write_all(text.as_bytes()).await.unwrap();
    }

    /// Waits for the other side's end or loss.
    pub(crate) async fn gone(&mut self) {
        let mut rest = [0; 1024];
        while !matches!(self.tcp.read(&mut rest).await, Ok(0) | Err(_)) {}
    }
}

/// An origin that answers every request without a body in the same way.
pub(crate) async fn answering(answer: &'static str) -> SocketAddr {
    origin(move |mut socket| async move {
        while socket.head().await.is_some() {
            socket.write(answer).await;
        }
    })
    .await
}
