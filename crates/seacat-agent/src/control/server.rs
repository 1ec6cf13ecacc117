//! The proxy's end of the control socket.

use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use seacat_channel::Throttle;
use seacat_channel::descriptors::AcceptErrors;
use seacat_channel::{Channel, GatewayConfig, NetworkConfig};
use seacat_proxy::{AccessLine, AccessLog, RequestCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

use super::lines::Lines;
use super::{Answer, Listener, Request, identity, look, vanished};
use crate::config::schema::Config;
use crate::controller::Command;
use crate::diagnose::Report;
use crate::diagnose::request::OwnRequests;
use crate::history::History;
use crate::status::StatusView;

/// How many clients at once: a window, a few terminals, a monitoring script that forgets to close.
const MAX_CLIENTS: usize = 32;

/// A client that does not read for this long is let go, so that it holds no slot.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// Between two lists of applications.
const LIST_PAUSE: Duration = Duration::from_millis(500);

static FULL: Throttle = Throttle::new();

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
    /// What has happened before.
    pub history: History,
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
    /// The lasting link, for the identity at the gateway of the moment.
    pub channel: Channel,
}

/// Serves clients until it is dropped. A socket that has gone from its folder is made again as soon as
/// that can be done.
pub async fn serve(mut listener: Listener, desk: Desk) {
    let slots = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        let path = listener.path().to_owned();
        tokio::select! {
            () = accept_all(&listener, &slots, &desk) => {}
            () = vanished::vanished(&path) => {
                tracing::warn!(path = %path.display(), "the control socket is gone");
                // It would remove the next one.
                drop(listener);
                listener = bind_again(&path).await;
                tracing::info!(path = %path.display(), "the control socket is there again");
            }
        }
    }
}

/// Makes the socket, when its folder can be used again.
async fn bind_again(path: &Path) -> Listener {
    loop {
        let watch = vanished::Watch::new(path);
        match Listener::bind(path) {
            Ok(listener) => return listener,
            Err(error) => tracing::debug!(%error, "no control socket yet"),
        }
        match watch {
            Ok(watch) => watch.changed().await,
            Err(error) => {
                tracing::warn!(%error, "the control socket will not come back");
                std::future::pending::<()>().await;
            }
        }
    }
}

async fn accept_all(listener: &Listener, slots: &Arc<Semaphore>, desk: &Desk) {
    let mut errors = AcceptErrors::new("the control socket");
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                errors.failed(&error, || false).await;
                continue;
            }
        };
        errors.accepted();
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            if let Some(more) = FULL.pass() {
                tracing::warn!(
                    MAX_CLIENTS,
                    more,
                    "refused a control socket connection: too many are open"
                );
            }
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
    let mut lines = Lines::new(stream);
    loop {
        let request = match lines.read().await {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                // After a line that is not understood the next cannot be trusted either.
                return answer(&mut lines, &Answer::Error { message: error.to_string() }).await;
            }
            Err(error) => return Err(error),
        };
        match request {
            Request::Watch => return watch(&mut lines, desk.status).await,
            Request::Access => return access(&mut lines, &desk).await,
            Request::Applications => return applications(&mut lines, &desk).await,
            Request::Day => {
                let day = Box::new(desk.history.day(&desk.access));
                answer(&mut lines, &Answer::Day { day }).await?;
            }
            Request::Explain { code } => answer(&mut lines, &explain(&desk, &code)).await?,
            Request::Diagnose { host, path } => {
                let named = look::Named { host, path };
                steps(&mut lines, |report| look::diagnose(&mut desk, named, report)).await?;
            }
            Request::TestGateway { gateway } => {
                steps(&mut lines, |report| look::test_gateway(&desk, gateway, report)).await?;
            }
            Request::TestRequest { host } => {
                let reply = look::test_request(&mut desk, host).await;
                answer(&mut lines, &reply).await?;
            }
            request => {
                let identity = desk.running.borrow().channel.identity();
                let reply = match identity::answer(identity.as_ref(), &request).await {
                    Some(reply) => reply,
                    None => desk.ask(request).await,
                };
                answer(&mut lines, &reply).await?;
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

async fn answer(
    lines: &mut Lines<impl AsyncRead + AsyncWrite + Unpin>,
    answer: &Answer,
) -> io::Result<()> {
    timeout(WRITE_LIMIT, lines.write(answer)).await?
}

/// The steps of something that takes a while, and its end. It is given up when the client leaves.
async fn steps<F: Future<Output = Answer>>(
    lines: &mut Lines<impl AsyncRead + AsyncWrite + Unpin>,
    work: impl FnOnce(Report) -> F,
) -> io::Result<()> {
    let (report, mut steps) = Report::channel();
    let mut work = pin!(work(report));
    let end = loop {
        let step = tokio::select! {
            biased;
            Some(step) = steps.recv() => step,
            end = &mut work => break end,
            gone = lines.left() => {
                return gone.and(Err(io::ErrorKind::ConnectionAborted.into()));
            }
        };
        answer(lines, &Answer::Step { step }).await?;
    };
    while let Ok(step) = steps.try_recv() {
        answer(lines, &Answer::Step { step }).await?;
    }
    answer(lines, &end).await
}

/// The status now and after every change, until the client leaves or the proxy ends.
async fn watch(
    lines: &mut Lines<impl AsyncRead + AsyncWrite + Unpin>,
    mut status: watch::Receiver<Arc<StatusView>>,
) -> io::Result<()> {
    loop {
        let now = Answer::Status { status: Box::new(status.borrow_and_update().as_ref().clone()) };
        answer(lines, &now).await?;
        tokio::select! {
            changed = status.changed() => if changed.is_err() { return Ok(()) },
            gone = lines.left() => return gone,
        }
    }
}

/// The applications now and after every change, until the client leaves or the proxy ends.
async fn applications(
    lines: &mut Lines<impl AsyncRead + AsyncWrite + Unpin>,
    desk: &Desk,
) -> io::Result<()> {
    let _looking = desk.access.programs().look();
    let mut changes = desk.history.changes();
    loop {
        changes.mark_unchanged();
        let applications = desk.history.applications();
        answer(lines, &Answer::Applications { applications }).await?;
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return Ok(()) },
            gone = lines.left() => return gone,
        }
        // A list of a hundred is not sent a hundred times a second.
        tokio::select! {
            () = tokio::time::sleep(LIST_PAUSE) => {}
            gone = lines.left() => return gone,
        }
    }
}

/// What is known about the request with a code, as typed by a person.
fn explain(desk: &Desk, code: &str) -> Answer {
    let found = code.parse().ok().and_then(|code: RequestCode| desk.history.explain(code));
    match found {
        Some(explanation) => Answer::Explained { explanation: Box::new(explanation) },
        None => Answer::Error {
            message: format!(
                "no failed request has the code {}; they are kept for 24 hours",
                code.escape_debug()
            ),
        },
    }
}

/// The failed requests of the last 24 hours, the latest requests and a line for every one to come,
/// until the client leaves or the proxy ends.
async fn access(
    lines: &mut Lines<impl AsyncRead + AsyncWrite + Unpin>,
    desk: &Desk,
) -> io::Result<()> {
    // What a diagnosis asks for is no request of a person or an application.
    let line = |line: &AccessLine| {
        let is_own = desk.own.contains(line.client, line.time);
        (!is_own).then(|| Answer::Access { line: Box::new(line.into()) })
    };
    let (latest, mut requests) = desk.access.follow();
    let since = latest.first().map_or(SystemTime::now(), |oldest| oldest.time);
    for failed in desk.history.failures_before(since) {
        answer(lines, &Answer::Access { line: Box::new(failed) }).await?;
    }
    for past in latest.iter().filter_map(|past| line(past)) {
        answer(lines, &past).await?;
    }
    loop {
        let next = tokio::select! {
            next = requests.recv() => match next {
                Ok(next) => line(&next),
                Err(RecvError::Lagged(lines)) => Some(Answer::Missed { lines }),
                Err(RecvError::Closed) => return Ok(()),
            },
            gone = lines.left() => return gone,
        };
        if let Some(next) = next {
            answer(lines, &next).await?;
        }
    }
}
