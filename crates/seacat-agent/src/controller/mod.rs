//! The engine: one loop that owns the channel, the proxy and, in a demo, a gateway.
//!
//! ```text
//!   control socket ─┐
//!   window          ├─ Command ─► Engine::run ─► channel, proxy, configuration
//!   signals ────────┘                 │
//!                                     └─► StatusView to whoever watches
//! ```
//!
//! There is no timer here, so an idle engine wakes only for the channel's PINGs, and for what the
//! system says about network, sleep and clock (`system_events`).

mod change;
mod choice;
mod start;
mod status;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use seacat_channel::Channel;
use seacat_channel::identity::IdentityStatus;
use seacat_gateway::Demo;
use seacat_proxy::{AccessLine, Drained, Handle, Route};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub use self::start::{Setup, StartError};
use crate::config::Sources;
use crate::config::schema::Config;
use crate::control::{Answer, Desk, Listener, Request, Running, serve};
use crate::diagnose::request::OwnRequests;
use crate::first_run::FirstRun;
use crate::history::Recorder;
use crate::logging::LogHandle;
use crate::login::Login;
use crate::signals::{Signal, Signals};
use crate::status::{Local, StatusView};
use crate::system_events::Changes;

/// A wish, and where its answer goes.
#[derive(Debug)]
pub struct Command {
    /// What is wished.
    pub request: Request,
    /// Where the answer goes; whoever asked may have left.
    pub reply: oneshot::Sender<Answer>,
}

/// How the engine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Everything that ran has finished, or its deadline has come.
    Drained,
    /// A second signal came while it drained.
    Interrupted,
}

/// A started engine: the proxy listens, the channel dials. [`Engine::run`] does the rest.
pub struct Engine {
    channel: Channel,
    demo: Option<Demo>,
    /// The built-in gateway is wanted, whatever is configured.
    wants_demo: bool,
    proxy: JoinHandle<Drained>,
    proxy_handle: Handle,
    stop_proxy: oneshot::Sender<()>,
    local: Local,
    commands: mpsc::Receiver<Command>,
    views: watch::Sender<Arc<StatusView>>,
    running: watch::Sender<Arc<Running>>,
    desk: Desk,
    config: Config,
    sources: Sources,
    state_dir: PathBuf,
    log: Option<LogHandle>,
    login: Option<Login>,
    first_run: FirstRun,
    /// The requests, until the first of them has been seen.
    requests: Option<broadcast::Receiver<Arc<AccessLine>>>,
    /// Waits until a chosen gateway has answered or failed.
    switching: Option<JoinHandle<()>>,
    is_managed: bool,
    /// How the last attempt to take a changed configuration ended, and when.
    last_reload: Option<(Option<String>, Instant)>,
    changes: Changes,
    recorder: Recorder,
}

impl Engine {
    /// The local side, as it came to be.
    #[must_use]
    pub fn local(&self) -> &Local {
        &self.local
    }

    /// For those who have wishes or watch: the control socket, the window.
    #[must_use]
    pub fn desk(&self) -> Desk {
        self.desk.clone()
    }

    /// Obeys until it is told to stop, then lets finish what runs.
    pub async fn run(mut self, control: Option<Listener>, mut signals: Signals) -> End {
        let control = control.map(|listener| tokio::spawn(serve(listener, self.desk())));
        let mut status = self.channel.status();
        let mut group = self.channel.current_group();
        loop {
            group.mark_unchanged();
            let mut identity = self.channel.identity().map(|identity| identity.status());
            // It counts as changed since the start; what is published below is all there is so far.
            identity.iter_mut().for_each(watch::Receiver::mark_unchanged);
            self.publish();
            tokio::select! {
                // An error means that the channel is gone: nothing more to publish, but to obey.
                Ok(()) = status.changed() => drop(status.borrow_and_update()),
                () = changed(identity.as_mut()) => {}
                () = self.changes.next() => self.channel.network_changed(),
                Ok(()) = group.changed() => {}
                () = first_request(self.requests.as_mut(), &self.desk.own) => {
                    self.requests = None;
                    remember(self.first_run.see_request());
                }
                Some(command) = self.commands.recv() => {
                    let stop = command.request == Request::Stop;
                    if stop {
                        // A window that sees it closes, since a person has quit the program.
                        self.local.quitting = true;
                        self.publish();
                    }
                    let answer = self.obey(&command.request).await;
                    let _ = command.reply.send(answer);
                    if stop {
                        break;
                    }
                }
                signal = signals.next() => match signal {
                    Signal::Stop => break,
                    Signal::Reload => drop(self.reload().await),
                },
            }
        }
        let end = self.drain(&mut signals).await;
        self.recorder.finish();
        // Last, so that `status` still answers while requests finish.
        if let Some(control) = control {
            control.abort();
            let _ = control.await;
        }
        end
    }

    async fn obey(&mut self, request: &Request) -> Answer {
        match request {
            Request::Connect => {
                // Whoever asks may have put another password in place.
                if let Err(error) = self.set_network() {
                    return Answer::Error { message: error.to_string() };
                }
                self.channel.connect();
            }
            Request::Disconnect => self.channel.disconnect(),
            Request::Reload => return self.reload().await,
            Request::Status => {
                return Answer::Status { status: Box::new(self.view()) };
            }
            Request::Stop => tracing::info!("stop requested"),
            Request::Settings => return self.settings(),
            Request::CheckSettings { change } => return self.check(change),
            Request::SaveSettings { change } => return self.save(change).await,
            Request::FirstRun => return self.first_run_view(),
            Request::FirstRunDone => {
                remember(self.first_run.finish());
                return self.first_run_view();
            }
            Request::FirstRunLater => {
                remember(self.first_run.leave());
                return self.first_run_view();
            }
            Request::UseGateway { name } => return self.use_gateway(name).await,
            Request::UseBuiltinGateway { on } => return self.use_builtin(*on).await,
            // Answered at the desk, from what it holds.
            Request::Watch
            | Request::Access
            | Request::Applications
            | Request::Day
            | Request::Explain { .. }
            | Request::Enroll { .. }
            | Request::Renew
            | Request::ResetIdentity
            | Request::ImportIdentity { .. }
            | Request::ExportRequest
            | Request::ExportCertificate
            | Request::TestGateway { .. }
            | Request::Diagnose { .. }
            | Request::TestRequest { .. } => {}
        }
        Answer::Done
    }

    fn first_run_view(&self) -> Answer {
        let configured = !self.config.gateways.is_empty();
        let first_run = self.first_run.view(&self.view(), configured, self.is_managed);
        Answer::FirstRun { first_run }
    }

    /// Another gateway, another first request.
    fn choose(&mut self, builtin: bool) {
        self.wants_demo = builtin;
        remember(self.first_run.choose(builtin));
        self.requests = Some(self.desk.access.follow().1);
    }

    async fn use_builtin(&mut self, on: bool) -> Answer {
        if on && self.is_managed {
            return Answer::Error { message: StartError::DemoLocked.to_string() };
        }
        self.choose(on);
        match self.reload().await {
            Answer::Reloaded { .. } => Answer::Done,
            other => other,
        }
    }

    /// Takes nothing new, waits for what runs; a second signal ends it at once.
    async fn drain(&mut self, signals: &mut Signals) -> End {
        let limit = self.config.channel.drain;
        tracing::info!(limit_s = limit.as_secs_f64(), "waiting for active requests to finish");
        let goodbye = async {
            let until = Instant::now() + limit;
            let (nobody, _) = oneshot::channel();
            let _ = std::mem::replace(&mut self.stop_proxy, nobody).send(());
            match (&mut self.proxy).await {
                Ok(Drained { cut: 0 }) => {}
                Ok(Drained { cut }) => {
                    tracing::warn!(cut, "connections were closed before they had finished");
                }
                Err(error) => tracing::error!(%error, "the proxy panicked"),
            }
            self.channel.drain(until.saturating_duration_since(Instant::now())).await;
            if let Some(demo) = self.demo.take() {
                // It only has our own connection, which has just ended.
                let _ = timeout(DEMO_STOP, demo.stop()).await;
            }
        };
        tokio::pin!(goodbye);
        loop {
            tokio::select! {
                () = &mut goodbye => return End::Drained,
                signal = signals.next() => if signal == Signal::Stop {
                    return End::Interrupted;
                },
            }
        }
    }
}

/// The built-in gateway ends at once when its only client has; this is for the unforeseen.
const DEMO_STOP: Duration = Duration::from_secs(1);

/// Resolves when the identity has changed; never without one.
async fn changed(identity: Option<&mut watch::Receiver<IdentityStatus>>) {
    if let Some(identity) = identity
        && identity.changed().await.is_ok()
    {
        identity.borrow_and_update();
        return;
    }
    std::future::pending::<()>().await;
}

/// Resolves when an application has sent a request through the gateway; never when nobody wants to
/// know.
async fn first_request(
    requests: Option<&mut broadcast::Receiver<Arc<AccessLine>>>,
    own: &OwnRequests,
) {
    let Some(requests) = requests else {
        return std::future::pending().await;
    };
    loop {
        match requests.recv().await {
            Ok(line) => {
                if worked(&line) && !own.contains(line.client, line.time) {
                    return;
                }
            }
            Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}

/// Whether it shows that the way works: answered by the server behind the gateway, with success or
/// with the wish for a sign-in.
fn worked(line: &AccessLine) -> bool {
    line.route == Route::Gateway && line.error.is_none() && matches!(line.status, 200..=399 | 401)
}

/// What is only convenient to remember is not worth failing for.
fn remember(outcome: std::io::Result<()>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "the first run cannot be remembered");
    }
}
