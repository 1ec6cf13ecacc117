//! Connections to HTTP/1.1 back ends, and the few that are kept for the next request.
//!
//! A connection has no task of its own. Whoever uses it drives it, see [`Connection::drive`]: so
//! there is nothing to wake, and dropping it closes the socket at once.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use seacat_link::{RecvHalf, StreamError};
use seacat_proto::MAX_PAYLOAD;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use crate::config::Endpoint;

/// Read at a time from a back end that has much to say: whole frames, so that none of them is a rest.
/// hyper starts with 8 KiB and grows to this while reads fill it.
const READ_BUFFER: usize = 8 * MAX_PAYLOAD;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackendError {
    #[error("the back end did not accept the connection in time")]
    ConnectTimeout,
    #[error("the back end cannot be reached: {0}")]
    Connect(#[source] io::Error),
    #[error("the back end did not answer in time")]
    ResponseTimeout,
    #[error("the exchange with the back end failed: {0}")]
    Http(#[source] hyper::Error),
}

impl BackendError {
    /// Was the connection lost before anything of an answer came?
    pub(crate) fn is_loss(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
        let Self::Http(error) = self else {
            return false;
        };
        let io = std::error::Error::source(error).and_then(|it| it.downcast_ref::<io::Error>());
        error.is_incomplete_message()
            || error.is_closed()
            || error.is_canceled()
            || io.is_some_and(|io| {
                matches!(io.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected)
            })
    }
}

/// A failed attempt, with the request if it was not sent.
pub(crate) type Unanswered = (BackendError, Option<Request<RequestBody>>);

/// One connection to a back end.
pub(crate) struct Connection {
    sender: http1::SendRequest<RequestBody>,
    io: http1::Connection<TokioIo<TcpStream>, RequestBody>,
    /// `io` has ended and must not be polled any more.
    over: bool,
}

impl Connection {
    /// A TCP connection, within `limit`.
    pub(crate) async fn tcp(to: &Endpoint, limit: Duration) -> Result<TcpStream, BackendError> {
        let connecting = TcpStream::connect((to.host.as_str(), to.port));
        match timeout(limit, connecting).await {
            Ok(Ok(tcp)) => {
                // Heads and bodies are written when they are complete; waiting helps nobody.
                tcp.set_nodelay(true).map_err(BackendError::Connect)?;
                Ok(tcp)
            }
            Ok(Err(io)) if io.kind() == io::ErrorKind::TimedOut => {
                Err(BackendError::ConnectTimeout)
            }
            Ok(Err(io)) => Err(BackendError::Connect(io)),
            Err(_) => Err(BackendError::ConnectTimeout),
        }
    }

    /// A connection for HTTP, within `limit`. In a box, because it is large and changes hands for
    /// each request.
    pub(crate) async fn open(to: &Endpoint, limit: Duration) -> Result<Box<Self>, BackendError> {
        let tcp = Self::tcp(to, limit).await?;
        let (sender, io) = http1::Builder::new()
            .title_case_headers(true) // what old back ends compare names with
            .max_buf_size(READ_BUFFER)
            .handshake(TokioIo::new(tcp))
            .await
            .map_err(BackendError::Http)?;
        Ok(Box::new(Self { sender, io, over: false }))
    }

    /// Runs `work` to its end and keeps the connection moving while it is not there yet.
    pub(crate) async fn drive<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|cx| self.poll_for(cx, |_, cx| work.as_mut().poll(cx))).await
    }

    /// Waits until another request can be sent.
    async fn settle(&mut self) -> hyper::Result<()> {
        poll_fn(|cx| self.poll_for(cx, |it, cx| it.sender.poll_ready(cx))).await
    }

    /// Polls for what is wanted, and moves the connection only if that is not there yet.
    fn poll_for<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut wanted: impl FnMut(&mut Self, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if let Poll::Ready(there) = wanted(self, cx) {
            return Poll::Ready(there);
        }
        self.poll(cx);
        wanted(self, cx)
    }

    fn poll(&mut self, cx: &mut Context<'_>) {
        // How it ended is told to whoever waits for the answer.
        self.over = self.over || Pin::new(&mut self.io).poll(cx).is_ready();
    }

    /// Sends a request and waits for the head of its answer, at most `limit` at a time while the
    /// back end is the one to act. A client that is still sending its body may take its time.
    pub(crate) async fn try_send(
        &mut self,
        request: Request<RequestBody>,
        limit: Duration,
        upload: Option<&Upload>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let mut answer = pin!(self.sender.try_send_request(request));
        loop {
            let before = upload.map(Upload::pieces);
            match timeout(limit, self.drive(answer.as_mut())).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(mut unsent)) => {
                    let request = unsent.take_message();
                    return Err((BackendError::Http(unsent.into_error()), request));
                }
                Err(_) if upload.is_some_and(|it| it.waits() || Some(it.pieces()) != before) => {}
                Err(_) => return Err((BackendError::ResponseTimeout, None)),
            }
        }
    }

    /// As [`Connection::try_send`], for a connection that is new: what it does not send is lost.
    pub(crate) async fn send(
        &mut self,
        request: Request<RequestBody>,
        limit: Duration,
        upload: Option<&Upload>,
    ) -> Result<Response<Incoming>, BackendError> {
        self.try_send(request, limit, upload).await.map_err(|(error, _)| error)
    }

    /// Takes the socket back after a 101, with what was read beyond the head.
    pub(crate) async fn into_tcp(mut self: Box<Self>) -> Result<(TcpStream, Bytes), BackendError> {
        if !self.over {
            poll_fn(|cx| self.io.poll_without_shutdown(cx)).await.map_err(BackendError::Http)?;
        }
        let parts = self.io.into_parts();
        Ok((parts.io.into_inner(), parts.read_buf))
    }
}

/// The idle connections of one host.
#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    /// Newest last.
    connections: Vec<(Instant, Box<Connection>)>,
    /// A task looks after them.
    swept: bool,
}

impl Pool {
    /// With fewer than there are requests at one time, most of them would pay for a connection of their
    /// own: a thousand clients cost twice the processor time a request with 256 here. Back ends have
    /// limits too, but as many connections as this were in use a moment ago.
    const LARGEST: usize = 1024;
    /// Below the 60 s and more that most servers keep an idle connection.
    const IDLE: Duration = Duration::from_secs(30);
    /// How long a back end may take to finish with an answered request. Beyond it something is
    /// still under way, and the connection is not worth the wait.
    const SETTLE: Duration = Duration::from_secs(10);

    /// The connection used last, if it is still open. Newest first lets the others grow old.
    pub(crate) fn take(&self) -> Option<Box<Connection>> {
        let mut idle = self.lock();
        while let Some((_, mut connection)) = idle.connections.pop() {
            // Has the back end closed it? The socket is asked now; the task that parked it is
            // not the one to be woken.
            connection.poll(&mut Context::from_waker(std::task::Waker::noop()));
            if !connection.over && connection.sender.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next request once it has finished with this one.
    pub(crate) async fn park(self: &Arc<Self>, mut connection: Box<Connection>) {
        let settled = timeout(Self::SETTLE, connection.settle()).await;
        if !matches!(settled, Ok(Ok(()))) || connection.over {
            return;
        }
        let mut idle = self.lock();
        if idle.connections.len() >= Self::LARGEST {
            return;
        }
        if !std::mem::replace(&mut idle.swept, true) {
            tokio::spawn(Self::sweep(Arc::downgrade(self)));
        }
        idle.connections.push((Instant::now(), connection));
    }

    /// Closes what has been idle for too long; ends when nothing is left to look after.
    async fn sweep(pool: Weak<Self>) {
        loop {
            let oldest = {
                let Some(pool) = pool.upgrade() else { return };
                let mut idle = pool.lock();
                let now = Instant::now();
                idle.connections.retain(|(since, _)| *since + Self::IDLE > now);
                match idle.connections.first() {
                    Some((since, _)) => *since,
                    None => {
                        idle.swept = false;
                        return;
                    }
                }
            };
            sleep_until(oldest + Self::IDLE).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What follows a request's head to the back end.
pub(crate) enum RequestBody {
    Empty,
    Upload(Upload),
}

/// A client's request body on its way to a back end. hyper reads it; we watch how it goes.
#[derive(Clone)]
pub(crate) struct Upload(Arc<Mutex<Uploading>>);

struct Uploading {
    body: RecvHalf,
    /// Read ahead of time.
    first: Option<Bytes>,
    /// What Content-Length still promises.
    left: Option<u64>,
    /// How many pieces went to the back end.
    pieces: u64,
    /// The back end has asked for more than the client has sent.
    waits: bool,
    failed: bool,
}

/// Why a request's body ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    #[error("the body is longer than its Content-Length")]
    TooLong,
    #[error("the body is shorter than its Content-Length")]
    TooShort,
    #[error(transparent)]
    Stream(#[from] StreamError),
}

impl Upload {
    /// After the last byte, how long the end may take before the stream is reset all the same.
    const LATE_END: Duration = Duration::from_secs(10);

    pub(crate) fn new(body: RecvHalf, first: Option<Bytes>, length: Option<u64>) -> Self {
        let (left, pieces, waits, failed) = (length, 0, false, false);
        Self(Arc::new(Mutex::new(Uploading { body, first, left, pieces, waits, failed })))
    }

    fn pieces(&self) -> u64 {
        self.lock().pieces
    }

    fn waits(&self) -> bool {
        self.lock().waits
    }

    /// Has all of the body been read?
    pub(crate) fn is_over(&self) -> bool {
        self.lock().is_end()
    }

    /// Did the body break its promise, or its stream?
    pub(crate) fn failed(&self) -> bool {
        self.lock().failed
    }

    /// Waits for the end of a body that is as long as it promised: it may come in a frame of its own.
    /// To let go before would reset a stream on which the client has done all it had to.
    pub(crate) async fn end(&self) {
        let end = poll_fn(|cx| self.lock().body.poll_data(cx));
        // However it ends, or does not: there is nothing more to be done for this client.
        let _ = timeout(Self::LATE_END, end).await;
    }

    fn lock(&self) -> MutexGuard<'_, Uploading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Uploading {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UploadError>>> {
        let piece = match self.first.take() {
            Some(first) => Some(Ok(first)),
            None => match self.body.poll_data(cx) {
                Poll::Ready(piece) => piece,
                Poll::Pending => {
                    self.waits = true;
                    return Poll::Pending;
                }
            },
        };
        self.waits = false;
        Poll::Ready(match (piece, &mut self.left) {
            (Some(Ok(bytes)), Some(left)) => match left.checked_sub(bytes.len() as u64) {
                Some(rest) => {
                    *left = rest;
                    Some(Ok(bytes))
                }
                None => Some(Err(UploadError::TooLong)),
            },
            (None, Some(1..)) => Some(Err(UploadError::TooShort)),
            (piece, _) => piece.map(|it| it.map_err(UploadError::Stream)),
        })
    }

    fn is_end(&self) -> bool {
        match self.left {
            Some(left) => left == 0,
            None => self.first.is_none() && self.body.is_ended(),
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let Self::Upload(upload) = self.get_mut() else {
            return Poll::Ready(None);
        };
        let mut uploading = upload.lock();
        let piece = std::task::ready!(uploading.poll_piece(cx));
        uploading.pieces += 1;
        uploading.failed = matches!(piece, Some(Err(_)));
        Poll::Ready(piece.map(|it| it.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Upload(upload) => upload.lock().is_end(),
        }
    }
}
