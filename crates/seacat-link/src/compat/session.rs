//! One OpenSSL session that uses two buffers instead of a socket.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, BufMut, BytesMut};
use openssl::error::ErrorStack;
use openssl::ssl::{ErrorCode, Ssl, SslContext, SslStream, SslVerifyMode, SslVersion};
use openssl::x509::{X509StoreContextRef, X509VerifyResult};
use rustls::Error;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use seacat_proto::MAX_FRAME;
use tokio::net::TcpStream;

use super::error;

/// The most plaintext in one record (RFC 5246 section 6.2.1). A frame is at most as long.
const RECORD: usize = 16_384;
const _: () = assert!(MAX_FRAME <= RECORD);

/// A TLS session by OpenSSL.
pub struct Session {
    stream: SslStream<Pipe>,
    handshaking: bool,
    /// Decrypted and not taken yet. The link empties it before it reads again, so it holds at most
    /// the content of one read.
    plaintext: Vec<u8>,
    /// A frame, joined from its parts.
    frame: Vec<u8>,
    peer: Option<CertificateDer<'static>>,
    refusal: Refusal,
    /// The length of the certificate that may be requested of us (client).
    certificate: Option<usize>,
    /// It was presented to the gateway.
    shown: bool,
}

/// Ciphertext received and to be sent. Reading never blocks, and writing always succeeds: the
/// caller of `seal` bounds it.
#[derive(Default)]
struct Pipe {
    input: BytesMut,
    output: BytesMut,
}

/// Why the verifier has refused, to explain the failed handshake.
type Refusal = Arc<Mutex<Option<Error>>>;

/// The verifier of the peer's certificate.
pub(super) enum PeerVerifier {
    /// A client's, of the gateway.
    Server { verifier: Arc<dyn ServerCertVerifier>, name: ServerName<'static> },
    /// A gateway's, of a client.
    Client(Arc<dyn ClientCertVerifier>),
}

impl Session {
    pub(super) fn new(
        context: &SslContext,
        verifier: PeerVerifier,
        certificate: Option<usize>,
    ) -> Result<Self, Error> {
        let refusal = Refusal::default();
        let stream = stream(context, verifier, Arc::clone(&refusal))
            .map_err(|stack| error::general(&stack))?;
        let mut session = Self {
            stream,
            handshaking: true,
            plaintext: Vec::new(),
            frame: Vec::new(),
            peer: None,
            refusal,
            certificate,
            shown: false,
        };
        // A client starts; a server has nothing to do yet.
        session.shake_hands()?;
        Ok(session)
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.handshaking
    }

    pub(crate) fn is_tls_13(&self) -> bool {
        self.stream.ssl().version2() == Some(SslVersion::TLS1_3)
    }

    pub(crate) fn suite(&self) -> Option<&'static str> {
        self.stream.ssl().current_cipher()?.standard_name()
    }

    pub(crate) fn peer_certificate(&self) -> Option<&CertificateDer<'static>> {
        self.peer.as_ref()
    }

    /// Whether the gateway has requested our certificate and received it.
    ///
    /// OpenSSL does not report this. But what a client writes after the ServerHello contains either
    /// its certificate or nothing longer than a key share and Finished, which is shorter than any
    /// certificate with an RSA key.
    #[must_use]
    pub fn has_shown_certificate(&self) -> bool {
        self.shown
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Result<bool, Error> {
        self.stream.get_mut().input.put_slice(bytes);
        if self.handshaking {
            self.shake_hands()?;
        }
        if self.handshaking { Ok(false) } else { self.decrypt() }
    }

    fn shake_hands(&mut self) -> Result<(), Error> {
        let before = self.stream.get_ref().output.len();
        let step = self.stream.do_handshake();
        let written = self.stream.get_ref().output.len() - before;
        if self.suite().is_some() {
            self.shown |= self.certificate.is_some_and(|length| written > length);
        }
        match step {
            Ok(()) => {
                self.handshaking = false;
                let peer = self.stream.ssl().peer_certificate();
                self.peer = peer.and_then(|it| it.to_der().ok()).map(CertificateDer::from);
                Ok(())
            }
            Err(wait) if wait.code() == ErrorCode::WANT_READ => Ok(()),
            Err(failed) => Err(self.explain(&failed)),
        }
    }

    /// Decrypts all complete records. Returns whether close_notify was received.
    fn decrypt(&mut self) -> Result<bool, Error> {
        loop {
            let start = self.plaintext.len();
            self.plaintext.resize(start + RECORD, 0);
            let read = self.stream.ssl_read(&mut self.plaintext[start..]);
            self.plaintext.truncate(start + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(_) => {}
                Err(wait) if wait.code() == ErrorCode::WANT_READ => return Ok(false),
                Err(end) if end.code() == ErrorCode::ZERO_RETURN => return Ok(true),
                Err(failed) => return Err(self.explain(&failed)),
            }
        }
    }

    fn explain(&self, failed: &openssl::ssl::Error) -> Error {
        let refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take();
        refusal.unwrap_or_else(|| error::translate(failed))
    }

    pub(crate) fn with_plaintext<E>(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Result<usize, E>,
    ) -> Result<bool, E> {
        if !self.plaintext.is_empty() {
            let taken = take(&self.plaintext)?;
            self.plaintext.drain(..taken);
        }
        Ok(!self.plaintext.is_empty())
    }

    /// SSL_write makes one record of up to [`RECORD`] bytes, also with CBC: the empty fragment
    /// against BEAST applies to TLS 1.0 only.
    pub(crate) fn seal(&mut self, parts: [&[u8]; 2]) -> io::Result<usize> {
        let frame = match parts {
            [whole, []] => whole,
            [head, body] => {
                self.frame.clear();
                self.frame.extend_from_slice(head);
                self.frame.extend_from_slice(body);
                &self.frame
            }
        };
        self.stream.ssl_write(frame).map_err(io::Error::other)
    }

    pub(crate) fn wants_write(&self) -> bool {
        !self.stream.get_ref().output.is_empty()
    }

    pub(crate) fn write_to(&mut self, tcp: &TcpStream) -> io::Result<usize> {
        let output = &mut self.stream.get_mut().output;
        let count = tcp.try_write(output)?;
        output.advance(count);
        Ok(count)
    }

    pub(crate) fn close_notify(&mut self) {
        // The result only tells whether the peer has sent its own before.
        let _ = self.stream.shutdown();
    }
}

fn stream(
    context: &SslContext,
    verifier: PeerVerifier,
    refusal: Refusal,
) -> Result<SslStream<Pipe>, ErrorStack> {
    let mut ssl = Ssl::new(context)?;
    match &verifier {
        PeerVerifier::Server { name, .. } => {
            // SNI is for names only (RFC 6066 section 3).
            if let ServerName::DnsName(name) = name {
                ssl.set_hostname(name.as_ref())?;
            }
            ssl.set_connect_state();
        }
        PeerVerifier::Client(_) => ssl.set_accept_state(),
    }
    // OpenSSL has no roots here: it calls back for every certificate and every error, and each time
    // the verifier checks the chain as far as it was built.
    ssl.set_verify_callback(SslVerifyMode::PEER, move |_, found| {
        let Err(error) = verifier.receive(found) else {
            // An error that was accepted must not stay in OpenSSL's queue: it would be attributed
            // to the next call.
            drop(ErrorStack::get());
            return true;
        };
        if found.error() == X509VerifyResult::OK {
            found.set_error(X509VerifyResult::APPLICATION_VERIFICATION);
        }
        *refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        false
    });
    SslStream::new(ssl, Pipe::default())
}

impl PeerVerifier {
    fn receive(&self, found: &X509StoreContextRef) -> Result<(), Error> {
        let chain: Option<Vec<CertificateDer<'static>>> = found
            .chain()
            .and_then(|chain| chain.iter().map(|it| it.to_der().ok().map(Into::into)).collect());
        let chain = chain.unwrap_or_default();
        let [leaf, others @ ..] = chain.as_slice() else {
            return Err(Error::NoCertificatesPresented);
        };
        let now = UnixTime::now();
        match self {
            Self::Server { verifier, name } => {
                verifier.verify_server_cert(leaf, others, name, &[], now).map(|_| ())
            }
            Self::Client(verifier) => verifier.verify_client_cert(leaf, others, now).map(|_| ()),
        }
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = buffer.len().min(self.input.len());
        self.input.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.put_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
