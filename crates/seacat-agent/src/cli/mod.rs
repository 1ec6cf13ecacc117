//! The command line: `seacat-proxy`.
//!
//! Every command is a function from its arguments to an [`Exit`]; what it says goes to the given
//! output, what went wrong to stderr by [`main`]. A reader that leaves (`| head -1`) is no error.

#[cfg(all(feature = "tray", target_os = "linux"))]
mod app;
mod apps;
mod args;
mod config;
mod control;
mod diagnose;
mod env;
mod gateway;
mod identity;
mod man;
mod run;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Parser as _;
use clap::error::ErrorKind;
use seacat_channel::NetworkConfig;
use thiserror::Error;

use crate::config::apply;
use crate::config::edit::EditError;
use crate::config::load::load;
use crate::config::schema::Config;
use crate::config::{Loaded, Problems, Sources};
use crate::control::{Answer, ClientError};
use crate::controller::StartError;
use crate::exit::Exit;
use crate::instance::InstanceError;
use crate::places::{Named, PlaceError, Places};

use self::control::Form;
pub use args::Cli;
use args::{Action, GatewayAction, Overrides};

/// Runs a command line to its end.
///
/// `out` is stdout, `err` is stderr; tests give their own.
pub fn main(
    args: impl IntoIterator<Item = OsString>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, out, err),
    };
    match dispatch(cli, out).and_then(|exit| Ok(out.flush().map(|()| exit)?)) {
        Ok(exit) => exit,
        Err(CliError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(error) => {
            // Where stderr is closed too, the exit code still tells.
            let _ = writeln!(err, "seacat-proxy: {error}");
            error.exit()
        }
    }
}

/// `--help` and `--version` are answers, everything else is a mistake.
fn usage(error: &clap::Error, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let text = error.render();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = write!(out, "{text}");
            Exit::Ok
        }
        _ => {
            let _ = write!(err, "{text}");
            Exit::Usage
        }
    }
}

/// Why a command failed.
#[derive(Debug, Error)]
enum CliError {
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    #[error("the configuration is invalid:\n{0}")]
    Problems(#[from] Problems),
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(transparent)]
    Instance(#[from] InstanceError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[cfg(all(feature = "tray", target_os = "linux"))]
    #[error(transparent)]
    Window(#[from] crate::app::WindowError),
    #[cfg(all(feature = "tray", target_os = "linux"))]
    #[error(transparent)]
    Autostart(#[from] crate::app::autostart::AutostartError),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Config(String),
    #[error("cannot {doing}: {source}")]
    System { doing: &'static str, source: io::Error },
    #[error("unexpected response from the running proxy: {0:?}")]
    Unexpected(Box<Answer>),
}

impl CliError {
    fn exit(&self) -> Exit {
        match self {
            CliError::Problems(_) | CliError::Edit(_) | CliError::Config(_) => Exit::Config,
            CliError::Instance(InstanceError::AlreadyRunning { .. }) => Exit::AlreadyRunning,
            CliError::Start(StartError::PortTaken { .. }) => Exit::PortTaken,
            CliError::Start(
                StartError::Credentials(_)
                | StartError::Network(_)
                | StartError::Files(_)
                | StartError::DemoLocked,
            ) => Exit::Config,
            CliError::Client(ClientError::NotRunning) => Exit::NotRunning,
            CliError::Usage(_) => Exit::Usage,
            #[cfg(all(feature = "tray", target_os = "linux"))]
            CliError::Window(_) | CliError::Autostart(_) => Exit::Failed,
            CliError::Output(_)
            | CliError::Place(_)
            | CliError::Instance(_)
            | CliError::Start(_)
            | CliError::Client(_)
            | CliError::System { .. }
            | CliError::Unexpected(_) => Exit::Failed,
        }
    }
}

fn dispatch(cli: Cli, out: &mut dyn Write) -> Result<Exit, CliError> {
    let here = Here::find(&cli)?;
    match cli.action {
        Action::Run { demo } => run::run(&here, demo, out),
        #[cfg(all(feature = "tray", target_os = "linux"))]
        Action::App { autostart: Some(wish), .. } => app::autostart(&here, wish, out),
        #[cfg(all(feature = "tray", target_os = "linux"))]
        Action::App { background, page, .. } => app::app(&here, (!background).then_some(page), out),
        Action::Status { json, watch, reference } => {
            control::status(&here, Form::of(json, reference), watch, out)
        }
        Action::Requests { code: Some(code), json } => apps::explain(&here, code, json, out),
        Action::Requests { code: None, json } => control::requests(&here, json, out),
        Action::Apps { json, watch } => apps::apps(&here, json, watch, out),
        Action::Connect => control::connect(&here, out),
        Action::Disconnect => control::disconnect(&here, out),
        Action::Enroll { cn, wait } => identity::enroll(&here, cn, wait, out),
        Action::Identity { action } => identity::identity(&here, action, out),
        Action::Stop => control::stop(&here, out),
        Action::Env { shell } => env::env(&here, shell, out),
        Action::Gateway { action } => match action {
            GatewayAction::Test { wanted } => gateway::test(&here, wanted.as_deref(), out),
            GatewayAction::List { json } => gateway::list(&here, json, out),
            GatewayAction::Add { wanted: gateway, name, ca_file, tls } => {
                gateway::add(&here, &gateway::Addition { gateway, name, ca_file, tls }, out)
            }
            GatewayAction::Use { name } => gateway::choose_one(&here, &name, out),
            GatewayAction::Remove { name } => gateway::remove(&here, &name, out),
        },
        Action::Diagnose { host, stream: true, .. } => diagnose::stream(&here, host, out),
        Action::Diagnose { host, json, .. } => diagnose::diagnose(&here, host, json, out),
        Action::SupportBundle { file } => diagnose::support_bundle(&here, &file, out),
        Action::Config { action } => config::config(&here, action, out),
        Action::Completions { shell } => completions(shell, out),
        Action::Man { folder } => man::man(&folder),
    }
}

/// What every command knows: the places and where settings come from.
struct Here {
    places: Places,
    sources: Sources,
    /// `--config` and `--state-dir`, for programs that shall talk to the same proxy.
    #[cfg(all(feature = "tray", target_os = "linux"))]
    named: Vec<(&'static str, PathBuf)>,
}

impl Here {
    fn find(cli: &Cli) -> Result<Self, CliError> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let path = |name: &str| variable(name).map(PathBuf::from);
        let places = Places::find(Named {
            config: cli.config.clone().or_else(|| path("SEACAT_PROXY_CONFIG")),
            state_dir: cli.state_dir.clone().or_else(|| path("SEACAT_PROXY_STATE_DIR")),
            // The specification of base directories says to ignore relative paths.
            runtime_dir: path("XDG_RUNTIME_DIR").filter(|path| path.is_absolute()),
        })?;
        let sources = Sources {
            policy_dir: places.policy_dir.clone(),
            file: places.config_file.clone(),
            file_is_named: places.config_is_named,
            environment: environment(),
            command_line: command_line(&cli.overrides)?,
        };
        Ok(Self {
            places,
            sources,
            #[cfg(all(feature = "tray", target_os = "linux"))]
            named: named(cli),
        })
    }

    /// The options with which another program finds the same proxy, from whatever folder.
    #[cfg(all(feature = "tray", target_os = "linux"))]
    fn passed_on(&self) -> Result<Vec<OsString>, CliError> {
        let mut words = Vec::new();
        for (name, path) in &self.named {
            let path = std::path::absolute(path)
                .map_err(|source| CliError::System { doing: "find the current folder", source })?;
            words.extend([OsString::from(name), path.into_os_string()]);
        }
        Ok(words)
    }

    fn load(&self) -> Result<Loaded, CliError> {
        Ok(load(&self.sources)?)
    }

    /// How gateways are found and reached with this configuration.
    fn network(&self, config: &Config) -> Result<NetworkConfig, CliError> {
        apply::network(config, &self.places.state_dir, &self.sources.environment)
            .map_err(|error| CliError::Config(error.to_string()))
    }
}

#[cfg(all(feature = "tray", target_os = "linux"))]
fn named(cli: &Cli) -> Vec<(&'static str, PathBuf)> {
    let options = [("--config", &cli.config), ("--state-dir", &cli.state_dir)];
    options.into_iter().filter_map(|(name, path)| Some((name, path.clone()?))).collect()
}

/// The environment, as far as it is text. A variable of ours that is not is not silently skipped: its
/// replacement characters will be refused by the check of its setting.
fn environment() -> Vec<(String, String)> {
    let text = |value: OsString| value.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

/// The options that set something, in the words of the table of settings.
fn command_line(overrides: &Overrides) -> Result<Vec<(&'static str, String, String)>, CliError> {
    let mut set = Vec::new();
    let mut option = |key, option: &str, text: String| set.push((key, text, option.to_owned()));
    for assignment in &overrides.set {
        let (key, text) = assignment
            .split_once('=')
            .ok_or_else(|| CliError::Usage(format!("--set {assignment}: write KEY=VALUE")))?;
        let setting = crate::config::load::find(key).ok_or_else(|| {
            CliError::Usage(format!("--set: {}", crate::config::load::unknown_setting(key)))
        })?;
        option(setting.key, "--set", text.to_owned());
    }
    if let Some(port) = overrides.port {
        option("proxy.port", "--port", port.to_string());
    }
    if !overrides.listen.is_empty() {
        option("proxy.listen", "--listen", overrides.listen.join(","));
    }
    if !overrides.gateway.is_empty() {
        option("gateway", "--gateway", overrides.gateway.join(","));
    }
    if let Some(level) = &overrides.log_level {
        option("log.level", "--log-level", level.clone());
    }
    Ok(set)
}

fn completions(shell: clap_complete::Shell, out: &mut dyn Write) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(
        shell,
        &mut <Cli as clap::CommandFactory>::command(),
        "seacat-proxy",
        &mut script,
    );
    out.write_all(&script)?;
    Ok(Exit::Ok)
}

/// The runtime of the engine and of everything that talks to it: one thread. A single TLS connection
/// was measured to be fastest so, and an idle thread pool would only cost memory.
fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| CliError::System { doing: "start", source })
}

#[cfg(test)]
mod tests;
