//! `run`: the proxy in the foreground.

use std::io::Write;

use seacat_channel::descriptors::raise_limit;

use super::{CliError, Here, runtime};
use crate::control::Listener;
use crate::controller::{End, Engine, Setup};
use crate::exit::Exit;
use crate::instance::Instance;
use crate::logging;
use crate::login::Login;
use crate::signals::Signals;
use crate::status::Local;

pub(super) fn run(here: &Here, demo: bool, out: &mut dyn Write) -> Result<Exit, CliError> {
    serve(here, demo, |_| {}, out)
}

/// The engine from its start to its end; `begin` is called once it runs.
pub(super) fn serve(
    here: &Here,
    demo: bool,
    begin: impl FnOnce(&Engine),
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    // Before the configuration, whose limits follow it.
    let raised = raise_limit();
    let loaded = here.load()?;
    let instance = Instance::claim(&here.places.state_dir)?;
    let (log, failure) = logging::start(&loaded.config.log, &here.places.state_dir);
    if let Some(error) = failure {
        tracing::warn!(%error, "no log file is written");
    }
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit on open files stays as it is");
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let setup = Setup {
        loaded,
        sources: here.sources.clone(),
        state_dir: here.places.state_dir.clone(),
        demo,
        log: Some(log),
        login: login(here),
    };
    let end = runtime()?.block_on(async {
        let signals = Signals::listen()
            .map_err(|source| CliError::System { doing: "handle signals", source })?;
        // Before the proxy's port: whoever waits for that may give a command next. It waits in the
        // socket's queue until the engine runs.
        let control = match Listener::bind(&here.places.control_socket()) {
            Ok(listener) => Some(listener),
            // The proxy itself does its work without.
            Err(error) => {
                tracing::warn!("no control socket; `status` and other commands cannot reach this proxy: {error}");
                None
            }
        };
        let engine = Engine::start(setup).await?;
        announce(engine.local(), out)?;
        begin(&engine);
        Ok::<_, CliError>(engine.run(control, signals).await)
    })?;
    drop(instance);
    match end {
        End::Drained => {
            tracing::info!("stopped");
            Ok(Exit::Ok)
        }
        End::Interrupted => {
            tracing::warn!("stopped before all requests had finished");
            Ok(Exit::Interrupted)
        }
    }
}

fn announce(local: &Local, out: &mut dyn Write) -> Result<(), CliError> {
    let addresses: Vec<String> = local.proxy.iter().map(|a| format!("http://{a}")).collect();
    writeln!(out, "SeaCat Proxy {} is listening on {}", local.version, addresses.join(" and "))?;
    for map in &local.mapped {
        writeln!(out, "http://{} leads to host {}", map.listen, map.host)?;
    }
    if local.demo {
        writeln!(out, "Using the built-in gateway, for evaluation. Try it in another terminal:")?;
        writeln!(out, "    curl -x {} http://hello.seacat/", addresses[0])?;
    }
    if !local.demo && local.gateways.is_empty() {
        writeln!(out, "No gateway is configured: `seacat-proxy gateway add HOST` names one, and")?;
        writeln!(out, "`seacat-proxy run --demo` tries the built-in one.")?;
    }
    writeln!(out, "Press Ctrl-C to stop.")?;
    Ok(out.flush()?)
}

#[cfg(all(feature = "tray", target_os = "linux"))]
fn login(here: &Here) -> Option<Login> {
    super::app::login(here).ok()
}

#[cfg(not(all(feature = "tray", target_os = "linux")))]
fn login(_: &Here) -> Option<Login> {
    None
}
