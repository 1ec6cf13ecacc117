//! Starting the engine, and why it does not start.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use seacat_channel::{Channel, GatewayConfig, Roots, Trust};
use seacat_gateway::Demo;
use seacat_gateway::embedded::DemoError;
use seacat_proxy::{BindError, Proxy};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};

use super::Engine;
use super::status::{is_mapped, local, names, running};
use crate::config::apply::{self, CredentialsError, NetworkError};
use crate::config::check::FilesError;
use crate::config::schema::Config;
use crate::config::{Loaded, Sources};
use crate::control::Desk;
use crate::diagnose::request::OwnRequests;
use crate::first_run::FirstRun;
use crate::history::History;
use crate::logging::LogHandle;
use crate::login::Login;
use crate::port_owner::{self, Owner};
use crate::status::{Local, view};
use crate::system_events::Changes;

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
    /// A file that the changed configuration names cannot be used.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The built-in gateway does not start.
    #[error("cannot start the built-in gateway: {0}")]
    Demo(#[from] DemoError),
    /// The organisation has named its gateways.
    #[error("the gateway is managed by your organisation; the built-in one cannot be used")]
    DemoLocked,
}

impl StartError {
    /// A taken port is told with its owner and a way out.
    pub(super) fn from_bind(error: BindError, config: &Config) -> Self {
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
        let first_run = FirstRun::open(&state_dir, !config.gateways.is_empty() && !is_managed);
        // A trial is never assumed: a machine that lost its configuration must not look connected.
        let wants_demo =
            wants_demo || first_run.is_trial() && config.gateways.is_empty() && !is_managed;
        let demo = wants_demo.then(Demo::start).transpose()?;
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
        let own = OwnRequests::default();
        let history = History::open(&state_dir, config.log.failed_requests);
        let recorder = history.record(&proxy.access_log(), own.clone());
        let desk = Desk {
            commands: sender,
            status: watching,
            access: proxy.access_log(),
            running: seen,
            own,
            history,
        };
        let (stop_proxy, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            // A dropped sender means the same.
            let _ = stopped.await;
        };
        let proxy_handle = proxy.handle();
        let proxy = tokio::spawn(proxy.run(shutdown, config.channel.drain));
        let requests = (!first_run.has_seen_request()).then(|| desk.access.follow().1);
        Ok(Self {
            channel,
            demo,
            wants_demo,
            proxy,
            proxy_handle,
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
            switching: None,
            is_managed,
            last_reload: None,
            changes: Changes::listen(),
            recorder,
        })
    }
}

/// The gateways in use.
pub(super) fn gateways(config: &Config, demo: Option<&Demo>) -> Vec<GatewayConfig> {
    match demo {
        Some(demo) => vec![demo_gateway(demo)],
        None => config.gateways.iter().map(apply::gateway).collect(),
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
