//! The pages of the window, by which it is opened.

use clap::ValueEnum;

/// A page of the window; `seacat-proxy-window --page NAME` opens it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Page {
    /// Does it work, what is my address?
    #[default]
    Overview,
    /// The latest requests.
    Requests,
    /// The programs that use the proxy.
    Applications,
    /// Where the requests go.
    Gateway,
    /// Who this computer is.
    Identity,
    /// Ports and routes on this computer.
    Proxy,
    /// Every step of a request, checked.
    Diagnostics,
    /// How the program behaves on this desktop.
    Settings,
    /// What this is.
    About,
}

impl Page {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Page::Overview => "overview",
            Page::Requests => "requests",
            Page::Applications => "applications",
            Page::Gateway => "gateway",
            Page::Identity => "identity",
            Page::Proxy => "proxy",
            Page::Diagnostics => "diagnostics",
            Page::Settings => "settings",
            Page::About => "about",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_command_line_takes() {
        for page in Page::value_variants() {
            assert_eq!(Page::from_str(page.name(), false), Ok(*page));
        }
    }
}
