//! The proxy's end of the control socket.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use seacat_channel::identity::Identity;
use seacat_channel::{GatewayConfig, NetworkConfig};
use seacat_proxy::{AccessLine, AccessLog};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncWrite, BufReader};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

use super::{Answer, Listener, Request, identity, line, look};
use crate::config::schema::Config;
use crate::controller::Command;
use crate::diagnose::Report;
use crate::diagnose::request::OwnRequests;
use crate::status::StatusView;

/// How many clients at once: a window, a few terminals, a monitoring script that forgets to close.
const MAX_CLIENTS: usize = 32;

/// A client that does not read for this long is let go, so that it holds no slot.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// What the server needs of the running proxy.
#[derive(Clone)]
pub struct Desk {
    /// Wishes go in here.
    pub commands: mpsc::Sender<Command>,
    /// The status, as it changes.
    pub status: watch::Receiver<Arc<StatusView>>,
    /// The latest requests and those to come.
    pub access: AccessLog,
    /// What it runs with now.
    pub running: watch::Receiver<Arc<Running>>,
    /// Requests of our own.
    pub own: OwnRequests,
}

/// What the engine runs with.
pub struct Running {
    /// The configuration in effect.
    pub config: Config,
    /// The gateways in use.
    pub gateways: Vec<GatewayConfig>,
    /// How they are found and reached.
    pub network: NetworkConfig,
    /// The environment the program was started in.
    pub environment: Vec<(String, String)>,
    /// Who the channel is, unless it is anonymous.
    pub identity: Option<Identity>,
}

/// Serves clients until it is dropped.
pub async fn serve(listener: Listener, desk: Desk) {
    let slots = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: trying again at once would only burn.
                tracing::warn!(%error, "the control socket cannot accept");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            tracing::warn!("{MAX_CLIENTS} clients of the control socket already: one more refused");
            continue;
        };
        let desk = desk.clone();
        tokio::spawn(async move {
            if let Err(error) = converse(stream, desk).await {
                tracing::debug!(%error, "a control client is gone");
            }
            drop(slot);
        });
    }
}

/// One client from its first request to its last.
pub(super) async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    mut desk: Desk,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let request = match line::read(&mut stream).await {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                // After a line that is not understood the next cannot be trusted either.
                return answer(&mut stream, &Answer::Error { message: error.to_string() }).await;
            }
            Err(error) => return Err(error),
        };
        match request {
            Request::Watch => return watch(&mut stream, desk.status).await,
            Request::Access => return access(&mut stream, &desk.access).await,
            Request::Diagnose { host } => {
                steps(&mut stream, |report| look::diagnose(&mut desk, host, report)).await?;
            }
            Request::TestGateway { gateway } => {
                steps(&mut stream, |report| look::test_gateway(&desk, gateway, report)).await?;
            }
            Request::TestRequest { host } => {
                let reply = look::test_request(&mut desk, host).await;
                answer(&mut stream, &reply).await?;
            }
            request => {
                let identity = desk.running.borrow().identity.clone();
                let reply = match identity::answer(identity.as_ref(), &request).await {
                    Some(reply) => reply,
                    None => desk.ask(request).await,
                };
                answer(&mut stream, &reply).await?;
            }
        }
    }
}

impl Desk {
    /// Hands a wish to the engine and waits for its answer.
    pub async fn ask(&mut self, request: Request) -> Answer {
        let (reply, answer) = oneshot::channel();
        let command = Command { request, reply };
        // Both fail only while the controller ends.
        let stopping = Answer::Error { message: "the proxy is stopping".to_owned() };
        match self.commands.send(command).await {
            Ok(()) => answer.await.unwrap_or(stopping),
            Err(_) => stopping,
        }
    }
}

async fn answer(stream: &mut (impl AsyncWrite + Unpin), answer: &Answer) -> io::Result<()> {
    timeout(WRITE_LIMIT, line::write(stream, answer)).await?
}

/// The steps of something that takes a while, and its end. It is given up when the client leaves.
async fn steps<F: Future<Output = Answer>>(
    stream: &mut (impl AsyncBufRead + AsyncWrite + Unpin),
    work: impl FnOnce(Report) -> F,
) -> io::Result<()> {
    let (report, mut steps) = Report::channel();
    let mut work = pin!(work(report));
    let end = loop {
        let step = tokio::select! {
            biased;
            Some(step) = steps.recv() => step,
            end = &mut work => break end,
            gone = left(stream) => {
                return gone.and(Err(io::ErrorKind::ConnectionAborted.into()));
            }
        };
        answer(stream, &Answer::Step { step }).await?;
    };
    while let Ok(step) = steps.try_recv() {
        answer(stream, &Answer::Step { step }).await?;
    }
    answer(stream, &end).await
}

/// The status now and after every change, until the client leaves or the proxy ends.
async fn watch(
    stream: &mut (impl AsyncBufRead + AsyncWrite + Unpin),
    mut status: watch::Receiver<Arc<StatusView>>,
) -> io::Result<()> {
    loop {
        let now = Answer::Status { status: Box::new(status.borrow_and_update().as_ref().clone()) };
        answer(stream, &now).await?;
        tokio::select! {
            changed = status.changed() => if changed.is_err() { return Ok(()) },
            gone = left(stream) => return gone,
        }
    }
}

/// The latest requests and a line for every one to come, until the client leaves or the proxy ends.
async fn access(
    stream: &mut (impl AsyncBufRead + AsyncWrite + Unpin),
    log: &AccessLog,
) -> io::Result<()> {
    let line = |line: &AccessLine| Answer::Access { line: Box::new(line.into()) };
    let (latest, mut lines) = log.follow();
    for past in latest {
        answer(stream, &line(&past)).await?;
    }
    loop {
        let next = tokio::select! {
            next = lines.recv() => match next {
                Ok(next) => line(&next),
                Err(RecvError::Lagged(lines)) => Answer::Missed { lines },
                Err(RecvError::Closed) => return Ok(()),
            },
            gone = left(stream) => return gone,
        };
        answer(stream, &next).await?;
    }
}

/// Resolves when the client has closed its end; whatever it says meanwhile is an error.
async fn left(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<()> {
    match stream.fill_buf().await?.len() {
        0 => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "a watching client only listens")),
    }
}
