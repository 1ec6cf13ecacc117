//! A desktop session: a message bus with GNOME's keyring.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use crate::place::user_command;
use crate::process::{Process, wait_for};

/// What the keyrings are opened with.
const PASSWORD: &str = "the keyring's own password";

const SECRETS: &str = "org.freedesktop.secrets";

/// How long bus and keyring may take.
const READY: Duration = Duration::from_secs(20);

/// A session bus in a home, at the standard path `$XDG_RUNTIME_DIR/bus`. The only service it
/// activates is a password prompt that is never answered.
#[derive(Debug)]
pub struct Session {
    _bus: Process,
    keyring: Option<Process>,
    home: PathBuf,
}

impl Session {
    /// Starts the bus.
    pub fn start(home: &Path) -> Self {
        let mut command = user_command("dbus-daemon", home);
        let socket = home.join("runtime/bus");
        let (services, dialogues) = (home.join("services"), home.join("dialogues"));
        fs::create_dir_all(&services).unwrap();
        // On a computer without a screen, GNOME's dialogue is started and never ready: so here.
        let dialogue = format!("#!/bin/sh\necho asked >>{}\nexec sleep 60\n", dialogues.display());
        let program = home.join("dialogue");
        fs::write(&program, dialogue).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(&program, executable).unwrap();
        fs::write(
            services.join("prompter.service"),
            format!(
                "[D-BUS Service]\nName=org.gnome.keyring.SystemPrompter\nExec={}\n",
                program.display()
            ),
        )
        .unwrap();
        let configuration = home.join("bus.conf");
        fs::write(
            &configuration,
            format!(
                "<busconfig><type>session</type><listen>unix:path={}</listen>\
                 <auth>EXTERNAL</auth><servicedir>{}</servicedir>\
                 <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\
                 <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>",
                socket.display(),
                services.display()
            ),
        )
        .unwrap();
        command.arg("--nofork").arg(format!("--config-file={}", configuration.display()));
        let mut bus = Process::start("dbus-daemon", home, &command);
        bus.wait_until("the bus", |_| socket.exists().then_some(()));
        Self { _bus: bus, keyring: None, home: home.to_owned() }
    }

    /// Starts the keyring as a login does, its keyrings open.
    pub fn start_keyring(&mut self) {
        self.start_daemon("--unlock");
    }

    /// Starts the keyring, its keyrings locked.
    pub fn start_keyring_locked(&mut self) {
        self.start_daemon("");
    }

    fn start_daemon(&mut self, unlock: &str) {
        assert!(self.keyring.is_none(), "a keyring runs already");
        let password = self.home.join("keyring-password");
        fs::write(&password, PASSWORD).unwrap();
        let line = format!(
            "exec gnome-keyring-daemon --foreground --components=secrets {unlock} <{}",
            password.display()
        );
        let mut command = user_command("sh", &self.home);
        command.args(["-c", &line]);
        let keyring = Process::start("gnome-keyring-daemon", &self.home, &command);
        self.keyring = Some(keyring);
        wait_for("the keyring on the bus", READY, || self.has_keyring().then_some(()));
    }

    /// The keyring's process, to be stopped and continued.
    pub fn keyring(&mut self) -> &mut Process {
        self.keyring.as_mut().expect("a keyring runs")
    }

    /// SIGKILL, and gone from the bus when this returns.
    pub fn kill_keyring(&mut self) {
        self.keyring.take().expect("a keyring runs").kill();
        wait_for("the keyring's end", READY, || (!self.has_keyring()).then_some(()));
    }

    /// How often a dialogue for the password was put before the user.
    pub fn dialogues(&self) -> usize {
        let log = fs::read_to_string(self.home.join("dialogues")).unwrap_or_default();
        log.lines().count()
    }

    /// The secret that our program has stored, as `secret-tool` reads it.
    pub fn stored_key(&self) -> Option<Vec<u8>> {
        let found = self.run("secret-tool", &["lookup", "service", "seacat-proxy"]);
        (found.status.success() && !found.stdout.is_empty()).then_some(found.stdout)
    }

    fn has_keyring(&self) -> bool {
        let name = format!("string:{SECRETS}");
        let question = ["--session", "--print-reply", "--dest=org.freedesktop.DBus", "/"];
        let method = ["org.freedesktop.DBus.NameHasOwner", &name];
        let answer = self.run("dbus-send", &[&question[..], &method].concat());
        String::from_utf8_lossy(&answer.stdout).contains("boolean true")
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command: Command = user_command(program, &self.home);
        command.args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"))
    }
}
