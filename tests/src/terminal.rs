//! A program on a terminal, provided by util-linux's `script`.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::process::wait_for;

/// How long a program may take to say what is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program at a terminal.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Starts `command` at a terminal of its own.
    pub fn start(command: &Command) -> Self {
        let words: Vec<String> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| format!("'{}'", word.to_string_lossy().replace('\'', "'\\''")))
            .collect();
        let mut script = Command::new("script");
        // Its answer is the command's; nothing is written to a file. The first line is the
        // terminal's name.
        let line = format!("tty; exec {}", words.join(" "));
        script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        script.env_clear();
        script.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        script.env("SHELL", "/bin/sh");
        if let Some(dir) = command.get_current_dir() {
            script.current_dir(dir);
        }
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = script.spawn().expect("script starts");
        let mut output = child.stdout.take().expect("it is a pipe");
        let screen = Arc::new(Mutex::new(Vec::new()));
        let shared = screen.clone();
        thread::spawn(move || {
            let mut room = [0; 1024];
            while let Ok(n @ 1..) = output.read(&mut room) {
                shared.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&room[..n]);
            }
        });
        Self { child, screen }
    }

    /// Everything that has appeared.
    pub fn screen(&self) -> String {
        let screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&screen).into_owned()
    }

    /// Waits until `text` has appeared.
    pub fn wait_for(&self, text: &str) {
        wait_for(&format!("{text:?} on the terminal"), PATIENCE, || {
            self.screen().contains(text).then_some(())
        });
    }

    /// Waits until what is typed is not shown.
    pub fn wait_until_hidden(&self) {
        let name = self.screen().lines().next().unwrap_or_default().trim().to_owned();
        wait_for("a terminal that does not echo", PATIENCE, || {
            let asked = Command::new("stty").args(["-a", "-F", &name]).output().ok()?;
            String::from_utf8_lossy(&asked.stdout).contains(" -echo ").then_some(())
        });
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) {
        let keys = self.child.stdin.as_mut().expect("it is a pipe");
        keys.write_all(format!("{line}\n").as_bytes()).expect("the terminal is there");
    }

    /// Waits for the end; how it ended, and all that appeared.
    pub fn end(mut self) -> (ExitStatus, String) {
        let status = wait_for("the end of the program at the terminal", PATIENCE, || {
            self.child.try_wait().expect("a child can be asked")
        });
        (status, self.screen())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
