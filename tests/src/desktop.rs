//! A desktop for one test: a display, a session bus, a window manager, and a panel with icons. The
//! user's own desktop is not used.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use zbus::blocking::{Connection, Proxy as Object, connection::Builder};

use crate::place::{clean_command, program_output, scratch, target_folder, user_folders};
use crate::process::{Process, wait_for};

/// For a panel to start, or for the clipboard to be handed over, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running desktop; it ends with the value.
#[derive(Debug)]
pub struct Desktop {
    // In the order in which they are ended.
    panel: Option<Process>,
    _window_manager: Process,
    bus: Process,
    _display: Process,
    display: String,
    width: u32,
    home: tempfile::TempDir,
}

impl Desktop {
    /// Display, bus and window manager, without a panel.
    pub fn start() -> Self {
        Self::with_screen(640, 480)
    }

    /// The same on a screen of this size in pixels.
    pub fn with_screen(width: u32, height: u32) -> Self {
        let home = scratch();
        let (display, number) = start_display(home.path(), width, height);
        let bus = start_bus(home.path(), &number);
        let command = in_session("openbox", home.path(), &number);
        let mut manager = Process::start("openbox", home.path(), &command);
        // Windows that are mapped while it starts may be lost for good.
        manager.wait_until("the word that it manages windows", |_| {
            let mut ask = in_session("xprop", home.path(), &number);
            let said = program_output(ask.args(["-root", "_NET_SUPPORTING_WM_CHECK"]))?;
            said.contains("window id").then_some(())
        });
        Self {
            panel: None,
            _window_manager: manager,
            bus,
            _display: display,
            display: number,
            width,
            home,
        }
    }

    /// The home folder of its user.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// A program in this session.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        in_session(program, self.home(), &self.display)
    }

    /// Starts the panel and waits until it takes icons.
    pub fn start_panel(&mut self) {
        let settings = self.home().join("config/xfce4/xfconf/xfce-perchannel-xml");
        fs::create_dir_all(&settings).unwrap();
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("desktop/xfce4-panel.xml");
        fs::copy(ours, settings.join("xfce4-panel.xml")).unwrap();
        let mut command = self.command("xfce4-panel");
        command.arg("--disable-wm-check");
        let mut panel = Process::start("xfce4-panel", self.home(), &command);
        let bus = self.connect();
        panel.wait_until("a host for icons", |_| {
            let watcher = watcher(&bus)?;
            watcher.get_property::<bool>("IsStatusNotifierHostRegistered").ok()?.then_some(())
        });
        self.panel = Some(panel);
    }

    /// Ends the panel, and with it the host for icons.
    pub fn stop_panel(&mut self) {
        self.panel = None;
    }

    /// The icons that the panel knows, by the names of their owners on the bus.
    pub fn icons(&self) -> Vec<String> {
        let bus = self.connect();
        let icons =
            watcher(&bus).and_then(|it| it.get_property("RegisteredStatusNotifierItems").ok());
        icons.unwrap_or_default()
    }

    /// A connection of our own to the session bus.
    pub fn connect(&self) -> Connection {
        self.builder().build().expect("the bus accepts us")
    }

    /// The same, to be given more.
    pub fn builder(&self) -> Builder<'static> {
        let address = bus_address(self.home.path());
        Builder::address(&*address).expect("an address")
    }

    /// What would be pasted, once it is `text`.
    pub fn wait_for_clipboard(&self, text: &str) {
        let mut last = String::new();
        wait_for(&format!("{text:?} on the clipboard"), PATIENCE, || {
            let mut paste = self.command("xclip");
            paste.args(["-selection", "clipboard", "-out"]);
            last = program_output(&mut paste).unwrap_or_default();
            (last == text).then_some(())
        });
    }

    /// Puts `text` there, as another program does when a user copies it.
    pub fn copy(&self, text: &str) {
        let mut copy = self.command("xclip");
        copy.args(["-selection", "clipboard", "-in"]);
        // It goes on in the background to be asked: it must not hold our outputs.
        copy.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut copying = copy.spawn().expect("xclip starts");
        copying.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("xclip reads");
        assert!(copying.wait().expect("xclip ends").success());
    }

    /// Types `text` and Enter into the dialog that is called `title`, once it is there.
    pub fn type_into(&self, title: &str, text: &str) {
        let mut search = self.command("xdotool");
        search.args([
            "search",
            "--sync",
            "--onlyvisible",
            "--name",
            title,
            "windowactivate",
            "--sync",
        ]);
        program_output(&mut search).expect("the dialog opens");
        // A dialog begins with its own text selected.
        let mut keys = self.command("xdotool");
        keys.args(["key", "ctrl+a", "type", "--delay", "20", text]);
        program_output(&mut keys).expect("xdotool types");
        let mut enter = self.command("xdotool");
        program_output(enter.args(["key", "Return"])).expect("xdotool types");
    }

    /// Keeps a picture of the whole screen among the artefacts of the run, once the panel has painted
    /// an icon.
    pub fn picture(&self, name: &str) -> PathBuf {
        self.picture_of(name, &format!("32x28+{}+2", self.width - 32))
    }

    /// The same with the menu of the icon open, as the other button of the mouse opens it.
    pub fn picture_with_menu(&self, name: &str) -> PathBuf {
        let mut click = self.command("xdotool");
        click.args(["mousemove", &(self.width - 16).to_string(), "16", "click", "3"]);
        program_output(&mut click).expect("xdotool clicks");
        let picture = self.picture_of(name, &format!("300x200+{}+60", self.width - 320));
        let mut close = self.command("xdotool");
        program_output(close.args(["key", "Escape"])).expect("xdotool types");
        picture
    }

    /// Takes pictures until something is painted in `place`; the last one is kept.
    fn picture_of(&self, name: &str, place: &str) -> PathBuf {
        wait_for("something painted", PATIENCE, || {
            let path = self.take_picture(name);
            let mut count = clean_command("convert", self.home());
            count.arg(&path).args(["-crop", place, "-format", "%k", "info:"]);
            let colours: u32 = program_output(&mut count)?.trim().parse().ok()?;
            // Edges are smooth: an icon or a text has many shades.
            (colours > 8).then_some(path)
        })
    }

    fn take_picture(&self, name: &str) -> PathBuf {
        let folder = target_folder().join("screenshots");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{name}.png"));
        let mut import = self.command("import");
        import.args(["-window", "root"]).arg(&path);
        let done = import.output().expect("ImageMagick starts");
        assert!(done.status.success(), "import: {}", String::from_utf8_lossy(&done.stderr));
        path
    }

    /// The process of the session bus, to be measured or killed.
    pub fn bus(&mut self) -> &mut Process {
        &mut self.bus
    }
}

fn watcher(bus: &Connection) -> Option<Object<'_>> {
    const NAME: &str = "org.kde.StatusNotifierWatcher";
    Object::new(bus, NAME, "/StatusNotifierWatcher", NAME).ok()
}

fn bus_address(home: &Path) -> String {
    format!("unix:path={}", home.join("bus").display())
}

fn in_session(program: impl AsRef<std::ffi::OsStr>, home: &Path, display: &str) -> Command {
    let mut command = clean_command(program, home);
    user_folders(&mut command, home);
    command.env("DISPLAY", display).env("DBUS_SESSION_BUS_ADDRESS", bus_address(home));
    command
}

/// A display on a number that is free; what it is called.
fn start_display(home: &Path, width: u32, height: u32) -> (Process, String) {
    let mut command = clean_command("Xvfb", home);
    command.args(["-displayfd", "1", "-screen", "0", &format!("{width}x{height}x24")]);
    command.args(["-nolisten", "tcp", "-noreset"]);
    let mut display = Process::start("Xvfb", home, &command);
    let number = display.wait_until("the number of the display", |it| {
        let log = it.log();
        let (whole, _) = log.rsplit_once('\n')?;
        whole.lines().find_map(|line| line.trim().parse::<u32>().ok())
    });
    (display, format!(":{number}"))
}

fn start_bus(home: &Path, display: &str) -> Process {
    let mut command = in_session("dbus-daemon", home, display);
    command.args(["--session", "--nofork", "--address", &bus_address(home)]);
    let mut bus = Process::start("dbus-daemon", home, &command);
    let socket = home.join("bus");
    bus.wait_until("its socket", |_| std::os::unix::net::UnixStream::connect(&socket).ok());
    bus
}
