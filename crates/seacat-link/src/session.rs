//! A TLS session of either library.
//!
//! rustls by default. With the cargo feature `compat`, OpenSSL where it is configured, for peers
//! that support no suite of rustls. Both are driven in the same way: ciphertext is pushed in,
//! plaintext is taken out, one frame is sealed as one record, and sealed records are buffered until
//! they are written. Neither uses a socket itself.

use std::fmt;
use std::io::{self, BufRead, IoSlice, Write};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConnection, Connection, ServerConnection};
use tokio::net::TcpStream;

use crate::Closed;
#[cfg(feature = "compat")]
use crate::compat;

/// One end of a TLS connection.
#[allow(clippy::large_enum_variant, reason = "there is one a connection, and no list of them")]
pub enum Session {
    /// By rustls.
    Rustls(Connection),
    /// By OpenSSL.
    #[cfg(feature = "compat")]
    OpenSsl(compat::Session),
}

impl Session {
    /// Whether OpenSSL runs it: the peer may be one of the reference era.
    pub(crate) fn is_compat(&self) -> bool {
        match self {
            Self::Rustls(_) => false,
            #[cfg(feature = "compat")]
            Self::OpenSsl(_) => true,
        }
    }

    /// The peer's certificate, whose key it has proved to hold.
    #[must_use]
    pub fn peer_certificate(&self) -> Option<&CertificateDer<'static>> {
        match self {
            Self::Rustls(tls) => tls.peer_certificates()?.first(),
            #[cfg(feature = "compat")]
            Self::OpenSsl(tls) => tls.peer_certificate(),
        }
    }

    /// "TLS 1.3" or "TLS 1.2".
    #[must_use]
    pub fn version(&self) -> &'static str {
        let is_13 = match self {
            Self::Rustls(tls) => tls.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3),
            #[cfg(feature = "compat")]
            Self::OpenSsl(tls) => tls.is_tls_13(),
        };
        if is_13 { "TLS 1.3" } else { "TLS 1.2" }
    }

    /// The cipher suite's name, once both sides have agreed on one.
    #[must_use]
    pub fn suite(&self) -> Option<&'static str> {
        match self {
            Self::Rustls(tls) => tls.negotiated_cipher_suite()?.suite().as_str(),
            #[cfg(feature = "compat")]
            Self::OpenSsl(tls) => tls.suite(),
        }
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        match self {
            Self::Rustls(tls) => tls.is_handshaking(),
            #[cfg(feature = "compat")]
            Self::OpenSsl(tls) => tls.is_handshaking(),
        }
    }

    /// Processes ciphertext from the front of `bytes`, as much as fits, and earlier input, so
    /// `bytes` may be empty. Returns whether close_notify was received.
    pub(crate) fn receive(&mut self, bytes: &mut &[u8]) -> Result<bool, Closed> {
        match self {
            Self::Rustls(tls) => {
                // To rustls, reading nothing is the end of the stream.
                if !bytes.is_empty() {
                    tls.read_tls(bytes)?;
                }
                Ok(tls.process_new_packets().map_err(Closed::Tls)?.peer_has_closed())
            }
            #[cfg(feature = "compat")]
            Self::OpenSsl(tls) => tls.receive(std::mem::take(bytes)).map_err(Closed::Tls),
        }
    }

    /// Passes the plaintext that is ready to `take`, in place, which returns how much it took.
    /// Returns whether some is left.
    pub(crate) fn with_plaintext<E>(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Result<usize, E>,
    ) -> Result<bool, E> {
        match self {
            Self::Rustls(tls) => {
                let mut reader = tls.reader();
                // An error here means "nothing more now" or "closed"; receive() distinguishes them.
                while let Ok(bytes) = reader.fill_buf() {
                    if bytes.is_empty() {
                        break;
                    }
                    let (length, taken) = (bytes.len(), take(bytes)?);
                    reader.consume(taken);
                    if taken < length {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            #[cfg(feature = "compat")]
            Self::OpenSsl(tls) => tls.with_plaintext(take),
        }
    }

    /// Seals one frame as one record.
    pub(crate) fn seal(&mut self, parts: [&[u8]; 2]) -> io::Result<()> {
        let written = match self {
            Self::Rustls(tls) if parts[1].is_empty() => tls.writer().write(parts[0])?,
            Self::Rustls(tls) => tls.writer().write_vectored(&parts.map(IoSlice::new))?,
            #[cfg(feature = "compat")]
            Self::OpenSsl(tls) => tls.seal(parts)?,
        };
        debug_assert_eq!(written, parts[0].len() + parts[1].len(), "a frame is one record");
        Ok(())
    }

    /// Whether ciphertext waits for the socket.
    pub(crate) fn wants_write(&self) -> bool {
        match self {
            Self::Rustls(tls) => tls.wants_write(),
            #[cfg(feature = "compat")]
            Self::OpenSsl(tls) => tls.wants_write(),
        }
    }

    /// Writes ciphertext once, as many records as the socket takes.
    pub(crate) fn write_to(&mut self, tcp: &TcpStream) -> io::Result<usize> {
        match self {
            Self::Rustls(tls) => tls.write_tls(&mut Socket(tcp)),
            #[cfg(feature = "compat")]
            Self::OpenSsl(tls) => tls.write_to(tcp),
        }
    }

    /// Queues close_notify behind what is sealed.
    pub(crate) fn close_notify(&mut self) {
        match self {
            Self::Rustls(tls) => tls.send_close_notify(),
            #[cfg(feature = "compat")]
            Self::OpenSsl(tls) => tls.close_notify(),
        }
    }
}

impl<T: Into<Connection>> From<T> for Session {
    fn from(tls: T) -> Self {
        let mut tls = tls.into();
        // The caller of `seal` bounds the buffer; rustls' own limit would split a frame into two
        // records.
        tls.set_buffer_limit(None);
        Self::Rustls(tls)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({}, {:?})", self.version(), self.suite())
    }
}

/// The factory of a client's sessions.
#[derive(Clone, Debug)]
pub enum ClientTls {
    /// By rustls.
    Rustls(Arc<rustls::ClientConfig>),
    /// By OpenSSL.
    #[cfg(feature = "compat")]
    OpenSsl(compat::ClientConfig),
}

impl ClientTls {
    /// A session with a server that must be `name`.
    ///
    /// # Errors
    /// The library's error about its settings.
    pub fn session(&self, name: ServerName<'static>) -> Result<Session, rustls::Error> {
        match self {
            Self::Rustls(config) => Ok(ClientConnection::new(Arc::clone(config), name)?.into()),
            #[cfg(feature = "compat")]
            Self::OpenSsl(config) => config.session(name).map(Session::OpenSsl),
        }
    }
}

impl From<Arc<rustls::ClientConfig>> for ClientTls {
    fn from(config: Arc<rustls::ClientConfig>) -> Self {
        Self::Rustls(config)
    }
}

/// The factory of a server's sessions.
#[derive(Clone, Debug)]
pub enum ServerTls {
    /// By rustls.
    Rustls(Arc<rustls::ServerConfig>),
    /// By OpenSSL.
    #[cfg(feature = "compat")]
    OpenSsl(compat::ServerConfig),
}

impl ServerTls {
    /// A session with a client that has connected.
    ///
    /// # Errors
    /// As [`ClientTls::session`].
    pub fn session(&self) -> Result<Session, rustls::Error> {
        match self {
            Self::Rustls(config) => Ok(ServerConnection::new(Arc::clone(config))?.into()),
            #[cfg(feature = "compat")]
            Self::OpenSsl(config) => config.session().map(Session::OpenSsl),
        }
    }
}

impl From<Arc<rustls::ServerConfig>> for ServerTls {
    fn from(config: Arc<rustls::ServerConfig>) -> Self {
        Self::Rustls(config)
    }
}

/// The socket as the `io` traits that rustls uses.
struct Socket<'a>(&'a TcpStream);

impl Write for Socket<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.try_write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match bufs {
            // A single record: `write` costs 0.2 µs less than `writev` of one.
            [record] => self.0.try_write(record),
            records => self.0.try_write_vectored(records),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
