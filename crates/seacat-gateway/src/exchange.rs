//! One request on one stream: find the host, forward the request, stream the response back.
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
//! Each exchange is a task and owns everything it uses. When the client resets the stream, the task
//! ends, and with it the back-end connection. State that a small request does not need is boxed, so
//! that its task is small.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, StatusCode};
use seacat_http1::{Authority, Violation};
use seacat_http1_client as client;
use seacat_link::{RecvHalf, Resource, SendHalf, tunnel};
use seacat_proto::{Reason, ReplyHead, RequestHead};
use tokio::time::timeout;
use tracing::debug;

use crate::backend::{self, Answered, Asked, Backend, BackendError, Host, Logins, Upload};
use crate::config::{self, Upstream};
use crate::fault::{Code, Failed, Fault, note};
use crate::head::{self, Follows, Outgoing};
use crate::identity::Caller;

/// The port of CONNECT when the client names none: TLS.
const TLS_PORT: u16 = 443;

/// How long FIN of a complete request may take after the response. Then the stream is reset.
const LATE_END: Duration = Duration::from_secs(10);

/// Serves one request to its end. `host` is `None` when the gateway has none of that name.
pub(crate) async fn serve(
    request: seacat_link::Request,
    host: Option<Arc<Host>>,
    caller: Caller,
    logins: Arc<Logins>,
) {
    let seacat_link::Request { head, end, mut reply, body } = request;
    let id = reply.id();
    let exchange =
        Exchange { head: &head, end, caller: &caller, logins: &logins, reply: &mut reply };
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

/// What every kind of response needs.
struct Exchange<'a> {
    head: &'a RequestHead,
    end: bool,
    caller: &'a Caller,
    logins: &'a Arc<Logins>,
    reply: &'a mut SendHalf,
}

impl Exchange<'_> {
    async fn run(mut self, host: &Arc<Host>, mut body: RecvHalf) -> Result<(), Failed> {
        if host.config.identity
            && let Err(why) = self.caller.identity(SystemTime::now())
        {
            let what = format!("this host is for enrolled clients: {why}");
            return self.refuse(Code::Identity, what);
        }
        // For the connection to the back end.
        let Some(_descriptor) = self.caller.share.permit(Resource::Descriptors, 1) else {
            return Err(Failed::Reset(Reason::REFUSED_STREAM));
        };
        if self.head.method() == b"CONNECT" {
            return Box::pin(self.connect(host, body)).await;
        }
        match &host.config.backend {
            Some(config::Backend::Http(upstream)) => self.http(host, upstream, body).await,
            Some(config::Backend::Builtin(builtin)) => {
                Box::pin(builtin.answer(self.head, self.caller, self.reply, &mut body)).await
            }
            None => self.refuse(Code::ConnectOnly, "this host is for CONNECT"),
        }
    }

    fn unknown_host(mut self) -> Result<(), Failed> {
        /// Enough to recognise a mistyped name.
        const SHOWN: usize = 100;
        let name = self.head.host();
        let name = name[..name.len().min(SHOWN)].escape_ascii();
        let what = format!("this gateway has no host named \"{name}\"");
        self.refuse(Code::UnknownHost, what)
    }

    fn refuse(&mut self, code: Code, what: impl Into<String>) -> Result<(), Failed> {
        Fault::new(code, what).send(self.head, self.reply)
    }

    async fn connect(&mut self, host: &Host, body: RecvHalf) -> Result<(), Failed> {
        let Some(connect) = &host.config.connect else {
            let what = "CONNECT is not open for this host: its `connect` is not set";
            return self.refuse(Code::Connect, what);
        };
        let asked = Authority::parse(self.head.path()).and_then(|it| it.port);
        let port = asked.unwrap_or(TLS_PORT);
        let Some(target) = connect.target(port) else {
            let what = format!("CONNECT leads to {connect} of this host, not to port {port}");
            return self.refuse(Code::Connect, what);
        };
        let connecting = backend::connect(target, host.config.connect_timeout);
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
        host: &Arc<Host>,
        upstream: &Upstream,
        mut body: RecvHalf,
    ) -> Result<(), Failed> {
        let head = self.head;
        let mut outgoing = match head::to_backend(head, self.end, upstream, self.caller) {
            Ok(outgoing) => outgoing,
            Err(bad) => return self.refuse(Code::Request, bad.to_string()),
        };
        let application = head.connection();
        let backend = Backend { host, upstream, logins: self.logins, application };
        let mut first = None;
        if outgoing.follows == Follows::Chunks
            && matches!(outgoing.method, Method::GET | Method::HEAD)
        {
            // Some back ends refuse a GET with a body, and a client that sends FIN later most
            // likely has no body.
            first = match timeout(upstream.body_timeout, body.data()).await {
                Ok(first) => first.transpose()?,
                Err(_) => return Err(Failed::Reset(Reason::CANCEL)),
            };
            if first.is_none() {
                outgoing.follows = Follows::Nothing;
            }
        }
        let upload = match outgoing.follows {
            Follows::Tunnel => return Box::pin(self.upgrade(&backend, &outgoing, body)).await,
            Follows::Nothing => {
                self.bare(&backend, &outgoing).await?;
                if outgoing.upgrade_left_out {
                    // The stream is open for the other protocol.
                    let end = poll_fn(|cx| body.poll_data(cx));
                    let _ = timeout(LATE_END, end).await;
                }
                return Ok(());
            }
            Follows::Length(length) => Upload::new(body, first, Some(length)),
            Follows::Chunks => Upload::new(body, first, None),
        };
        Box::pin(self.upload(&backend, &outgoing, upload)).await
    }

    /// Forwards a request without a body.
    async fn bare(&mut self, backend: &Backend<'_>, outgoing: &Outgoing<'_>) -> Result<(), Failed> {
        let asked = asked(outgoing, None);
        let asking = pin!(backend.ask(&asked));
        let answered = self.unless_gone(asking).await?;
        self.relay(backend, outgoing, answered, None).await
    }

    /// Forwards a request with its body.
    async fn upload(
        &mut self,
        backend: &Backend<'_>,
        outgoing: &Outgoing<'_>,
        upload: Upload,
    ) -> Result<(), Failed> {
        let asked = asked(outgoing, Some(upload.clone()));
        let asking = pin!(backend.ask(&asked));
        let answered = self.unless_gone(asking).await?;
        self.relay(backend, outgoing, answered, Some(upload)).await
    }

    /// Streams the back end's response to the client, and stores the connection if it can be
    /// reused.
    async fn relay(
        &mut self,
        backend: &Backend<'_>,
        outgoing: &Outgoing<'_>,
        answered: Result<Answered, BackendError>,
        upload: Option<Upload>,
    ) -> Result<(), Failed> {
        let answered = match answered {
            Ok(answered) => answered,
            Err(error) => return self.backend_failed(&error),
        };
        let (head, mut exchange, bound, clean) = answered.into_parts();
        if let Some(what) = head.unasked(false) {
            return self.refuse(Code::Response, format!("the back end {what}"));
        }
        let Ok(mut answer) = head::to_client(&head, &outgoing.method, &outgoing.names) else {
            return self.refuse_large_head();
        };
        if outgoing.upgrade_left_out {
            let what = "Upgrade was left out: this host does not set `upgrade`";
            // If the note does not fit, the response is sent without it.
            let _ = answer.push(b"Proxy-Status", note(what).as_bytes());
        }
        let end = exchange.is_ended();
        self.reply.reply(answer, end)?;
        if !end {
            self.relay_body(&mut exchange).await?;
        }
        // After an early response the rest of the request is not needed and the connection cannot
        // be reused: dropping both makes the client stop.
        let over = upload.as_ref().is_none_or(Upload::is_over);
        backend.keep(exchange, bound, clean);
        if let Some(upload) = upload.filter(|_| over) {
            upload.end().await;
        }
        Ok(())
    }

    async fn relay_body(&mut self, exchange: &mut client::Exchange<Upload>) -> Result<(), Failed> {
        loop {
            self.ready(exchange).await?;
            match self.unless_gone(exchange.data()).await? {
                Some(Ok(bytes)) => {
                    self.reply.send(bytes)?;
                    if !exchange.is_ended() {
                        continue;
                    }
                }
                Some(Err(error)) => {
                    debug!(id = %self.reply.id(), %error, "the back end's answer broke off");
                    return Err(Failed::Reset(broken_off(&error)));
                }
                None => {}
            }
            return Ok(self.reply.finish()?);
        }
    }

    /// Waits until the client can take more. The request's body is forwarded meanwhile.
    async fn ready(&mut self, exchange: &mut client::Exchange<Upload>) -> Result<(), Failed> {
        poll_fn(|cx| {
            if let Poll::Ready(outcome) = self.reply.poll_ready(cx) {
                return Poll::Ready(outcome.map_err(Failed::from));
            }
            exchange.poll_upload(cx).map(|error| Err(Failed::Reset(broken_off(&error))))
        })
        .await
    }

    async fn upgrade(
        &mut self,
        backend: &Backend<'_>,
        outgoing: &Outgoing<'_>,
        body: RecvHalf,
    ) -> Result<(), Failed> {
        let asked = asked(outgoing, None);
        let asking = pin!(backend.ask(&asked));
        match self.unless_gone(asking).await? {
            Ok(answered) if answered.head.status == StatusCode::SWITCHING_PROTOCOLS => {
                let (head, exchange, ..) = answered.into_parts();
                let answer = head::to_client(&head, &outgoing.method, &outgoing.names);
                let Ok(answer) = answer else {
                    return self.refuse_large_head();
                };
                let (tcp, early) = exchange.into_connection().into_parts();
                self.reply.reply(answer, false)?;
                Ok(tunnel(tcp, early, self.reply, body).await?)
            }
            answered => self.relay(backend, outgoing, answered, None).await,
        }
    }

    /// Runs `work` until the client resets the stream. Large futures are passed pinned, because an
    /// `async fn` stores its arguments twice (rust-lang/rust#62958).
    async fn unless_gone<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Failed> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            error = self.reply.gone() => Err(error.into()),
        }
    }

    fn refuse_large_head(&mut self) -> Result<(), Failed> {
        let what = "the head of the back end's answer does not fit into 16 KiB";
        self.refuse(Code::ResponseHead, what)
    }

    /// Converts a back end's failure to a response. The details are logged; the client receives
    /// only the kind of failure.
    fn backend_failed(&mut self, error: &BackendError) -> Result<(), Failed> {
        debug!(id = %self.reply.id(), %error, "no answer from the back end");
        match error {
            BackendError::ConnectTimeout => Err(Failed::Reset(Reason::CONNECTION_TIMEOUT)),
            BackendError::Connect(_) => {
                self.refuse(Code::Unreachable, "the back end of this host cannot be reached")
            }
            BackendError::Http(error) => match error {
                client::Error::ResponseTimeout => Err(Failed::Reset(Reason::RESPONSE_TIMEOUT)),
                client::Error::Response(Violation { what, .. }) => {
                    self.refuse(Code::Response, format!("the back end's answer is refused: {what}"))
                }
                client::Error::Lost(_) | client::Error::Broken(_) => {
                    self.refuse(Code::Lost, "the back end broke the connection without an answer")
                }
                error => Err(Failed::Reset(broken_off(error))),
            },
        }
    }
}

/// The reset reason for a body that ended early.
fn broken_off(error: &client::Error) -> Reason {
    match error {
        client::Error::Upload(_) => Reason::PROTOCOL_ERROR,
        client::Error::BodyTimeout => Reason::RESPONSE_TIMEOUT,
        client::Error::UploadTimeout => Reason::CANCEL,
        _ => Reason::INTERNAL_ERROR,
    }
}

fn asked(outgoing: &Outgoing<'_>, body: Option<Upload>) -> Asked {
    Asked {
        method: outgoing.method.clone(),
        head: outgoing.encode(),
        body,
        chunked: outgoing.follows == Follows::Chunks,
        authenticates: outgoing.authenticates,
        upgrade: outgoing.follows == Follows::Tunnel,
    }
}
