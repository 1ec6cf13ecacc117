//! How the window is started: by `seacat-proxy app`, or by hand.

use std::env;
use std::ffi::OsString;
use std::path::{self, PathBuf};

use clap::Parser;
use seacat_agent::page::Page;
use seacat_agent::places::{Named, PlaceError, Places};

use crate::StartError;

/// The window of SeaCat Proxy.
#[derive(Debug, Parser)]
#[command(name = "seacat-proxy-window", version, max_term_width = 100)]
pub(crate) struct Arguments {
    /// The page to show
    #[arg(long)]
    page: Option<Page>,
    /// The proxy's configuration file [environment: SEACAT_PROXY_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The proxy's folder of lock, log and control socket [environment: SEACAT_PROXY_STATE_DIR]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

impl Arguments {
    /// The page, if one was asked for.
    pub(crate) fn page_name(&self) -> Option<String> {
        self.page.map(|page| page.name().to_owned())
    }

    /// Where the proxy that belongs to this window has its things.
    pub(crate) fn places(&self) -> Result<Places, PlaceError> {
        let path = |name: &str| env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
        Places::find(Named {
            config: self.config.clone().or_else(|| path("SEACAT_PROXY_CONFIG")),
            state_dir: self.state_dir.clone().or_else(|| path("SEACAT_PROXY_STATE_DIR")),
            runtime_dir: path("XDG_RUNTIME_DIR").filter(|path| path.is_absolute()),
        })
    }

    /// The options with which the proxy is started for this window, from whatever folder.
    pub(crate) fn passed_on(&self) -> Result<Vec<OsString>, StartError> {
        let mut words = Vec::new();
        for (name, path) in [("--config", &self.config), ("--state-dir", &self.state_dir)] {
            if let Some(path) = path {
                let path = path::absolute(path).map_err(StartError::Folder)?;
                words.extend([OsString::from(name), path.into_os_string()]);
            }
        }
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tray_passes_is_understood() {
        let words = ["w", "--page", "requests", "--config", "/c.toml", "--state-dir", "/s"];
        let arguments = Arguments::parse_from(words);
        assert_eq!(arguments.page_name().as_deref(), Some("requests"));
        assert_eq!(arguments.places().unwrap().config_file, PathBuf::from("/c.toml"));
        assert_eq!(arguments.passed_on().unwrap(), words[3..]);
    }

    #[test]
    fn no_page_is_no_wish() {
        assert_eq!(Arguments::parse_from(["w"]).page_name(), None);
    }
}
