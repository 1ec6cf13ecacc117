//! One request on one stream: find the host, get the answer, stream it back.
//!
//! ```text
//!   SYN_STREAM ─► host? ─► for the enrolled alone ─────────────────► SYN_REPLY 403
//!                   │ ├──► builtin ────────────────────────────────► SYN_REPLY, DATA, FIN
//!                   │ ├──► backend ─► answered ─► relay ───────────►      "
//!                   │ │          ├──► too late ────────────────────► RST 71 or 72
//!                   │ │          └──► refused, broken ─────────────► SYN_REPLY 502
//!                   │ └──► CONNECT, Upgrade ─► tunnel ◄────────────► DATA both ways
//!                   └────► unknown ────────────────────────────────► SYN_REPLY 404
//! ```
//!
//! Each exchange is a task of its own and owns all it uses. When the client resets the stream,
//! the task ends, and with it the back end's connection. What a small request does not need is in
//! a box, so that its task is small.

use std::pin::pin;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use seacat_link::{RecvHalf, SendHalf, StreamError, TunnelError, tunnel};
use seacat_proto::{HeadTooLarge, Reason, ReplyHead, RequestHead};
use tracing::debug;

use crate::backend::{BackendError, Connection, Pool, RequestBody, Upload};
use crate::config::{self, Backend, Upstream};
use crate::head::{self, Follows};
use crate::identity::Caller;
use crate::text::Text;

/// Marks the 403 for want of an identity (RFC 9209): our client then asks whether we know it.
const DENIAL: &str = "seacat-gateway; error=http_request_denied; details=\"identity\"";

/// A configured host with its connections.
pub(crate) struct Host {
    pub(crate) config: config::Host,
    pub(crate) pool: Arc<Pool>,
}

/// How an exchange ends when it does not end well.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The client or its connection is gone.
    Gone(StreamError),
    /// We give the stream up.
    Reset(Reason),
}

impl From<StreamError> for Failed {
    fn from(error: StreamError) -> Self {
        Self::Gone(error)
    }
}

impl From<TunnelError> for Failed {
    fn from(error: TunnelError) -> Self {
        match error {
            TunnelError::Stream(error) => Self::Gone(error),
            TunnelError::Socket(error) => {
                debug!(%error, "the far side of a tunnel is lost");
                Self::Reset(Reason::INTERNAL_ERROR)
            }
        }
    }
}

impl From<HeadTooLarge> for Failed {
    /// Only heads of our own making come here, and none is that large.
    fn from(_: HeadTooLarge) -> Self {
        Self::Reset(Reason::INTERNAL_ERROR)
    }
}

/// Serves one request to its end. `host` is `None` when the gateway has none of that name.
pub(crate) async fn serve(request: seacat_link::Request, host: Option<Arc<Host>>, caller: Caller) {
    let seacat_link::Request { head, end, mut reply, body } = request;
    let id = reply.id();
    let exchange = Exchange { head: &head, end, caller: &caller, reply: &mut reply };
    let result = match host {
        None => exchange.unknown_host(),
        Some(host) => exchange.run(&host, body).await,
    };
    match result {
        Ok(()) => {}
        Err(Failed::Gone(error)) => debug!(%id, %error, "the client gave the stream up"),
        Err(Failed::Reset(reason)) => {
            debug!(%id, %reason, "stream reset");
            reply.reset(reason);
        }
    }
}

/// What every kind of answer needs.
struct Exchange<'a> {
    head: &'a RequestHead,
    end: bool,
    caller: &'a Caller,
    reply: &'a mut SendHalf,
}

impl Exchange<'_> {
    async fn run(mut self, host: &Host, mut body: RecvHalf) -> Result<(), Failed> {
        if host.config.identity
            && let Err(why) = self.caller.identity(SystemTime::now())
        {
            let text = format!("this host is for enrolled clients: {why}\n");
            return Text::new(StatusCode::FORBIDDEN, text)
                .field("Proxy-Status", DENIAL)
                .send(self.head, self.reply);
        }
        if self.head.method() == b"CONNECT" {
            return Box::pin(self.connect(host, body)).await;
        }
        match &host.config.backend {
            Some(Backend::Http(upstream)) => self.http(host, upstream, body).await,
            Some(Backend::Builtin(builtin)) => {
                Box::pin(builtin.answer(self.head, self.caller, self.reply, &mut body)).await
            }
            None => {
                let text = Text::new(StatusCode::METHOD_NOT_ALLOWED, "this host is for CONNECT");
                text.field("Allow", "CONNECT").send(self.head, self.reply)
            }
        }
    }

    fn unknown_host(mut self) -> Result<(), Failed> {
        /// Enough to recognise a mistyped name.
        const SHOWN: usize = 100;
        let name = self.head.host();
        let name = name[..name.len().min(SHOWN)].escape_ascii();
        let text = format!("this gateway has no host named \"{name}\"\n");
        self.text(StatusCode::NOT_FOUND, text)
    }

    fn text(&mut self, status: StatusCode, text: impl Into<Bytes>) -> Result<(), Failed> {
        Text::new(status, text).send(self.head, self.reply)
    }

    async fn connect(&mut self, host: &Host, body: RecvHalf) -> Result<(), Failed> {
        let Some(target) = &host.config.connect else {
            let text = "CONNECT is not open for this host: its `connect` is not set\n";
            return self.text(StatusCode::FORBIDDEN, text);
        };
        let connecting = Connection::tcp(target, host.config.connect_timeout);
        match self.unless_gone(connecting).await? {
            Ok(tcp) => {
                self.reply.reply(ReplyHead::new(200), false)?;
                Ok(tunnel(tcp, Bytes::new(), self.reply, body).await?)
            }
            Err(error) => self.backend_failed(&error),
        }
    }

    async fn http(
        &mut self,
        host: &Host,
        upstream: &Upstream,
        mut body: RecvHalf,
    ) -> Result<(), Failed> {
        let (head, caller) = (self.head, self.caller);
        let converted = head::to_backend(head, self.end, upstream, caller);
        let (mut request, mut follows) = match converted {
            Ok(converted) => converted,
            Err(bad) => return self.text(StatusCode::BAD_REQUEST, format!("{bad}\n")),
        };
        let mut first = None;
        if follows == Follows::Chunks && matches!(*request.method(), Method::GET | Method::HEAD) {
            // Some back ends refuse a GET with a body, and a client that left FIN for later most
            // likely has none.
            first = body.data().await.transpose()?;
            if first.is_none() {
                request.headers_mut().remove(header::TRANSFER_ENCODING);
                follows = Follows::Nothing;
            }
        }
        let length = match follows {
            Follows::Tunnel => return Box::pin(self.upgrade(host, upstream, request, body)).await,
            Follows::Nothing => {
                let request = request.map(|()| RequestBody::Empty);
                let again = || {
                    let (request, _) = head::to_backend(head, true, upstream, caller).ok()?;
                    request.method().is_idempotent().then(|| request.map(|()| RequestBody::Empty))
                };
                let asking = pin!(ask(host, upstream, request, None, again));
                let answered = self.unless_gone(asking).await?;
                return self.relay(&host.pool, answered, None).await;
            }
            Follows::Length(length) => Some(length),
            Follows::Chunks => None,
        };
        let upload = Upload::new(body, first, length);
        Box::pin(self.upload(host, upstream, request, &upload)).await
    }

    /// Passes on a request with its body.
    async fn upload(
        &mut self,
        host: &Host,
        upstream: &Upstream,
        request: Request<()>,
        upload: &Upload,
    ) -> Result<(), Failed> {
        let request = request.map(|()| RequestBody::Upload(upload.clone()));
        let asking = pin!(ask(host, upstream, request, Some(upload), || None));
        let answered = self.unless_gone(asking).await?;
        if answered.is_err() && upload.failed() {
            debug!(id = %self.reply.id(), "the request's body is not what its head promised");
            return Err(Failed::Reset(Reason::PROTOCOL_ERROR));
        }
        self.relay(&host.pool, answered, Some(upload)).await
    }

    /// Streams the back end's answer to the client, and keeps the connection if it can be used
    /// again.
    async fn relay(
        &mut self,
        pool: &Arc<Pool>,
        answered: Result<(Box<Connection>, Response<Incoming>), BackendError>,
        upload: Option<&Upload>,
    ) -> Result<(), Failed> {
        let (mut connection, response) = match answered {
            Ok(answered) => answered,
            Err(error) => return self.backend_failed(&error),
        };
        let (parts, mut body) = response.into_parts();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            let text = "the back end switched to a protocol that it was not asked for\n";
            return self.text(StatusCode::BAD_GATEWAY, text);
        }
        let Ok(answer) = head::to_client(&parts) else {
            let text = "the head of the back end's answer does not fit into 16 KiB\n";
            return self.text(StatusCode::BAD_GATEWAY, text);
        };
        let end = body.is_end_stream();
        self.reply.reply(answer, end)?;
        if !end {
            self.relay_body(&mut connection, &mut body).await?;
        }
        // After an early answer the rest of the request has nowhere to go, and neither has the
        // connection: letting go of both tells the client to stop.
        if upload.is_none_or(Upload::is_over) {
            pool.park(connection).await;
            if let Some(upload) = upload {
                upload.end().await;
            }
        }
        Ok(())
    }

    async fn relay_body(
        &mut self,
        connection: &mut Connection,
        body: &mut Incoming,
    ) -> Result<(), Failed> {
        loop {
            // The request's body may still be on its way: keep it moving.
            connection.drive(self.reply.ready()).await?;
            let frame = self.unless_gone(connection.drive(body.frame())).await?;
            match frame {
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.reply.send(bytes)?;
                    }
                    if !body.is_end_stream() {
                        continue;
                    }
                }
                Some(Err(error)) => {
                    debug!(id = %self.reply.id(), %error, "the back end broke its answer off");
                    return Err(Failed::Reset(Reason::INTERNAL_ERROR));
                }
                None => {}
            }
            return Ok(self.reply.finish()?);
        }
    }

    async fn upgrade(
        &mut self,
        host: &Host,
        upstream: &Upstream,
        request: Request<()>,
        body: RecvHalf,
    ) -> Result<(), Failed> {
        let request = request.map(|()| RequestBody::Empty);
        let asking = async {
            let timeout = host.config.connect_timeout;
            let mut connection = Connection::open(&upstream.endpoint, timeout).await?;
            let answer = connection.send(request, upstream.response_timeout, None).await?;
            Ok((connection, answer))
        };
        let answered = self.unless_gone(asking).await?;
        match answered {
            Ok((connection, response)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                let (parts, _) = response.into_parts();
                let Ok(answer) = head::to_client(&parts) else {
                    let text = "the head of the back end's answer does not fit into 16 KiB\n";
                    return self.text(StatusCode::BAD_GATEWAY, text);
                };
                let (tcp, early) = match connection.into_tcp().await {
                    Ok(switched) => switched,
                    Err(error) => return self.backend_failed(&error),
                };
                self.reply.reply(answer, false)?;
                Ok(tunnel(tcp, early, self.reply, body).await?)
            }
            answered => self.relay(&host.pool, answered, None).await,
        }
    }

    /// Works for the client as long as it wants the result. Large work comes pinned: what an
    /// `async fn` is given has two places in its memory.
    async fn unless_gone<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Failed> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            error = self.reply.gone() => Err(error.into()),
        }
    }

    /// The one place where a back end's failure becomes an answer.
    fn backend_failed(&mut self, error: &BackendError) -> Result<(), Failed> {
        debug!(id = %self.reply.id(), %error, "no answer from the back end");
        match error {
            BackendError::ConnectTimeout => return Err(Failed::Reset(Reason::CONNECTION_TIMEOUT)),
            BackendError::ResponseTimeout => return Err(Failed::Reset(Reason::RESPONSE_TIMEOUT)),
            BackendError::Connect(_) | BackendError::Http(_) => {}
        }
        // What went wrong in our network is for our log; the client gets the kind of it.
        let text = match error {
            BackendError::Http(_) => {
                "the back end broke the connection or its answer is not HTTP\n"
            }
            _ => "the back end of this host cannot be reached\n",
        };
        self.text(StatusCode::BAD_GATEWAY, text)
    }
}

/// Asks the back end, on a connection that is there or a new one.
///
/// A connection that has been idle may be closed by the back end in the very moment it is used.
/// A request that was not sent, or of which `again` makes another, then goes to the next one.
async fn ask(
    host: &Host,
    upstream: &Upstream,
    mut request: Request<RequestBody>,
    upload: Option<&Upload>,
    again: impl Fn() -> Option<Request<RequestBody>>,
) -> Result<(Box<Connection>, Response<Incoming>), BackendError> {
    let limit = upstream.response_timeout;
    let mut fresh = false;
    loop {
        let idle = if fresh { None } else { host.pool.take() };
        let mut connection = match idle {
            Some(idle) => idle,
            None => {
                fresh = true;
                let timeout = host.config.connect_timeout;
                Box::pin(Connection::open(&upstream.endpoint, timeout)).await?
            }
        };
        match connection.try_send(request, limit, upload).await {
            Ok(answer) => return Ok((connection, answer)),
            Err((error, _)) if fresh => return Err(error),
            Err((_, Some(unsent))) => request = unsent,
            Err((error, None)) => match again() {
                Some(copy) if error.is_loss() => {
                    request = copy;
                    fresh = true; // once, and on a fresh connection
                }
                _ => return Err(error),
            },
        }
    }
}
