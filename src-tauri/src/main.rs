//! `seacat-proxy-window`: the window of SeaCat Proxy, a program of its own.
//!
//! A thin shell: it paints what the pages in `ui/` say and forwards what they ask to the engine's control
//! socket. Nothing is decided here, and nothing lives on: closing the window ends the program.
//!
//! ```text
//!   seacat-proxy app ─ starts ─► main ─► only (one window a state folder) ─► window (Tauri, WebKit)
//!                                                                            │ commands
//!   the engine ◄──────────── control socket ────────── engine, stream ◄──────┘
//! ```

mod arguments;
mod commands;
mod engine;
mod files;
mod only;
mod stream;
mod window;

use std::process::ExitCode;

use clap::Parser as _;
use seacat_agent::control::BindError;
use seacat_agent::instance::InstanceError;
use seacat_agent::places::PlaceError;
use thiserror::Error;

use arguments::Arguments;
use only::{Only, Wish};

/// Why there is no window.
#[derive(Debug, Error)]
enum StartError {
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(transparent)]
    Instance(#[from] InstanceError),
    #[error(transparent)]
    Socket(#[from] BindError),
    #[error("a window is there and does not answer")]
    Silent,
    #[error("there is no display: DISPLAY or WAYLAND_DISPLAY names it")]
    NoDisplay,
    #[error("the current folder is gone: {0}")]
    Folder(std::io::Error),
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
    #[error("the window cannot be made: {0}")]
    Tauri(#[from] tauri::Error),
}

fn main() -> ExitCode {
    match start(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[allow(clippy::print_stderr, reason = "there is no window to say it in")]
            {
                eprintln!("seacat-proxy-window: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Shows the window, here or in the process that has it already; returns when ours is closed.
fn start(arguments: &Arguments) -> Result<(), StartError> {
    let places = arguments.places()?;
    // One worker: what is done here is waiting for a socket.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    tauri::async_runtime::set(runtime.handle().clone());
    let wish = Wish { page: arguments.page_name(), token: activation_token() };
    match runtime.block_on(Only::claim(&places, &wish))? {
        Some(only) => window::run(only, &places, wish, arguments.passed_on()?),
        None => Ok(()),
    }
}

/// What lets a window come to the front under Wayland. Whoever started us gave it to us alone.
fn activation_token() -> Option<String> {
    std::env::var("XDG_ACTIVATION_TOKEN").ok().filter(|token| !token.is_empty())
}
