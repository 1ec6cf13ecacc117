//! Starting the window, which is a program of its own.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use thiserror::Error;
use tokio::process::Command;

use crate::page::Page;

/// The window's program.
const PROGRAM: &str = "seacat-proxy-window";

/// Names another one.
const VARIABLE: &str = "SEACAT_PROXY_WINDOW";

/// Why there is no window.
#[derive(Debug, Error)]
pub enum WindowError {
    /// It is not installed.
    #[error("the program {} was not found: install the package seacat-proxy-window", .0.display())]
    Missing(PathBuf),
    /// It is there and does not start.
    #[error("cannot start {}: {source}", path.display())]
    Start {
        /// Which program.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// How to start the window.
#[derive(Debug, Clone)]
pub struct Window {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Window {
    /// The window's program gets `arguments` each time.
    #[must_use]
    pub fn new(arguments: Vec<OsString>) -> Self {
        let named = env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        let beside = || {
            let ours = env::current_exe().ok()?;
            Some(ours.with_file_name(PROGRAM)).filter(|path| path.is_file())
        };
        let program = named.or_else(beside).unwrap_or_else(|| PROGRAM.into());
        Self { program, arguments }
    }

    /// Shows the window at `page`: a new one, or the one that is there. `token` lets it come to the
    /// front under Wayland.
    ///
    /// # Errors
    /// When its program does not start. What happens to it later is not waited for, only logged.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn open(&self, page: Page, token: Option<String>) -> Result<(), WindowError> {
        let mut command = Command::new(&self.program);
        command.args(["--page", page.name()]).args(&self.arguments).stdin(Stdio::null());
        if let Some(token) = token {
            command.env("XDG_ACTIVATION_TOKEN", token);
        }
        let mut child = command.spawn().map_err(|source| explain(&self.program, source))?;
        tokio::spawn(async move {
            match child.wait().await {
                Ok(status) if status.success() => tracing::debug!("the window is closed"),
                Ok(status) => tracing::warn!("the window ended with {status}"),
                Err(error) => tracing::warn!("the window cannot be waited for: {error}"),
            }
        });
        Ok(())
    }
}

fn explain(program: &Path, source: io::Error) -> WindowError {
    let path = program.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => WindowError::Missing(path),
        _ => WindowError::Start { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_window_that_is_not_installed_is_named() {
        let window = Window { program: "/no/such/window".into(), arguments: Vec::new() };
        let error = window.open(Page::Overview, None).expect_err("it is not there").to_string();
        assert!(error.contains("/no/such/window was not found"), "{error}");
    }
}
