//! A desktop with the engine, and the window on demand.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use seacat_tests::{Desktop, Process, TrayIcon, Window, binary, free_port};

/// For what takes a round trip or two, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// No identity: for scenarios that are not about one.
pub(crate) const ANONYMOUS: &str = "\n[identity]\nenroll = \"off\"\n";

/// Large enough for the window and the tray's menu beside it.
const SCREEN: (u32, u32) = (1280, 800);

/// A desktop on which `seacat-proxy app` runs in the background.
pub(crate) struct Session {
    pub(crate) desktop: Desktop,
    pub(crate) app: Process,
    pub(crate) port: u16,
}

impl Session {
    /// The engine with this configuration, behind its icon in a panel.
    pub(crate) fn start(configuration: &str) -> Self {
        let mut desktop = Desktop::with_screen(SCREEN.0, SCREEN.1);
        desktop.start_panel();
        let port = free_port();
        let text = format!("[proxy]\nport = {port}\n{configuration}");
        fs::write(desktop.home().join("config.toml"), text).unwrap();
        let app = start_app(&desktop, port);
        Self { desktop, app, port }
    }

    /// The window, opened at `page` as the tray opens it.
    pub(crate) fn window(&self, page: &str) -> Window {
        self.window_with(page, &[])
    }

    /// The same with more in its environment.
    pub(crate) fn window_with(&self, page: &str, environment: &[(&str, &str)]) -> Window {
        let window = self.open(page, environment);
        window.wait_for(&format!("page-{page}"));
        window
    }

    /// The window opened at `page`, where something else is shown instead.
    pub(crate) fn window_on(&self, page: &str, shown: &str) -> Window {
        let window = self.open(page, &[]);
        window.wait_for(shown);
        window
    }

    fn open(&self, page: &str, environment: &[(&str, &str)]) -> Window {
        let config = self.desktop.home().join("config.toml");
        let arguments = ["--page", page, "--config", config.to_str().unwrap()];
        Window::open(&self.desktop, &arguments, environment)
    }

    pub(crate) fn icon(&self) -> TrayIcon {
        TrayIcon::wait_for(&self.desktop, self.app.id())
    }

    /// One of our programs on this desktop, with the same configuration.
    pub(crate) fn program(&self, name: &str, arguments: &[&str]) -> Output {
        let mut command = self.desktop.command(binary(name));
        let config = self.desktop.home().join("config.toml");
        command.args(["--config", config.to_str().unwrap()]).args(arguments);
        command.output().unwrap()
    }

    /// `seacat-proxy …`, which must end well; what it prints.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let done = self.program("seacat-proxy", arguments);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }
}

/// `seacat-proxy app --background` in this desktop's home.
fn start_app(desktop: &Desktop, port: u16) -> Process {
    let mut command = desktop.command(binary("seacat-proxy"));
    command.args(["--config", "config.toml", "app", "--background"]);
    let mut app = Process::start("seacat-proxy", desktop.home(), &command);
    app.wait_for_port(port);
    app
}

/// The table of a gateway called `localhost`.
pub(crate) fn gateway_at(port: u16, ca: &Path) -> String {
    format!("[[gateway]]\nhost = \"localhost\"\nport = {port}\nca_file = \"{}\"\n", ca.display())
}
