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
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use seacat_channel::identity::{Identity, IdentityStatus};
use seacat_channel::{Channel, GatewayConfig, NetworkConfig, Roots, Trust};
use seacat_gateway::Demo;
use seacat_gateway::embedded::DemoError;
use seacat_proxy::{AccessLine, BindError, Drained, Proxy, Reins, Route};
use serde_json::Value;
use thiserror::Error;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::apply::{self, CredentialsError, NetworkError};
use crate::config::load::load;
use crate::config::schema::{Channel as ChannelSettings, Config, Log};
use crate::config::settings::SETTINGS;
use crate::config::{Loaded, Problems, Sources, edit};
use crate::control::{Answer, Desk, Listener, Request, Running, serve, today};
use crate::diagnose::request::OwnRequests;
use crate::first_run::FirstRun;
use crate::identity_view::IdentityView;
use crate::logging::LogHandle;
use crate::login::Login;
use crate::port_owner::{self, Owner};
use crate::reference;
use crate::settings::{self, Checked, Note, SettingsChange};
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
    /// To start at login, where that can be chosen.
    pub login: Option<Login>,
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

impl StartError {
    /// A taken port is told with its owner and a way out.
    fn from_bind(error: BindError, config: &Config) -> Self {
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
    /// The built-in gateway is wanted, whatever is configured.
    wants_demo: bool,
    proxy: JoinHandle<Drained>,
    reins: Reins,
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
    is_managed: bool,
}

impl Engine {
    /// Starts the gateway of a demo, the channel and the proxy, in this order.
    ///
    /// # Errors
    /// When a port is taken or a file cannot be used. Nothing is left running.
    pub async fn start(setup: Setup) -> Result<Self, StartError> {
        let Setup { loaded, sources, state_dir, demo: wants_demo, log, login } = setup;
        let is_managed = loaded.origin("gateway").is_locked();
        if wants_demo && is_managed {
            return Err(StartError::DemoLocked);
        }
        let config = loaded.config;
        let proxy_config = apply::proxy(&config)?;
        let is_demo = wants_demo || config.gateways.is_empty() && !is_managed;
        let demo = is_demo.then(Demo::start).transpose()?;
        let mut channel = apply::channel(&config, gateways(&config, demo.as_ref()));
        // The built-in gateway is on this machine, knows everybody, and is gone with this program.
        if demo.is_none() {
            channel.network = apply::network(&config, &state_dir, &sources.environment)?;
            channel.identity = apply::identity(&config, &state_dir);
        }
        let channel = Channel::start(channel);
        let proxy = Proxy::bind(proxy_config, channel.clone())
            .map_err(|error| StartError::from_bind(error, &config))?;
        let local = Local {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            demo: demo.is_some(),
            gateways: names(&config),
            ..local(proxy.addresses(), &config)
        };
        let first = view(&channel.status().borrow(), None, &local, Instant::now());
        let (views, watching) = watch::channel(Arc::new(first));
        let (sender, commands) = mpsc::channel(COMMANDS);
        let now = running(&config, &channel, demo.as_ref(), &state_dir, &sources);
        let (running, seen) = watch::channel(Arc::new(now));
        let desk = Desk {
            commands: sender,
            status: watching,
            access: proxy.access_log(),
            running: seen,
            own: OwnRequests::default(),
        };
        let (stop_proxy, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            // A dropped sender means the same.
            let _ = stopped.await;
        };
        let reins = proxy.reins();
        let proxy = tokio::spawn(proxy.run(shutdown, config.channel.drain));
        let first_run = FirstRun::open(&state_dir, !config.gateways.is_empty() && !is_managed);
        let requests = (!first_run.has_seen_request()).then(|| desk.access.follow().1);
        Ok(Self {
            channel,
            demo,
            wants_demo,
            proxy,
            reins,
            stop_proxy,
            local,
            commands,
            views,
            running,
            desk,
            config,
            sources,
            state_dir,
            log,
            login,
            first_run,
            requests,
            is_managed,
        })
    }

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
        loop {
            let mut identity = self.channel.identity().as_ref().map(Identity::status);
            self.publish();
            tokio::select! {
                // An error means that the channel is gone: nothing more to publish, but to obey.
                Ok(()) = status.changed() => drop(status.borrow_and_update()),
                () = changed(identity.as_mut()) => {}
                () = first_request(self.requests.as_mut(), &self.desk.own) => {
                    self.requests = None;
                    remember(self.first_run.see_request());
                }
                Some(command) = self.commands.recv() => {
                    let stop = command.request == Request::Stop;
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
        let identity = self.channel.identity().as_ref().map(Identity::status);
        view.identity = identity.map(|status| IdentityView::new(&status.borrow(), today()));
        view.reverse = self.channel.reverse().into_iter().map(Into::into).collect();
        view.reference = reference::letters(&view);
        view
    }

    fn publish(&self) {
        self.views.send_replace(Arc::new(self.view()));
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
            Request::Stop => tracing::info!("told to stop"),
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
            Request::UseBuiltinGateway { on } => return self.use_builtin(*on).await,
            // Answered at the desk, from what it holds.
            Request::Watch
            | Request::Access
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

    /// Reads the configuration again. What can change while requests run does; the rest is named.
    async fn reload(&mut self) -> Answer {
        let new = match load(&self.sources) {
            Ok(loaded) => loaded,
            Err(problems) => {
                tracing::warn!("the configuration is not right, the old one stays:\n{problems}");
                return Answer::Error { message: problems.to_string() };
            }
        };
        match self.adopt(new).await {
            Ok(restart_for) => Answer::Reloaded { restart_for },
            Err(error) => {
                tracing::warn!(%error, "the new configuration cannot be used, the old one stays");
                Answer::Error { message: error.to_string() }
            }
        }
    }

    /// Puts a configuration in effect, as far as that can be done while requests run; returns the
    /// settings that need a restart. On an error everything is as it was.
    async fn adopt(&mut self, loaded: Loaded) -> Result<Vec<String>, StartError> {
        self.is_managed = loaded.origin("gateway").is_locked();
        let new = loaded.config;
        let network = apply::network(&new, &self.state_dir, &self.sources.environment)?;
        let is_demo = !self.is_managed && (self.wants_demo || new.gateways.is_empty());
        let demo = match (is_demo, &self.demo) {
            (true, None) => Some(Demo::start()?),
            _ => None,
        };
        self.turn_proxy(&new).await?;
        if let Some(log) = &self.log {
            log.set_level(new.log.level);
        }
        let restart_for = restart_for(&self.config, &new);
        let moved = self.demo.is_some() != is_demo;
        let identity_changed = self.config.identity != new.identity;
        let gateways_changed = self.config.gateways != new.gateways;
        // What needs a restart is still as it was; the next change is compared with that.
        let (channel, reverse, log) =
            (self.config.channel.clone(), self.config.reverse.clone(), self.config.log.clone());
        self.config = new;
        self.config.channel =
            ChannelSettings { dns_servers: self.config.channel.dns_servers.clone(), ..channel };
        self.config.reverse = reverse;
        self.config.log = Log { level: self.config.log.level, ..log };
        if is_demo {
            self.demo = demo.or(self.demo.take());
            if moved {
                self.channel.set_identity(None);
                self.channel.set_network(NetworkConfig::default());
            }
        } else {
            if moved || identity_changed {
                self.channel.set_identity(apply::identity(&self.config, &self.state_dir));
            }
            self.channel.set_network(network);
        }
        if moved || gateways_changed && !is_demo {
            self.channel
                .set_gateways(gateways(&self.config, self.demo.as_ref().filter(|_| is_demo)));
        }
        if !is_demo {
            // It ends in the background, when what runs through it has.
            self.demo = None;
        }
        self.local.demo = is_demo;
        self.local.gateways = names(&self.config);
        self.publish_running();
        tracing::info!(?restart_for, "the configuration is in effect");
        Ok(restart_for)
    }

    /// Moves the listeners, if they are to be elsewhere. Requests under way finish.
    async fn turn_proxy(&mut self, new: &Config) -> Result<(), StartError> {
        if self.config.proxy == new.proxy && self.config.routes == new.routes {
            return Ok(());
        }
        let addresses = self.reins.turn(apply::proxy(new)?).await;
        let addresses = addresses.map_err(|error| StartError::from_bind(error, new))?;
        let Local { proxy, mapped, .. } = local(&addresses, new);
        (self.local.proxy, self.local.mapped) = (proxy, mapped);
        Ok(())
    }

    fn publish_running(&self) {
        let (config, channel, demo) = (&self.config, &self.channel, self.demo.as_ref());
        let now = running(config, channel, demo, &self.state_dir, &self.sources);
        self.running.send_replace(Arc::new(now));
    }

    /// Tells the channel how gateways are found and reached, with the credentials as they are now.
    fn set_network(&self) -> Result<(), NetworkError> {
        // The built-in gateway is on this machine.
        if self.demo.is_none() {
            let environment = &self.sources.environment;
            let network = apply::network(&self.config, &self.state_dir, environment)?;
            self.channel.set_network(network);
            self.publish_running();
        }
        Ok(())
    }

    fn settings(&self) -> Answer {
        match load(&self.sources) {
            Ok(loaded) => {
                let login = self.login.as_ref().map(Login::is_on);
                let settings = settings::view(&loaded, &self.sources.file, login);
                Answer::Settings { settings: Box::new(settings) }
            }
            Err(problems) => Answer::Error { message: problems.to_string() },
        }
    }

    fn look_at(&self, change: &SettingsChange) -> Result<Checked, Problems> {
        // A file that is not right can still be repaired: the policy alone says what is locked.
        let policy = Sources { policy_dir: self.sources.policy_dir.clone(), ..Sources::default() };
        let loaded = load(&self.sources).or_else(|_| load(&policy))?;
        let mapped = self.local.mapped.iter().map(|map| map.listen);
        let ours: Vec<SocketAddr> = self.local.proxy.iter().copied().chain(mapped).collect();
        Ok(settings::check(&self.sources.file, &loaded, change, &ours))
    }

    fn check(&self, change: &SettingsChange) -> Answer {
        match self.look_at(change) {
            Ok(Checked { problems, advice, authorities, .. }) => {
                Answer::Checked { problems, advice, authorities }
            }
            Err(problems) => Answer::Error { message: problems.to_string() },
        }
    }

    /// Writes a change and puts it in effect; or neither.
    async fn save(&mut self, change: &SettingsChange) -> Answer {
        let checked = match self.look_at(change) {
            Ok(checked) => checked,
            Err(problems) => return Answer::Error { message: problems.to_string() },
        };
        let Checked { mut problems, advice, authorities, steps } = checked;
        if change.autostart.is_some() && self.login.is_none() {
            problems.push(Note::no_login());
        }
        if !problems.is_empty() {
            return Answer::Checked { problems, advice, authorities };
        }
        match self.write(change, steps).await {
            Ok(restart_for) => Answer::Saved { restart_for },
            Err(message) => {
                let problems = vec![Note::not_saved(message)];
                Answer::Checked { problems, advice, authorities }
            }
        }
    }

    async fn write(
        &mut self,
        change: &SettingsChange,
        steps: Vec<edit::Step>,
    ) -> Result<Vec<String>, String> {
        let file = self.sources.file.clone();
        let before = fs::read(&file).ok();
        if !steps.is_empty() {
            edit::apply(&file, steps).map_err(|error| error.to_string())?;
        }
        let wanted_demo = self.wants_demo;
        if change.values.get("gateway").and_then(Value::as_array).is_some_and(|it| !it.is_empty()) {
            // Whoever names a gateway wants it used.
            self.choose(false);
        }
        let adopted = match load(&self.sources) {
            Ok(loaded) => self.adopt(loaded).await.map_err(|error| error.to_string()),
            Err(problems) => Err(problems.to_string()),
        };
        if let (Some(login), Some(on), Ok(_)) = (&self.login, change.autostart, &adopted) {
            login.set(on)?;
        }
        if adopted.is_err() {
            self.wants_demo = wanted_demo;
            // A port was taken between the check and now, say: what is in the file is what runs.
            let restored = match before {
                Some(text) => edit::save(&file, &text),
                None => fs::remove_file(&file),
            };
            if let Err(error) = restored {
                tracing::warn!(%error, "the configuration could not be put back");
            }
        }
        adopted
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
                if line.route == Route::Gateway
                    && line.error.is_none()
                    && !own.contains(line.client)
                {
                    return;
                }
            }
            Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}

/// What is only convenient to remember is not worth failing for.
fn remember(outcome: std::io::Result<()>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "the first run cannot be remembered");
    }
}

/// The settings in which `new` differs from what runs and which need a restart.
fn restart_for(running: &Config, new: &Config) -> Vec<String> {
    let at_once = |key: &str| {
        matches!(key, "log.level" | "channel.dns_servers" | "gateway" | "route")
            || ["upstream.", "proxy.", "identity.", "desktop."].iter().any(|it| key.starts_with(it))
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

/// The gateways in use.
fn gateways(config: &Config, demo: Option<&Demo>) -> Vec<GatewayConfig> {
    match demo {
        Some(demo) => vec![demo_gateway(demo)],
        None => config.gateways.iter().map(apply::gateway).collect(),
    }
}

/// What is told to those who look into it.
fn running(
    config: &Config,
    channel: &Channel,
    demo: Option<&Demo>,
    state_dir: &Path,
    sources: &Sources,
) -> Running {
    let network = match demo {
        Some(_) => NetworkConfig::default(),
        // The channel has it, so it can be had; without the credentials a probe says what is wrong.
        None => apply::network(config, state_dir, &sources.environment).unwrap_or_default(),
    };
    Running {
        config: config.clone(),
        gateways: gateways(config, demo),
        network,
        environment: sources.environment.clone(),
        identity: channel.identity(),
    }
}

/// The ports, as they came to be.
fn local(addresses: &[SocketAddr], config: &Config) -> Local {
    let mapped = config.proxy.map.iter();
    Local {
        proxy: addresses.iter().copied().filter(|it| !is_mapped(it, config)).collect(),
        mapped: mapped.map(|it| MappedView { listen: it.listen, host: it.host.clone() }).collect(),
        ..Local::default()
    }
}

/// What people call the configured gateways.
fn names(config: &Config) -> Vec<String> {
    config.gateways.iter().map(|gateway| apply::gateway(gateway).name).collect()
}

fn is_mapped(address: &SocketAddr, config: &Config) -> bool {
    config.proxy.map.iter().any(|map| map.listen == *address)
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
