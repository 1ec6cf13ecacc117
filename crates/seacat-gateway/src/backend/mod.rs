//! HTTP/1.1 back ends: which connection a request may use, and whether it is reused afterwards.
//!
//! | a request | goes to |
//! |---|---|
//! | on an application connection that has logged in | the connection that carries the login |
//! | that may be repeated (idempotent, without a body) | an idle connection; if that is lost, once more on a new one |
//! | any other | a new connection: an idle one may be closing, and then it is unknown whether the request was processed |

mod login;
mod pool;
mod upload;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use seacat_http1::{ResponseHead, login as scheme};
use seacat_http1_client::{Connection, Error, Exchange, Limits, Request, dial};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::{self, Endpoint, Upstream};

pub(crate) use login::Logins;
pub(crate) use pool::Pool;
pub(crate) use upload::Upload;

/// A configured host with its connections.
pub(crate) struct Host {
    pub(crate) config: config::Host,
    pub(crate) pool: Arc<Pool>,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackendError {
    #[error("the back end did not accept the connection in time")]
    ConnectTimeout,
    #[error("the back end cannot be reached: {0}")]
    Connect(#[source] io::Error),
    #[error(transparent)]
    Http(#[from] Error),
}

/// A TCP connection to one of the target's addresses, within `limit`.
pub(crate) async fn connect(to: &Endpoint, limit: Duration) -> Result<TcpStream, BackendError> {
    match timeout(limit, dial(&to.host, to.port)).await {
        Ok(Ok(tcp)) => Ok(tcp),
        Ok(Err(io)) if io.kind() == io::ErrorKind::TimedOut => Err(BackendError::ConnectTimeout),
        Ok(Err(io)) => Err(BackendError::Connect(io)),
        Err(_) => Err(BackendError::ConnectTimeout),
    }
}

/// A request in the form sent to the back end.
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// The whole head.
    pub(crate) head: Bytes,
    pub(crate) body: Option<Upload>,
    pub(crate) chunked: bool,
    /// It takes part in a connection-based login.
    pub(crate) authenticates: bool,
    /// Another protocol follows instead of another request.
    pub(crate) upgrade: bool,
}

impl Asked {
    /// Whether sending it again is safe.
    fn is_repeatable(&self) -> bool {
        self.body.is_none() && self.method.is_idempotent() && !self.upgrade
    }

    fn request(&self) -> Request<Upload> {
        Request {
            method: self.method.clone(),
            head: self.head.clone(),
            body: self.body.clone(),
            chunked: self.chunked,
        }
    }

    /// Whether the request permits reuse of the connection. Some servers take an unusual body for
    /// the next request (RFC 9110 section 9.3.1), and its response would then go to another client.
    fn leaves_clean(&self) -> bool {
        let unusual = [Method::GET, Method::HEAD, Method::DELETE, Method::OPTIONS, Method::TRACE];
        self.body.is_none() || !unusual.contains(&self.method)
    }
}

/// One host's back end, with the state that belongs to one client.
pub(crate) struct Backend<'a> {
    pub(crate) host: &'a Arc<Host>,
    pub(crate) upstream: &'a Upstream,
    pub(crate) logins: &'a Arc<Logins>,
    /// The application connection, if the client has named it.
    pub(crate) application: Option<u32>,
}

/// A response whose head has arrived.
pub(crate) struct Answered {
    pub(crate) head: ResponseHead,
    pub(crate) exchange: Exchange<Upload>,
    /// Its connection carries a login.
    bound: bool,
    clean: bool,
}

impl Backend<'_> {
    /// Sends the request and waits for the head of the response.
    pub(crate) async fn ask(&self, asked: &Asked) -> Result<Answered, BackendError> {
        if let Some(kept) = self.bound() {
            match self.send(kept, asked, true).await {
                Err(BackendError::Http(lost)) if lost.is_loss() && asked.is_repeatable() => {}
                outcome => return outcome,
            }
        } else if asked.is_repeatable() && !asked.authenticates {
            if let Some(kept) = self.host.pool.take() {
                match self.send(kept, asked, false).await {
                    Err(BackendError::Http(lost)) if lost.is_loss() => {}
                    outcome => return outcome,
                }
            }
        } else {
            self.host.pool.give_way();
        }
        let tcp = connect(&self.upstream.endpoint, self.host.config.connect_timeout).await?;
        self.send(Box::new(Connection::new(tcp)), asked, false).await
    }

    /// The connection that carries the login of the application connection.
    fn bound(&self) -> Option<Box<Connection>> {
        self.logins.take(self.application?, self.host)
    }

    async fn send(
        &self,
        connection: Box<Connection>,
        asked: &Asked,
        bound: bool,
    ) -> Result<Answered, BackendError> {
        let limits =
            Limits { response: self.upstream.response_timeout, body: self.upstream.body_timeout };
        let mut exchange = Exchange::start(connection, asked.request(), limits);
        let head = exchange.head().await?;
        let logs_in = asked.authenticates || scheme::challenges(head.status, &head.fields);
        if logs_in
            && !bound
            && let Some(application) = self.application
        {
            self.logins.bind(application, self.host);
        }
        let clean = asked.leaves_clean();
        Ok(Answered { head, exchange, bound: bound || logs_in, clean })
    }

    /// Stores the connection for reuse after the response has been read.
    pub(crate) fn keep(&self, exchange: Exchange<Upload>, bound: bool, clean: bool) {
        let Some(idle) = exchange.into_idle().filter(|_| clean) else {
            return;
        };
        match (bound, self.application) {
            (false, _) => self.host.pool.put(idle),
            (true, Some(application)) => self.logins.put(application, self.host, idle),
            (true, None) => {}
        }
    }
}

impl Answered {
    /// The head, the exchange, and the two arguments of [`Backend::keep`].
    pub(crate) fn into_parts(self) -> (ResponseHead, Exchange<Upload>, bool, bool) {
        (self.head, self.exchange, self.bound, self.clean)
    }
}
