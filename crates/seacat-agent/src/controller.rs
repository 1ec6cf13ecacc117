//! The engine: one loop that owns the channel, the proxy and, in a demo, a gateway.
//!
//! ```text
//!   control socket ─┐
//!   window          ├─ Command ─► Engine::run ─► channel, proxy, configuration
//!   signals ────────┘                 │
//!                                     └─► StatusView to whoever watches
//! ```
//!
//! There is no timer here, so an idle engine wakes only for the channel's PINGs. For the same reason
//! it does not watch for suspend and resume or a change of network: a clock that is compared now and
//! then would wake the machine more often than a PING does, and no more quickly notice that the
//! connection is dead. Whoever knows (a resume hook of the system, the window) says `connect`.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use seacat_channel::identity::{Identity, IdentityStatus};
use seacat_channel::{Channel, GatewayConfig, Roots, Trust};
use seacat_gateway::Demo;
use seacat_gateway::embedded::DemoError;
use seacat_proxy::{BindError, Drained, Proxy};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::apply::{self, CredentialsError, NetworkError};
use crate::config::load::load;
use crate::config::schema::Config;
use crate::config::settings::SETTINGS;
use crate::config::{Loaded, Sources};
use crate::control::{Answer, Desk, Listener, Request, serve};
use crate::identity_view::IdentityView;
use crate::logging::LogHandle;
use crate::port_owner::{self, Owner};
use crate::reference;
use crate::signals::{Signal, Signals};
use crate::status::{Local, MappedView, StatusView, view};

/// A wish, and where its answer goes.
#[derive(Debug)]
pub struct Command {
    /// What is wished.
    pub request: Request,
    /// Where the answer goes; whoever asked may have left.
    pub reply: oneshot::Sender<Answer>,
}

/// Wishes that may wait for the loop. It answers each at once, so a few are plenty.
const COMMANDS: usize = 16;

/// What the engine is started with.
#[derive(Debug)]
pub struct Setup {
    /// The configuration.
    pub loaded: Loaded,
    /// Where it came from, to read it again.
    pub sources: Sources,
    /// Where key and certificate are kept.
    pub state_dir: PathBuf,
    /// Use the built-in gateway even when others are configured.
    pub demo: bool,
    /// To change the level of the log.
    pub log: Option<LogHandle>,
}

/// Why the engine did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Somebody else has the port.
    #[error("{address} is taken by {}{}", owner_text(.owner), offer(.free))]
    PortTaken {
        /// What we wanted.
        address: SocketAddr,
        /// Who has it, where the system tells.
        owner: Option<Owner>,
        /// A free one instead.
        free: Option<u16>,
    },
    /// The proxy cannot listen for another reason.
    #[error("{}", with_cause(.0))]
    Bind(BindError),
    /// The credentials cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The upstream proxy cannot be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The built-in gateway does not start.
    #[error("the built-in gateway does not start: {0}")]
    Demo(#[from] DemoError),
    /// The organisation has named its gateways.
    #[error("the gateway is managed by your organisation: the built-in one cannot be used instead")]
    DemoLocked,
}

fn owner_text(owner: &Option<Owner>) -> String {
    owner.as_ref().map_or_else(|| "another program".to_owned(), Owner::to_string)
}

fn with_cause(error: &BindError) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn offer(free: &Option<u16>) -> String {
    free.map_or(String::new(), |port| format!("; port {port} is free: use --port {port}"))
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
    proxy: JoinHandle<Drained>,
    stop_proxy: oneshot::Sender<()>,
    local: Local,
    commands: mpsc::Receiver<Command>,
    views: watch::Sender<Arc<StatusView>>,
    desk: Desk,
    config: Config,
    sources: Sources,
    state_dir: PathBuf,
    log: Option<LogHandle>,
}

impl Engine {
    /// Starts the gateway of a demo, the channel and the proxy, in this order.
    ///
    /// # Errors
    /// When a port is taken or a file cannot be used. Nothing is left running.
    pub async fn start(setup: Setup) -> Result<Self, StartError> {
        let Setup { loaded, sources, state_dir, demo, log } = setup;
        let is_managed = loaded.origin("gateway").is_locked();
        if demo && is_managed {
            return Err(StartError::DemoLocked);
        }
        let config = loaded.config;
        let proxy_config = apply::proxy(&config)?;
        let demo =
            (demo || config.gateways.is_empty() && !is_managed).then(Demo::start).transpose()?;
        let gateways = match &demo {
            Some(demo) => vec![demo_gateway(demo)],
            None => config.gateways.iter().map(apply::gateway).collect(),
        };
        let mut channel = apply::channel(&config, gateways);
        // The built-in gateway is on this machine, knows everybody, and is gone with this program.
        if demo.is_none() {
            channel.network = apply::network(&config, &state_dir, &sources.environment)?;
            channel.identity = apply::identity(&config, &state_dir);
        }
        let channel = Channel::start(channel);
        let proxy =
            Proxy::bind(proxy_config, channel.clone()).map_err(|error| explain(error, &config))?;
        let local = Local {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            proxy: proxy.addresses().iter().copied().filter(|a| !is_mapped(a, &config)).collect(),
            mapped: config
                .proxy
                .map
                .iter()
                .map(|map| MappedView { listen: map.listen, host: map.host.clone() })
                .collect(),
            demo: demo.is_some(),
            gateways: names(&config),
        };
        let first = view(&channel.status().borrow(), None, &local, Instant::now());
        let (views, watching) = watch::channel(Arc::new(first));
        let (sender, commands) = mpsc::channel(COMMANDS);
        let desk = Desk {
            commands: sender,
            status: watching,
            access: proxy.access_log(),
            identity: channel.identity().cloned(),
        };
        let (stop_proxy, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            // A dropped sender means the same.
            let _ = stopped.await;
        };
        let proxy = tokio::spawn(proxy.run(shutdown, config.channel.drain));
        Ok(Self {
            channel,
            demo,
            proxy,
            stop_proxy,
            local,
            commands,
            views,
            desk,
            config,
            sources,
            state_dir,
            log,
        })
    }

    /// The local side, as it came to be.
    #[must_use]
    pub fn local(&self) -> &Local {
        &self.local
    }

    /// What it was started with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
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
        let mut identity = self.channel.identity().map(Identity::status);
        loop {
            self.publish();
            tokio::select! {
                // An error means that the channel is gone: nothing more to publish, but to obey.
                Ok(()) = status.changed() => drop(status.borrow_and_update()),
                () = changed(identity.as_mut()) => {}
                Some(command) = self.commands.recv() => {
                    let stop = command.request == Request::Stop;
                    let answer = self.obey(&command.request);
                    let _ = command.reply.send(answer);
                    if stop {
                        break;
                    }
                }
                signal = signals.next() => match signal {
                    Signal::Stop => break,
                    Signal::Reload => drop(self.reload()),
                },
            }
        }
        let end = self.drain(&mut signals).await;
        // Last, so that `status` still answers while requests finish.
        if let Some(control) = control {
            control.abort();
            let _ = control.await;
        }
        end
    }

    fn view(&self) -> StatusView {
        let status = self.channel.status();
        let status = status.borrow();
        let mut view = view(&status, self.channel.health(), &self.local, Instant::now());
        let identity = self.channel.identity().map(Identity::status);
        let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let today = i64::try_from(today).unwrap_or(i64::MAX);
        view.identity = identity.map(|status| IdentityView::new(&status.borrow(), today));
        view.reverse = self.channel.reverse().into_iter().map(Into::into).collect();
        view.reference = reference::letters(&view);
        view
    }

    fn publish(&self) {
        self.views.send_replace(Arc::new(self.view()));
    }

    fn obey(&mut self, request: &Request) -> Answer {
        match request {
            Request::Connect => {
                // Whoever asks may have put another password in place.
                if let Err(error) = self.set_network() {
                    return Answer::Error { message: error.to_string() };
                }
                self.channel.connect();
            }
            Request::Disconnect => self.channel.disconnect(),
            Request::Reload => return self.reload(),
            Request::Status => {
                return Answer::Status { status: Box::new(self.view()) };
            }
            Request::Stop => tracing::info!("told to stop"),
            // Answered at the desk, from what it holds.
            Request::Watch
            | Request::Access
            | Request::Enroll { .. }
            | Request::Renew
            | Request::ResetIdentity
            | Request::ImportIdentity { .. }
            | Request::ExportRequest
            | Request::ExportCertificate => {}
            Request::Settings
            | Request::CheckSettings { .. }
            | Request::SaveSettings { .. }
            | Request::TestGateway { .. }
            | Request::Diagnose { .. }
            | Request::TestRequest { .. }
            | Request::FirstRun
            | Request::FirstRunDone
            | Request::FirstRunLater
            | Request::UseBuiltinGateway { .. } => {
                return Answer::Error { message: "not there yet".to_owned() };
            }
        }
        Answer::Done
    }

    /// Reads the configuration again. What can change while requests run does; the rest is named.
    fn reload(&mut self) -> Answer {
        let new = match load(&self.sources) {
            Ok(loaded) => loaded.config,
            Err(problems) => {
                tracing::warn!("the configuration is not right, the old one stays:\n{problems}");
                return Answer::Error { message: problems.to_string() };
            }
        };
        if let Some(log) = &self.log {
            log.set_level(new.log.level);
        }
        if self.demo.is_none() && !new.gateways.is_empty() {
            self.channel.set_gateways(new.gateways.iter().map(apply::gateway).collect());
        }
        let restart_for = restart_for(&self.config, &new, self.demo.is_some());
        tracing::info!(?restart_for, "the configuration was read again");
        // What needs a restart is still as it was; the next reload compares with that.
        self.config.log.level = new.log.level;
        if self.demo.is_none() && !new.gateways.is_empty() {
            self.config.gateways = new.gateways;
            self.local.gateways = names(&self.config);
        }
        self.config.channel.dns_servers = new.channel.dns_servers;
        self.config.upstream = new.upstream;
        if let Err(error) = self.set_network() {
            tracing::warn!(%error, "the upstream proxy cannot be used, the old one stays");
            return Answer::Error { message: error.to_string() };
        }
        Answer::Reloaded { restart_for }
    }

    /// Tells the channel how gateways are found and reached, with the credentials as they are now.
    fn set_network(&self) -> Result<(), NetworkError> {
        // The built-in gateway is on this machine.
        if self.demo.is_none() {
            let environment = &self.sources.environment;
            let network = apply::network(&self.config, &self.state_dir, environment)?;
            self.channel.set_network(network);
        }
        Ok(())
    }

    /// Takes nothing new, waits for what runs; a second signal ends it at once.
    async fn drain(&mut self, signals: &mut Signals) -> End {
        let limit = self.config.channel.drain;
        tracing::info!(limit_s = limit.as_secs_f64(), "finishing what runs");
        let goodbye = async {
            let until = Instant::now() + limit;
            let (nobody, _) = oneshot::channel();
            let _ = std::mem::replace(&mut self.stop_proxy, nobody).send(());
            match (&mut self.proxy).await {
                Ok(Drained { cut: 0 }) => {}
                Ok(Drained { cut }) => tracing::warn!(cut, "connections did not finish in time"),
                Err(error) => tracing::error!(%error, "the proxy ended in a panic"),
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

/// The settings in which `new` differs from what runs and which need a restart.
fn restart_for(running: &Config, new: &Config, demo: bool) -> Vec<String> {
    let at_once = |key: &str| match key {
        "log.level" | "channel.dns_servers" => true,
        key if key.starts_with("upstream.") => true,
        // From and to the built-in gateway is a restart.
        "gateway" => !demo && !new.gateways.is_empty(),
        _ => false,
    };
    let show = |config, get: fn(&Config) -> Option<toml_edit::Value>| {
        get(config).map(|value| value.to_string())
    };
    SETTINGS
        .iter()
        .filter(|s| !at_once(s.key) && show(running, s.get) != show(new, s.get))
        .map(|s| s.key.to_owned())
        .collect()
}

/// What people call the configured gateways.
fn names(config: &Config) -> Vec<String> {
    config.gateways.iter().map(|gateway| apply::gateway(gateway).name).collect()
}

fn is_mapped(address: &SocketAddr, config: &Config) -> bool {
    config.proxy.map.iter().any(|map| map.listen == *address)
}

/// A taken port is told with its owner and a way out.
fn explain(error: BindError, config: &Config) -> StartError {
    match error {
        BindError::InUse { address } => StartError::PortTaken {
            address,
            owner: port_owner::find(address.port()),
            // The offer is an option for the proxy's own port.
            free: (!is_mapped(&address, config))
                .then(|| port_owner::free_port(&config.proxy.listen, address.port()))
                .flatten(),
        },
        error => StartError::Bind(error),
    }
}

fn demo_gateway(demo: &Demo) -> GatewayConfig {
    GatewayConfig {
        name: "the built-in gateway".to_owned(),
        port: demo.addr.port(),
        address: Some(demo.addr.ip()),
        trust: Trust { roots: Roots::Pem(demo.ca_pem.clone()), pins: Vec::new() },
        ..GatewayConfig::new(Demo::SERVER_NAME)
    }
}
