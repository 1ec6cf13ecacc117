//! `app`: what the launcher of a desktop starts.

use std::io::Write;

use directories::BaseDirs;

use super::args::Autostart;
use super::{CliError, Here, run, runtime};
use crate::app::{Face, Window, autostart, notify};
use crate::controller::Engine;
use crate::exit::Exit;
use crate::instance::InstanceError;
use crate::login::Login;
use crate::notices::Notice;
use crate::page::Page;
use crate::places::PlaceError;

/// The proxy with its face. `open` is the page of the window to show, if any.
pub(super) fn app(here: &Here, open: Option<Page>, out: &mut dyn Write) -> Result<Exit, CliError> {
    let window = Window::new(here.passed_on()?);
    let begin = |engine: &Engine| {
        tokio::spawn(Face::new(engine.desk(), window.clone()).run(open));
    };
    match run::serve(here, false, begin, out) {
        Err(CliError::Instance(InstanceError::AlreadyRunning { .. })) => {
            let Some(page) = open else { return Ok(Exit::Ok) };
            runtime()?.block_on(async { window.open(page, None) })?;
            writeln!(out, "already running; opening the window")?;
            Ok(Exit::Ok)
        }
        Err(error) => {
            tell(&error);
            Err(error)
        }
        ended => ended,
    }
}

/// Whoever clicked an icon does not see stderr.
fn tell(error: &CliError) {
    let title = "SeaCat Proxy could not start";
    let notice = Notice { title, body: error.to_string(), page: Page::Overview };
    let Ok(runtime) = runtime() else { return };
    // Shown and not waited for: there is nobody left to open a window. (It is dropped where its
    // connection can say goodbye.)
    if let Err(error) = runtime.block_on(async { notify::show(&notice).await.map(drop) }) {
        tracing::debug!("notifications are not available: {error}");
    }
}

pub(super) fn autostart(
    here: &Here,
    wish: Autostart,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    let Login { entry, program, arguments } = login(here)?;
    match wish {
        Autostart::On => {
            autostart::on(&entry, &program, &arguments)?;
            writeln!(out, "starts at login: {}", entry.display())?;
        }
        Autostart::Off => {
            autostart::off(&entry)?;
            writeln!(out, "does not start at login")?;
        }
    }
    Ok(Exit::Ok)
}

/// The entry that starts this very program with these very folders.
pub(super) fn login(here: &Here) -> Result<Login, CliError> {
    let home = BaseDirs::new().ok_or(PlaceError::NoHome)?;
    let program = std::env::current_exe()
        .map_err(|source| CliError::System { doing: "find our own program", source })?;
    let entry = autostart::entry(home.config_dir());
    Ok(Login { entry, program, arguments: here.passed_on()? })
}
