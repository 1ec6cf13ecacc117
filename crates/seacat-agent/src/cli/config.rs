//! `config`: show, check, find and change settings.

use std::io::Write;

use super::args::ConfigAction;
use super::{CliError, Here, control, runtime};
use crate::config::load::load;
use crate::config::{Loaded, Sources, check, edit, show};
use crate::control::{Answer, ClientError, Request};
use crate::exit::Exit;

pub(super) fn config(
    here: &Here,
    action: ConfigAction,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    match action {
        ConfigAction::Show { json: false } => write!(out, "{}", show::text(&here.load()?))?,
        ConfigAction::Show { json: true } => {
            let rows = show::rows(&here.load()?);
            let text = serde_json::to_string_pretty(&rows).map_err(std::io::Error::from)?;
            writeln!(out, "{text}")?;
        }
        ConfigAction::Check => check(here, &here.load()?, out)?,
        ConfigAction::Path => path(here, out)?,
        ConfigAction::Set { key, value } => {
            edit::set(&here.places.config_file, &policy(here)?, &key, &value)?;
            tell_running(here, out)?;
        }
        ConfigAction::Unset { key } => {
            edit::unset(&here.places.config_file, &policy(here)?, &key)?;
            tell_running(here, out)?;
        }
    }
    Ok(Exit::Ok)
}

/// The policy alone says what is locked: a file that is not right can still be repaired by `set`.
fn policy(here: &Here) -> Result<Loaded, CliError> {
    let policy_dir = here.places.policy_dir.clone();
    Ok(load(&Sources { policy_dir, ..Sources::default() })?)
}

fn check(here: &Here, loaded: &Loaded, out: &mut dyn Write) -> Result<(), CliError> {
    check::files(&loaded.config, &here.places.state_dir, &here.sources.environment)
        .map_err(|error| CliError::Config(error.to_string()))?;
    for warning in &loaded.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    Ok(writeln!(out, "configuration OK")?)
}

fn path(here: &Here, out: &mut dyn Write) -> Result<(), CliError> {
    let places = &here.places;
    writeln!(out, "configuration  {}", places.config_file.display())?;
    if let Some(policy) = &places.policy_dir {
        writeln!(out, "policy         {}", policy.join("*.toml").display())?;
    }
    writeln!(out, "state          {}", places.state_dir.display())?;
    writeln!(out, "log            {}", places.state_dir.join(crate::logging::LOG_FILE).display())?;
    writeln!(out, "control        {}", places.control_socket().display())?;
    Ok(())
}

/// A running proxy reads its file again, so that a change takes effect where it can at once.
pub(super) fn tell_running(here: &Here, out: &mut dyn Write) -> Result<(), CliError> {
    let answer =
        runtime()?.block_on(async { control::client(here).await?.ask(Request::Reload).await });
    match answer {
        Ok(Answer::Reloaded { restart_for }) if restart_for.is_empty() => {
            writeln!(out, "saved and applied")?;
        }
        Ok(Answer::Reloaded { restart_for }) => {
            writeln!(out, "saved; restart the proxy to apply {}", restart_for.join(", "))?;
        }
        Ok(other) => return Err(CliError::Unexpected(Box::new(other))),
        Err(ClientError::NotRunning) => writeln!(out, "saved")?,
        Err(error) => writeln!(out, "saved, but not applied to the running proxy: {error}")?,
    }
    Ok(())
}
