//! The reading side of a client connection: heads, what is sent ahead, and the end.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use seacat_http1::{BodyDecoder, Decoded, Framing, RequestHead, RequestReader};
use seacat_http1_client::InactivityTimer;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::{Sleep, sleep, timeout};

use crate::errors::Code;
use crate::fault::Fault;
use crate::server::client::Client;
use crate::server::request_body::{ClientBody, Lent};

/// A head of which a part is there has this long, from its first byte, when the connection is to end: a
/// local client sends it at once.
const SPARED_HEAD: Duration = Duration::from_millis(500);
/// Read at once: most heads, whole.
const READ: usize = 4096;
/// A client that has closed its sending side may still read (`nc -N`, socat): its request goes on
/// for this long. A client that is gone looks the same until something is written to it.
const HALF_CLOSED: Duration = Duration::from_secs(2);
/// After a response that ends the connection early, the client gets this long to notice and
/// close, so that the kernel does not throw the response away with a reset (RFC 9112 section
/// 9.6).
const LINGER: Duration = Duration::from_secs(1);
/// This many bytes are thrown away meanwhile; more is a client that does not stop.
const LINGER_BYTES: usize = 1 << 20;

/// The next input on a connection.
pub(crate) enum Begun {
    /// Nothing: there will be no other request.
    Over,
    /// A valid head.
    Request(RequestHead),
    /// A head that is refused. Nothing after it can be read.
    Refused(Fault),
}

/// The reading side. Has no memory of its own between two requests.
pub(crate) struct Inbound {
    /// Lent to the request's body while that is under way.
    half: Option<OwnedReadHalf>,
    /// Read and not yet used.
    buffer: BytesMut,
    partial: Option<Box<Partial>>,
    lent: Option<Arc<Lent>>,
    /// Runs once the client has closed its sending side.
    half_closed: Option<Pin<Box<Sleep>>>,
}

/// A part of a head.
#[derive(Default)]
struct Partial {
    reader: RequestReader,
    /// Starts with the first byte of an incomplete head.
    timer: InactivityTimer<()>,
}

impl Inbound {
    pub(crate) fn new(half: OwnedReadHalf) -> Self {
        let buffer = BytesMut::new();
        Inbound { half: Some(half), buffer, partial: None, lent: None, half_closed: None }
    }

    /// Waits for the head of a request.
    ///
    /// # Errors
    /// The socket's.
    pub(crate) fn poll_head(
        &mut self,
        client: &Client,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Begun>> {
        if self.buffer.is_empty() && self.partial.is_none() {
            if client.activity.poll_leaving(cx) {
                return Poll::Ready(Ok(Begun::Over));
            }
            // The usual head lies whole in this buffer and is read out of it. tokio knows that a
            // short read has emptied the socket, which saves the one that would only find that out.
            let mut buffer = [MaybeUninit::uninit(); READ];
            let mut buffer = ReadBuf::uninit(&mut buffer);
            ready!(self.poll_read(cx, &mut buffer))?;
            let bytes = buffer.filled();
            if bytes.is_empty() {
                return Poll::Ready(Ok(Begun::Over));
            }
            let mut reader = RequestReader::default();
            let read = reader.read(bytes);
            if let Ok(Some((head, length))) = read {
                self.buffer.extend_from_slice(&bytes[length..]);
                return Poll::Ready(Ok(Begun::Request(head)));
            }
            self.buffer.extend_from_slice(bytes);
            if let Err(violation) = read {
                return Poll::Ready(Ok(Begun::Refused(violation.into())));
            }
            self.partial = Some(Box::new(Partial { reader, timer: InactivityTimer::default() }));
        }
        self.poll_rest(client, cx)
    }

    /// Reads on in a head of which a part is there.
    fn poll_rest(&mut self, client: &Client, cx: &mut Context<'_>) -> Poll<io::Result<Begun>> {
        loop {
            let partial = self.partial.get_or_insert_default();
            match partial.reader.read(&self.buffer) {
                Ok(Some((head, length))) => {
                    self.partial = None;
                    self.advance(length);
                    return Poll::Ready(Ok(Begun::Request(head)));
                }
                Err(violation) => return Poll::Ready(Ok(Begun::Refused(violation.into()))),
                Ok(None) => {}
            }
            let begun = partial.reader.has_begun(&self.buffer);
            match self.poll_more(cx)? {
                Poll::Ready(true) => {}
                Poll::Ready(false) => return Poll::Ready(Ok(Begun::Over)),
                Poll::Pending if begun => {
                    let limit = client.shared.limits.head;
                    let timer = &mut self.partial.get_or_insert_default().timer;
                    if client.activity.poll_leaving(cx) {
                        ready!(timer.poll(cx, (), limit.min(SPARED_HEAD)));
                        return Poll::Ready(Ok(Begun::Over));
                    }
                    ready!(timer.poll(cx, (), limit));
                    let what = "The client sent a part of a head and then stopped.";
                    let fault = Fault::new(Code::HeadTimeout, what);
                    return Poll::Ready(Ok(Begun::Refused(fault)));
                }
                Poll::Pending if client.activity.poll_leaving(cx) => {
                    return Poll::Ready(Ok(Begun::Over));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Whether the client is gone. What it sends ahead is kept, and then no more is read: its
    /// next request shows that it is there.
    ///
    /// # Errors
    /// The socket's: it is gone.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(lent) = &self.lent {
            ready!(lent.poll_ended(cx));
            self.take_back();
        }
        loop {
            if !self.buffer.is_empty() {
                return Poll::Pending;
            }
            if let Some(timer) = &mut self.half_closed {
                return timer.as_mut().poll(cx).map(Ok);
            }
            if !ready!(self.poll_more(cx))? {
                self.half_closed = Some(Box::pin(sleep(HALF_CLOSED)));
            }
        }
    }

    /// Lends the reading side to the body of a request. `None`: it has none, or its end has come
    /// with the head.
    pub(crate) fn lend(&mut self, request: &RequestHead) -> Option<ClientBody> {
        let mut decoder = match request.framing {
            Framing::Length(1..) | Framing::Chunked => BodyDecoder::for_request(request.framing),
            Framing::Length(0) | Framing::Tunnel | Framing::Close => return None,
        };
        if self.buffer.starts_with(seacat_http1::encode::LAST_CHUNK)
            && let Ok(Decoded::End) = decoder.decode(&mut self.buffer)
        {
            return None;
        }
        let buffer = std::mem::take(&mut self.buffer);
        let lent = Arc::new(Lent::new(self.half.take()?, buffer, decoder, request));
        self.lent = Some(lent.clone());
        Some(ClientBody::new(lent, request.framing))
    }

    /// Whether the client is to be asked for the body now, once.
    pub(crate) fn takes_continue(&self) -> bool {
        self.lent.as_ref().is_some_and(|lent| lent.takes_continue())
    }

    /// Whether the client waits to be asked for a body that is not wanted any more.
    pub(crate) fn waits_for_continue(&self) -> bool {
        self.lent.as_ref().is_some_and(|lent| lent.waits_for_continue())
    }

    /// Takes the reading side back from a body that is over or not wanted.
    fn take_back(&mut self) {
        if let Some((half, buffer)) = self.lent.take().and_then(|lent| lent.take()) {
            self.half = Some(half);
            // The buffer is freed with its last byte.
            self.buffer = if buffer.is_empty() { BytesMut::new() } else { buffer };
        }
    }

    /// Whether no body is left to be read.
    pub(crate) fn is_read(&self) -> bool {
        self.lent.is_none()
    }

    /// Whether all that the client has sent, as far as it is known, has been used.
    pub(crate) fn is_drained(&self) -> bool {
        self.lent.is_none() && self.buffer.is_empty() && self.partial.is_none()
    }

    /// After a response: reads what is left of the request's body and throws it away. Says
    /// whether the next request can be read.
    pub(crate) async fn recover(&mut self) -> bool {
        let Some(lent) = &self.lent else { return true };
        let mut decoder = lent.decoder();
        self.take_back();
        let Some(half) = &mut self.half else { return false };
        let buffer = &mut self.buffer;
        let mut left = LINGER_BYTES;
        let rest = async {
            loop {
                match decoder.decode(buffer) {
                    Ok(Decoded::End) => return true,
                    Ok(Decoded::Data(_)) => {}
                    Ok(Decoded::More) => match half.read_buf(buffer).await {
                        Ok(0) | Err(_) => return false,
                        Ok(read) => match left.checked_sub(read) {
                            Some(rest) => left = rest,
                            None => return false,
                        },
                    },
                    Err(_) => return false,
                }
            }
        };
        timeout(LINGER, rest).await.unwrap_or(false)
    }

    /// Waits a moment for a client to close that may not have sent all it had to send, and throws
    /// away what it sends. Our own direction has been closed.
    pub(crate) async fn linger(&mut self) {
        self.take_back();
        let Some(half) = &mut self.half else { return };
        self.buffer = BytesMut::new();
        let mut room = vec![0; READ];
        let mut left = LINGER_BYTES;
        let closed = async {
            while let Ok(1..) = half.read(&mut room).await {
                left = left.saturating_sub(READ);
                if left == 0 {
                    break;
                }
            }
        };
        // A client that neither closes nor stops is not waited for.
        let _ = timeout(LINGER, closed).await;
    }

    /// The socket's half, and what was read beyond the last request: for a tunnel, or the end.
    pub(crate) fn into_parts(mut self) -> (Option<OwnedReadHalf>, Bytes) {
        self.take_back();
        (self.half, self.buffer.freeze())
    }

    fn advance(&mut self, length: usize) {
        self.buffer.advance(length);
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    /// Reads more into the buffer. `false`: the client has closed its sending side.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut room = [MaybeUninit::uninit(); READ];
        let mut room = ReadBuf::uninit(&mut room);
        ready!(self.poll_read(cx, &mut room))?;
        self.buffer.extend_from_slice(room.filled());
        Poll::Ready(Ok(!room.filled().is_empty()))
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.half {
            Some(half) => Pin::new(half).poll_read(cx, buffer),
            // Only a body has it, and it gives it back before anything else is read.
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}
