//! The handle of a connection.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use seacat_proto::{Config, Connection, Control, Extensions, HeadTooLarge, RequestHead, Role};
use tokio::net::TcpStream;

use crate::budget::{BudgetLimits, Division, Share};
use crate::records::Records;
use crate::shared::{Shared, register};
use crate::{Closed, Driver, RecvHalf, SendHalf, Session, SocketRequest, StreamError};

/// How long something that was written may be unanswered before the peer is doubted: several round
/// trips.
const UNANSWERED: Duration = Duration::from_millis(250);

/// How long a connection may be idle before it is doubted. Routers drop idle connections, if only
/// after minutes, and the request that is lost then is one that a user has just made.
const RESTED: Duration = Duration::from_secs(5);

/// The configuration of a connection.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// Our role.
    pub role: Role,
    /// Limits and keep-alive.
    pub proto: Config,
    /// The HTTP/1.1 response that a gateway sends to an HTTPS client.
    pub http_answer: &'static [u8],
    /// The connection's share of the process's account; `None`: an account of its own with
    /// [`LinkConfig::LIMITS`].
    pub share: Option<Share>,
}

impl LinkConfig {
    /// For a connection that has an account of its own, as tests and tools have.
    pub const LIMITS: BudgetLimits = BudgetLimits {
        memory: 128 * 1024 * 1024,
        spool: 4 * 1024 * 1024 * 1024,
        descriptors: 256,
        connections: 1,
        division: Division::OnePeer,
    };

    /// The client's role, with periodic PINGs.
    #[must_use]
    pub fn client() -> Self {
        let proto = Config { keepalive: Some(Default::default()), ..Config::default() };
        Self { role: Role::Client, proto, http_answer: b"", share: None }
    }

    /// The gateway's role: no periodic PINGs, because not every client answers (wire spec 3.5).
    #[must_use]
    pub fn gateway(http_answer: &'static [u8]) -> Self {
        Self { role: Role::Gateway, proto: Config::default(), http_answer, share: None }
    }
}

/// Measurements of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Health {
    /// The last measured round trip.
    pub rtt: Option<Duration>,
    /// When the last PONG was received.
    pub last_pong: Option<Instant>,
    /// When the last frame of any kind was received.
    pub last_frame: Option<Instant>,
    /// Streams open now.
    pub streams: usize,
    /// Ciphertext received, in bytes.
    pub bytes_in: u64,
    /// Ciphertext sent, in bytes.
    pub bytes_out: u64,
}

/// An event that belongs to no stream we opened.
pub enum IncomingEvent {
    /// A request (gateway).
    Request(Request),
    /// The gateway requests a connection to a port of ours (client).
    Socket(SocketRequest),
    /// The application has closed a connection that requests have named (gateway).
    ConnectionEnded {
        /// Its number, see [`RequestHead::connection`].
        id: u32,
    },
    /// The gateway drains, and so does the connection, as after [`Link::drain`] (client).
    GoAway,
    /// A control frame for the program.
    Control(Control),
    /// The first frame of the connection, or the first since [`Link::ping`], was received.
    FrameReceived,
    /// Something was sent on a stream a second ago, and nothing has been received since (client).
    /// Reported once per silence.
    Unanswered,
    /// The peer answered a PING.
    Pong {
        /// From our PING to its echo.
        rtt: Duration,
    },
}

/// A received request, with the halves to answer it.
pub struct Request {
    /// Host, method, path and fields.
    pub head: RequestHead,
    /// Whether it has no body.
    pub end: bool,
    /// For the response.
    pub reply: SendHalf,
    /// The body.
    pub body: RecvHalf,
}

/// A handle to a live connection. Clones are handles to the same one.
#[derive(Clone)]
pub struct Link {
    pub(crate) shared: Shared,
}

impl Link {
    /// Takes over an established TLS session and its socket.
    ///
    /// Nothing is sent or received until the [`Driver`] is polled; dropping it closes the
    /// connection.
    pub fn start(
        tcp: TcpStream,
        session: impl Into<Session>,
        config: &LinkConfig,
    ) -> (Self, Incoming, Driver) {
        let connection = Connection::new(config.role, &config.proto, Instant::now());
        let records = Records::new(tcp, session.into());
        let share = config.share.clone().unwrap_or_else(|| Share::alone(&LinkConfig::LIMITS));
        let shared = Shared::new(config.role, connection, records, share);
        let driver = Driver::new(shared.clone(), config.http_answer);
        (Self { shared: shared.clone() }, Incoming { shared }, driver)
    }

    /// Opens a stream with a request; `end` when it has no body (client only).
    ///
    /// # Errors
    /// [`StreamError`]; nothing of the request has been sent.
    pub fn open(&self, head: RequestHead, end: bool) -> Result<(SendHalf, RecvHalf), StreamError> {
        self.shared.open(head, end)
    }

    /// Sends a frame that belongs to no stream.
    ///
    /// # Errors
    /// [`HeadTooLarge`] when it does not fit into a frame.
    pub fn control(&self, control: &Control) -> Result<(), HeadTooLarge> {
        let mut state = self.shared.lock();
        state.connection.control(control)?;
        state.wake_driver();
        Ok(())
    }

    /// From now on FIN of a response without a body is on its head (gateway), see
    /// [`Connection::end_on_head`].
    pub fn end_on_head(&self) {
        self.shared.lock().connection.end_on_head();
    }

    /// Sends a PING now: [`IncomingEvent::FrameReceived`] follows with the next frame of any kind.
    pub fn ping(&self) {
        let mut state = self.shared.lock();
        state.connection.ping(Instant::now());
        state.reports_frame = true;
        state.wake_driver();
    }

    /// Waits until the stream limits of both ends permit another stream, or until the connection is
    /// closed. Another caller may open it first: then wait again.
    pub async fn ready(&self) {
        let mut waited = false;
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            if state.closed.is_some() || state.connection.can_open() || waited {
                return Poll::Ready(());
            }
            waited = true;
            state.stream_waiters.push_back(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// The extensions that both ends use; none until both have announced them.
    #[must_use]
    pub fn extensions(&self) -> Extensions {
        self.shared.lock().connection.extensions()
    }

    /// The application has closed the connection that requests have named by this number (client).
    pub fn end_connection(&self, id: u32) {
        let mut state = self.shared.lock();
        if state.connection.end_connection(id) {
            state.wake_driver();
        }
    }

    /// Opens no new streams; a gateway sends GOAWAY to a client that supports it. When the last
    /// stream has ended, the connection is closed.
    pub fn drain(&self) {
        let mut state = self.shared.lock();
        state.connection.drain();
        state.wake_driver();
    }

    /// Closes the connection now; every open stream is lost.
    pub fn close(&self) {
        let mut state = self.shared.lock();
        state.closing = true;
        state.wake_driver();
    }

    /// Whether to PING the peer before sending something that must not be lost: something is
    /// unanswered for a while, or nothing was received for long. Always false for a peer that has
    /// never answered a PING.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        let state = self.shared.lock();
        let longer = |since: Option<Instant>, limit| since.is_some_and(|it| it.elapsed() > limit);
        state.last_pong.is_some()
            && (longer(state.unanswered_since, UNANSWERED)
                || longer(state.connection.last_frame(), RESTED))
    }

    /// Ends every request that may safely be repeated: one that has not been written, or one marked
    /// by [`RecvHalf::allow_repeat`] that has no response yet. For a peer that does not answer;
    /// other requests continue.
    pub fn abandon(&self) {
        self.shared.abandon();
    }

    /// How the connection ended, once it has.
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        self.shared.lock().closed.clone()
    }

    /// Measurements of the connection.
    #[must_use]
    pub fn health(&self) -> Health {
        let state = self.shared.lock();
        Health {
            rtt: state.rtt,
            last_pong: state.last_pong,
            last_frame: state.connection.last_frame(),
            streams: state.connection.stream_count(),
            bytes_in: state.bytes_in,
            bytes_out: state.bytes_out,
        }
    }
}

/// Receives requests and control frames.
///
/// Dropping it refuses further requests and discards other events.
pub struct Incoming {
    shared: Shared,
}

impl Incoming {
    /// Ready with the next event; `None` when the connection is closed.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<IncomingEvent>> {
        let mut state = self.shared.lock();
        if let Some(event) = state.events.pop_front() {
            return Poll::Ready(Some(event));
        }
        if state.closed.is_some() {
            return Poll::Ready(None);
        }
        register(&mut state.event_reader, cx);
        Poll::Pending
    }

    /// Waits for the next event.
    pub async fn next(&mut self) -> Option<IncomingEvent> {
        poll_fn(|cx| self.poll_next(cx)).await
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.events_wanted = false;
        let untaken = std::mem::take(&mut state.events);
        drop(state);
        // Requests among them lock again to reset their streams.
        drop(untaken);
    }
}
