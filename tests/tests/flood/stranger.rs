//! A client that means harm: raw frames over TLS, from an address of its own.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use seacat_proto::frame::{SynStream, head};
use seacat_proto::{RequestHead, StreamId};

/// How long a write may wait for a gateway that does not read on.
const PATIENCE: Duration = Duration::from_millis(200);

/// Where strangers connect to, and how.
#[derive(Clone)]
pub(crate) struct Target {
    port: u16,
    tls: Arc<ClientConfig>,
}

/// One connection of a stranger.
pub(crate) struct Stranger(StreamOwned<ClientConnection, TcpStream>);

impl Target {
    pub(crate) fn new(port: u16, ca: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(ca).expect("the gateway's CA");
        roots.add(ca).expect("the gateway's CA");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring knows them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { port, tls: Arc::new(tls) }
    }

    /// TCP alone, from 127.0.0.`number`.
    pub(crate) fn tcp(&self, number: u8) -> io::Result<TcpStream> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, number), 0)).into())?;
        let gateway = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        socket.connect_timeout(&gateway.into(), Duration::from_secs(5))?;
        Ok(socket.into())
    }

    /// A connection with TLS, without a certificate, from 127.0.0.`number`.
    pub(crate) fn connect(&self, number: u8) -> io::Result<Stranger> {
        let tcp = self.tcp(number)?;
        tcp.set_read_timeout(Some(Duration::from_secs(10)))?;
        let name = "localhost".try_into().expect("a name");
        let tls = ClientConnection::new(self.tls.clone(), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(tls, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        stream.sock.set_write_timeout(Some(PATIENCE))?;
        Ok(Stranger(stream))
    }
}

impl Stranger {
    /// Opens a POST to a host; `field` bytes of a field make its head larger.
    pub(crate) fn post(&mut self, id: u32, host: &str, field: usize) -> io::Result<()> {
        let mut head = RequestHead::builder(host.as_bytes(), b"POST", b"/").expect("it fits");
        if field > 0 {
            head.push(b"X-Large", &vec![b'x'; field]).expect("it fits");
        }
        let frame = SynStream { id: stream(id), fin: false, head: head.build() };
        self.write(&frame.encode())
    }

    /// Sends DATA of `length` bytes on each of these streams, over and over, until `end` or until
    /// the gateway has had enough. Returns how much was sent.
    pub(crate) fn flood(&mut self, ids: &[u32], length: usize, end: Instant) -> u64 {
        let mut batch = Vec::new();
        while batch.len() < 64 * 1024 {
            for id in ids {
                batch.extend_from_slice(&head::data(stream(*id), false, length));
                batch.resize(batch.len() + length, b'z');
            }
        }
        let mut sent = 0;
        while Instant::now() < end && self.write(&batch).is_ok() {
            sent += batch.len() as u64;
        }
        sent
    }

    /// Writes all of it. A gateway may keep it waiting, but not for longer than five seconds.
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let end = Instant::now() + Duration::from_secs(5);
        while !bytes.is_empty() {
            let piece = &bytes[..bytes.len().min(16 * 1024)];
            match self.0.write(piece) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if is_wait(&error) && Instant::now() < end => {}
                Err(error) => return Err(error),
            }
        }
        while let Err(error) = self.0.flush() {
            if !is_wait(&error) || Instant::now() >= end {
                return Err(error);
            }
        }
        Ok(())
    }
}

fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn stream(id: u32) -> StreamId {
    StreamId::new(id).expect("a small number")
}
