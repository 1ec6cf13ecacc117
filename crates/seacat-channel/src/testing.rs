//! What the tests share: certificates made on the spot, TLS servers on loopback, and a gateway
//! that does what the test tells it, request by request.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, Once};
use std::task::{Context, Poll};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use seacat_link::{IncomingEvent, Link, LinkConfig, Request, handshake_server};
use seacat_proto::{Bytes, ReplyHead, RequestHead};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::task::Task;
use crate::{BodyError, GatewayConfig, RequestBody, Roots, Trust};

/// The name every test gateway has.
pub(crate) const HOST: &str = "gateway.example";

pub(crate) struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = common_name(name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    pub(crate) fn issue(&self, params: &CertificateParams) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.0).unwrap();
        (leaf.der().clone(), key)
    }

    /// A certificate for a key that is somebody else's.
    pub(crate) fn certify(
        &self,
        params: &CertificateParams,
        key: &impl rcgen::PublicKeyData,
    ) -> CertificateDer<'static> {
        params.signed_by(key, &self.0).unwrap().der().clone()
    }

    /// A certificate for [`HOST`], as a server wants it.
    pub(crate) fn identity(
        &self,
        params: &CertificateParams,
    ) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let (certificate, key) = self.issue(params);
        (vec![certificate], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    /// An ordinary TLS server for [`HOST`].
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        install_provider();
        let (chain, key) = self.identity(&leaf("x", &[HOST]));
        let builder = ServerConfig::builder().with_no_client_auth();
        Arc::new(builder.with_single_cert(chain, key).unwrap())
    }

    /// A gateway at `address` that must have a certificate of this CA.
    pub(crate) fn gateway_at(&self, address: SocketAddr) -> GatewayConfig {
        GatewayConfig {
            port: address.port(),
            address: Some(address.ip()),
            trust: Trust { roots: Roots::Pem(self.pem()), pins: vec![] },
            ..GatewayConfig::new(HOST)
        }
    }
}

/// Makes ring the provider of the servers of the tests.
pub(crate) fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        rustls::crypto::ring::default_provider().install_default().unwrap();
    });
}

pub(crate) fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// A leaf with this common name and these alternative names.
pub(crate) fn leaf(cn: &str, alternative: &[&str]) -> CertificateParams {
    let names: Vec<String> = alternative.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = common_name(cn);
    params
}

/// Valid from one new year's day to another.
pub(crate) fn between(mut params: CertificateParams, from: i32, to: i32) -> CertificateParams {
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(to, 1, 1);
    params
}

/// A listener on loopback and its address.
pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A loopback address at which nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    listen().await.1
}

/// A server that does `serve` with every connection.
pub(crate) async fn serve<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Server
where
    F: Future<Output = ()> + Send + 'static,
{
    let (listener, address) = listen().await;
    let task = Task::spawn(async move {
        let mut connections = Vec::new();
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            connections.push(Task::spawn(serve(tcp)));
        }
    });
    Server { address, _task: task }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    _task: Task<()>,
}

/// A gateway that hands every request to the test.
pub(crate) struct TestGateway {
    pub(crate) address: SocketAddr,
    requests: mpsc::UnboundedReceiver<Request>,
    connections: Arc<Mutex<Vec<Task<()>>>>,
    accept: Option<Task<()>>,
}

impl TestGateway {
    pub(crate) async fn start(tls: Arc<ServerConfig>) -> Self {
        Self::on(listen().await.0, tls)
    }

    pub(crate) fn on(listener: TcpListener, tls: Arc<ServerConfig>) -> Self {
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::unbounded_channel();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let list = connections.clone();
        let accept = Task::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let connection = connection(tcp, tls.clone(), sender.clone());
                list.lock().unwrap().push(Task::spawn(connection));
            }
        });
        Self { address, requests, connections, accept: Some(accept) }
    }

    /// The next request, on whatever connection.
    pub(crate) async fn request(&mut self) -> Request {
        self.requests.recv().await.unwrap()
    }

    /// Takes no more connections; those that are up stay.
    pub(crate) fn stop_accepting(&mut self) {
        self.accept = None;
    }

    /// Cuts every connection off without a goodbye.
    pub(crate) fn cut(&self) {
        self.connections.lock().unwrap().clear();
    }

    /// How many connections there have been since the last cut.
    pub(crate) fn connections(&self) -> usize {
        self.connections.lock().unwrap().len()
    }
}

async fn connection(
    tcp: TcpStream,
    tls: Arc<ServerConfig>,
    requests: mpsc::UnboundedSender<Request>,
) {
    let Ok((tcp, session)) = handshake_server(tcp, tls).await else {
        return;
    };
    let (_link, mut incoming, driver) = Link::start(tcp, session, &LinkConfig::gateway(b""));
    let receive = async {
        while let Some(news) = incoming.next().await {
            if let IncomingEvent::Request(request) = news {
                let _ = requests.send(request);
            }
        }
    };
    tokio::join!(driver, receive);
}

/// Answers with a status and a body.
pub(crate) fn answer(request: &mut Request, status: u16, body: &'static str) {
    request.reply.reply(ReplyHead::new(status), false).unwrap();
    request.reply.send(Bytes::from_static(body.as_bytes())).unwrap();
    request.reply.finish().unwrap();
}

/// A request's head.
pub(crate) fn head(method: &str, path: &str) -> RequestHead {
    RequestHead::new(b"erp", method.as_bytes(), path.as_bytes()).unwrap()
}

/// A body that the test fills piece by piece.
pub(crate) struct Body(mpsc::UnboundedReceiver<Result<Bytes, BodyError>>);

pub(crate) type Filler = mpsc::UnboundedSender<Result<Bytes, BodyError>>;

impl Body {
    pub(crate) fn new() -> (Filler, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (sender, Self(receiver))
    }
}

impl RequestBody for Body {
    fn poll_chunk(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.0.poll_recv(cx)
    }
}

/// The address of a gateway that is expected at `ip`.
pub(crate) fn at(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse::<IpAddr>().unwrap(), 443)
}

/// A road to a gateway whose connections can be made to carry nothing, as behind a router that has
/// forgotten them.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    frozen: watch::Sender<usize>,
    accepted: Arc<Mutex<usize>>,
    _accept: Task<()>,
}

impl Relay {
    pub(crate) async fn start(to: SocketAddr) -> Self {
        let (listener, address) = listen().await;
        let (frozen, seen) = watch::channel(0);
        let accepted = Arc::new(Mutex::new(0));
        let count = accepted.clone();
        let accept = Task::spawn(async move {
            let mut connections = Vec::new();
            loop {
                let (near, _) = listener.accept().await.unwrap();
                *count.lock().unwrap() += 1;
                let number = *count.lock().unwrap();
                let Ok(far) = TcpStream::connect(to).await else {
                    continue;
                };
                let (near_in, near_out) = near.into_split();
                let (far_in, far_out) = far.into_split();
                for way in [
                    carry(near_in, far_out, number, seen.clone()),
                    carry(far_in, near_out, number, seen.clone()),
                ] {
                    connections.push(Task::spawn(way));
                }
            }
        });
        Self { address, frozen, accepted, _accept: accept }
    }

    /// From now on the connections so far carry nothing.
    pub(crate) fn freeze(&self) {
        self.frozen.send_replace(*self.accepted.lock().unwrap());
    }

    /// All of them carry again what they were given.
    pub(crate) fn thaw(&self) {
        self.frozen.send_replace(0);
    }

    /// How many connections there have been.
    pub(crate) fn connections(&self) -> usize {
        *self.accepted.lock().unwrap()
    }
}

/// One direction of connection `number`, while that is not among the first so many.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    number: usize,
    mut frozen: watch::Receiver<usize>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        if frozen.wait_for(|frozen| number > *frozen).await.is_err()
            || to.write_all(&buffer[..count]).await.is_err()
        {
            return;
        }
    }
}
