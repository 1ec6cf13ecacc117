//! `env`: lines for a shell that make other programs use the proxy.

use std::io::Write;
use std::net::SocketAddr;

use super::{CliError, Here, control, runtime};
use crate::client_settings::{Shell, assignments};
use crate::control::{Answer, Request};
use crate::exit::Exit;

pub(super) fn env(
    here: &Here,
    shell: Option<Shell>,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    let shell = shell.unwrap_or_else(guess);
    for line in assignments(shell, address(here)?) {
        writeln!(out, "{line}")?;
    }
    if let Some(hint) = hint(shell) {
        writeln!(out, "{hint}")?;
    }
    Ok(Exit::Ok)
}

/// Where the running proxy listens, else where it would.
fn address(here: &Here) -> Result<SocketAddr, CliError> {
    let running = runtime()?.block_on(async {
        match control::client(here).await?.ask(Request::Status).await? {
            Answer::Status { status } => Ok(status.local.proxy.first().copied()),
            other => Err(CliError::Unexpected(Box::new(other))),
        }
    });
    if let Ok(Some(address)) = running {
        return Ok(address);
    }
    let config = here.load()?.config.proxy;
    match (config.listen.first(), config.port) {
        (_, 0) | (None, _) => Err(CliError::Config(
            "proxy.port is 0: the port is known only while the proxy is running".to_owned(),
        )),
        (Some(ip), port) => Ok((*ip, port).into()),
    }
}

/// The shell this was most likely called from.
fn guess() -> Shell {
    if cfg!(windows) {
        return Shell::Powershell;
    }
    let shell = std::env::var_os("SHELL").map(std::path::PathBuf::from).unwrap_or_default();
    match shell.file_name().and_then(|name| name.to_str()) {
        Some("fish") => Shell::Fish,
        Some("pwsh") => Shell::Powershell,
        _ => Shell::Bash,
    }
}

/// How to use the lines, as a comment of that shell.
fn hint(shell: Shell) -> Option<&'static str> {
    match shell {
        Shell::Bash => Some("# to apply: eval \"$(seacat-proxy env --shell bash)\""),
        Shell::Fish => Some("# to apply: seacat-proxy env --shell fish | source"),
        Shell::Powershell => {
            Some("# to apply: seacat-proxy env --shell powershell | Out-String | Invoke-Expression")
        }
        // Pasted as they are; a comment would be one more line to paste.
        Shell::Cmd => None,
    }
}
