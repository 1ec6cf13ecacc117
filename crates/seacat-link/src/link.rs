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

/// For how long a peer may let something stand without being doubted: several round trips.
const UNANSWERED: Duration = Duration::from_millis(250);

/// How long a connection may rest without being doubted. Routers forget connections that rest; after
/// minutes, but what is lost then is what a person has just typed.
const RESTED: Duration = Duration::from_secs(5);

/// What a connection needs to know.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// Which end we are.
    pub role: Role,
    /// Limits and keep-alive.
    pub proto: Config,
    /// What an HTTPS client that knocks at a gateway gets: a whole HTTP/1.1 response.
    pub http_answer: &'static [u8],
    /// What the connection may use of the process's account; `None`: an account of its own with
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

    /// The client's end with a PING rhythm.
    #[must_use]
    pub fn client() -> Self {
        let proto = Config { keepalive: Some(Default::default()), ..Config::default() };
        Self { role: Role::Client, proto, http_answer: b"", share: None }
    }

    /// The gateway's end: no PINGs of its own, because not every client answers
    /// (wire spec 3.5).
    #[must_use]
    pub fn gateway(http_answer: &'static [u8]) -> Self {
        Self { role: Role::Gateway, proto: Config::default(), http_answer, share: None }
    }
}

/// How a connection is doing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Health {
    /// The last measured round trip.
    pub rtt: Option<Duration>,
    /// When the last PONG came.
    pub last_pong: Option<Instant>,
    /// When the last frame came, of whatever kind.
    pub last_frame: Option<Instant>,
    /// Streams open now.
    pub streams: usize,
    /// Ciphertext received, in bytes.
    pub bytes_in: u64,
    /// Ciphertext sent, in bytes.
    pub bytes_out: u64,
}

/// News that belongs to no stream we opened.
pub enum News {
    /// A request (gateway).
    Request(Request),
    /// The gateway asks for a connection to a port of ours (client).
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
    /// The first frame of the connection, or the first since [`Link::ping`]: the peer is there.
    Heard,
    /// Something was sent on a stream a second ago, and nothing has come since (client). Said once
    /// for each silence.
    Unanswered,
    /// The peer answered a PING.
    Pong {
        /// From our PING to its echo.
        rtt: Duration,
    },
}

/// A request that came in, with the halves to answer it.
pub struct Request {
    /// Host, method, path and fields.
    pub head: RequestHead,
    /// Whether it has no body.
    pub end: bool,
    /// For the answer.
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
    /// Nothing moves until the [`Driver`] is polled; when it is dropped, the connection
    /// is gone.
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

    /// From now on answers without a body end on their head (gateway), see
    /// [`Connection::end_on_head`].
    pub fn end_on_head(&self) {
        self.shared.lock().connection.end_on_head();
    }

    /// Asks the peer for a sign of life now: [`News::Heard`] follows with the next frame, whatever
    /// it is.
    pub fn ping(&self) {
        let mut state = self.shared.lock();
        state.connection.ping(Instant::now());
        state.reports_frame = true;
        state.wake_driver();
    }

    /// Waits until another stream may be open, as far as the limits of both ends are concerned, or
    /// until the connection is over. Another caller may be quicker: try again then.
    pub async fn room(&self) {
        let mut waited = false;
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            if state.closed.is_some() || state.connection.has_room() || waited {
                return Poll::Ready(());
            }
            waited = true;
            state.room_waiters.push_back(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// What both ends use beyond the reference's wire; nothing until both have announced it.
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

    /// Opens no new streams; a gateway tells a client that understands it. When the last has ended,
    /// the connection says goodbye.
    pub fn drain(&self) {
        let mut state = self.shared.lock();
        state.connection.drain();
        state.wake_driver();
    }

    /// Says goodbye now; every open stream is lost.
    pub fn close(&self) {
        let mut state = self.shared.lock();
        state.closing = true;
        state.wake_driver();
    }

    /// Charges another share for this connection from here on.
    pub fn move_to(&self, share: &Share) {
        self.shared.lock().move_to(share);
    }

    /// Whether the peer should be asked for a sign of life before something is sent that must not be
    /// lost: it has let something stand for a while, or has not been heard for long. Never so of a
    /// peer that has answered no PING.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        let state = self.shared.lock();
        let longer = |since: Option<Instant>, limit| since.is_some_and(|it| it.elapsed() > limit);
        state.last_pong.is_some()
            && (longer(state.unanswered_since, UNANSWERED)
                || longer(state.connection.last_frame(), RESTED))
    }

    /// Ends every request that may safely be sent again: one that has not been written, or one that
    /// [`RecvHalf::allow_repeat`] says so of and that has no answer yet. For a peer that does not
    /// answer; the others go on.
    pub fn abandon(&self) {
        self.shared.abandon();
    }

    /// How the connection ended, once it has.
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        self.shared.lock().closed.clone()
    }

    /// How the connection is doing.
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
/// Dropped, it refuses further requests and drops other news.
pub struct Incoming {
    shared: Shared,
}

impl Incoming {
    /// Ready with the next piece of news; `None` when the connection is over.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<News>> {
        let mut state = self.shared.lock();
        if let Some(news) = state.news.pop_front() {
            return Poll::Ready(Some(news));
        }
        if state.closed.is_some() {
            return Poll::Ready(None);
        }
        register(&mut state.news_reader, cx);
        Poll::Pending
    }

    /// Waits for the next piece of news.
    pub async fn next(&mut self) -> Option<News> {
        poll_fn(|cx| self.poll_next(cx)).await
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.news_wanted = false;
        let untaken = std::mem::take(&mut state.news);
        drop(state);
        // Requests among them lock again to reset their streams.
        drop(untaken);
    }
}
