//! The real window, driven through WebKit's own driver (W3C WebDriver, JSON over HTTP).
//!
//! A client of the few commands that the scenarios need: a page of code instead of a crate with its
//! own HTTP stack. What is looked for is named by its `data-testid`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::desktop::Desktop;
use crate::http::Client;
use crate::place::{binary, free_port, target_folder};
use crate::process::{Process, wait_for};

/// How long something may take to be on the page.
const PATIENCE: Duration = Duration::from_secs(30);

/// From one look at the page to the next: each is a turn of the browser.
const LOOK: Duration = Duration::from_millis(40);

/// How the protocol calls a reference to an element (WebDriver, section 12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A window under control. It is closed with the value.
#[derive(Debug)]
pub struct Window {
    driver: Process,
    session: String,
    port: u16,
    home: PathBuf,
}

impl Window {
    /// Opens the window on `desktop` as `seacat-proxy app` would, with these arguments and these
    /// additions to its environment.
    pub fn open(desktop: &Desktop, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let port = free_port();
        let mut command = desktop.command("WebKitWebDriver");
        command.args(["--host=127.0.0.1", &format!("--port={port}")]);
        // wry lets itself be driven only then.
        command.env("TAURI_WEBVIEW_AUTOMATION", "true");
        // There is no graphics processor here, and playing one costs a tenth of a second a frame.
        command.env("WEBKIT_SKIA_ENABLE_CPU_RENDERING", "1");
        command.envs(environment.iter().copied());
        let mut driver = Process::start("webdriver", desktop.home(), &command);
        driver.wait_for_port(port);
        let window = binary("seacat-proxy-window");
        let options = json!({ "binary": window, "args": arguments });
        let wanted = json!({ "webkitgtk:browserOptions": options });
        let wanted = json!({ "capabilities": { "alwaysMatch": wanted } });
        let home = desktop.home().to_owned();
        let mut this = Self { driver, session: String::new(), port, home };
        let session = this.call("POST", "/session", &wanted);
        let id = session["sessionId"].as_str().expect("a session has an id");
        this.session = format!("/session/{id}");
        this
    }

    /// One command; its value.
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        match self.try_call(method, path, body) {
            Ok(value) => value,
            Err(error) => panic!("{method} {path}: {error:#}"),
        }
    }

    /// One command; its value, or the error as the driver says it.
    fn try_call(&self, method: &str, path: &str, body: &Value) -> Result<Value, Value> {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let request = format!(
            "{method} {}{path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.session,
            self.port,
            body.len()
        );
        let mut client = Client::connect(self.port).expect("the driver accepts connections");
        // A new session waits for the window, on a busy machine.
        client.set_patience(PATIENCE * 2);
        let answer = client.ask(request.as_bytes()).expect("the driver answers");
        let mut said: Value = serde_json::from_slice(&answer.body).expect("the driver says JSON");
        let value = said["value"].take();
        if answer.status == 200 { Ok(value) } else { Err(value) }
    }

    /// What a function in the page returns.
    pub fn run(&self, script: &str) -> Value {
        self.call("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What a function in the page gives to its last argument.
    pub fn run_async(&self, script: &str) -> Value {
        self.call("POST", "/execute/async", &json!({ "script": script, "args": [] }))
    }

    fn find(&self, id: &str) -> Option<String> {
        let css = format!("[data-testid='{id}']");
        let selector = json!({ "using": "css selector", "value": css });
        let found = self.try_call("POST", "/element", &selector).ok()?;
        found[ELEMENT].as_str().map(str::to_owned)
    }

    /// Waits until there is one.
    pub fn wait_for(&self, id: &str) {
        self.wait_until(&format!("{id:?} on the page"), || self.find(id));
    }

    /// Whether there is one now.
    pub fn has(&self, id: &str) -> bool {
        self.find(id).is_some()
    }

    /// Clicks as a mouse would, once it can be clicked.
    pub fn click(&self, id: &str) {
        self.wait_until(&format!("a click on {id:?}"), || {
            let element = self.find(id)?;
            self.try_call("POST", &format!("/element/{element}/click"), &json!({})).ok()
        });
    }

    /// Replaces what is in a field.
    pub fn fill(&self, id: &str, text: &str) {
        self.wait_until(&format!("{text:?} in {id:?}"), || {
            let element = self.find(id)?;
            let at = |what: &str| format!("/element/{element}/{what}");
            self.try_call("POST", &at("clear"), &json!({})).ok()?;
            self.try_call("POST", &at("value"), &json!({ "text": text })).ok()
        });
    }

    /// Pastes the clipboard into a field.
    pub fn paste(&self, id: &str) {
        /// Control, held until all keys are let go (WebDriver, section 17.4.2).
        const PASTE: &str = "\u{E009}v\u{E000}";
        self.wait_until(&format!("a field {id:?} to paste into"), || {
            let element = self.find(id)?;
            let path = format!("/element/{element}/value");
            self.try_call("POST", &path, &json!({ "text": PASTE })).ok()
        });
    }

    /// What can be read there now; nothing where it is not.
    pub fn text(&self, id: &str) -> String {
        let script =
            format!("return document.querySelector(\"[data-testid='{id}']\")?.innerText ?? ''");
        self.run(&script).as_str().unwrap_or_default().trim().to_owned()
    }

    /// Waits until what can be read there is as wanted; the text.
    pub fn wait_for_text(&self, id: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.text(id);
            if wanted(&now) {
                return now;
            }
            if now != last {
                last = now;
            }
            if Instant::now() > deadline {
                self.picture("window-failed");
                panic!("waited {PATIENCE:?} for another text in {id:?}; last: {last:?}");
            }
            thread::sleep(LOOK);
        }
    }

    fn wait_until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            if Instant::now() > deadline {
                self.picture("window-failed");
                panic!("waited {PATIENCE:?} for {what}");
            }
            thread::sleep(LOOK);
        }
    }

    /// Keeps a picture of the page among the artefacts of the run.
    pub fn picture(&self, name: &str) -> PathBuf {
        // Right after a change it may be one frame old.
        self.run_async(
            "const done = arguments[0]; \
             requestAnimationFrame(() => requestAnimationFrame(() => done(null)))",
        );
        let taken = self.call("GET", "/screenshot", &Value::Null);
        let png = BASE64.decode(taken.as_str().expect("a picture")).expect("in base64");
        let folder = target_folder().join("screenshots");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{name}.png"));
        fs::write(&path, png).unwrap();
        path
    }

    /// The process of the window.
    pub fn id(&self) -> u32 {
        let ids = self.processes();
        let window = |id: &&u32| program_of(**id) == "seacat-proxy-window";
        *ids.iter().find(window).expect("a window runs")
    }

    /// The window's processes: its own and WebKit's, and not an engine that it started.
    pub fn processes(&self) -> Vec<u32> {
        let driver = self.driver.id();
        let ours = |id: &u32| *id != driver && program_of(*id) != "seacat-proxy";
        all_processes().filter(|id| ours(id) && descends(*id, driver)).collect()
    }

    /// The process that draws the page.
    pub fn web_process(&self) -> u32 {
        let ids = self.processes();
        *ids.iter().find(|id| program_of(**id) == "WebKitWebProcess").expect("a web process")
    }

    /// Drags it to another size, in pixels.
    pub fn resize(&self, desktop: &Desktop, width: u32, height: u32) {
        self.tool(desktop, &["windowsize", "--sync", &width.to_string(), &height.to_string()]);
        let size = json!([width, height]);
        self.wait_until(&format!("the size {size}"), || {
            (self.run("return [innerWidth, innerHeight]") == size).then_some(())
        });
    }

    /// Closes it with the window manager's key and waits until all of its processes have ended.
    pub fn close(self, desktop: &Desktop) {
        let ids = self.processes();
        self.tool(desktop, &["windowactivate", "--sync"]);
        let done = desktop.command("xdotool").args(["key", "alt+F4"]).status();
        assert!(done.is_ok_and(|status| status.success()), "xdotool types");
        let gone = |id: &u32| !Path::new(&format!("/proc/{id}")).exists();
        wait_for("the end of the window's processes", PATIENCE, || {
            ids.iter().all(gone).then_some(())
        });
    }

    /// Does something to the window as X knows it.
    fn tool(&self, desktop: &Desktop, what: &[&str]) {
        let window = self.id().to_string();
        let mut tool = desktop.command("xdotool");
        tool.args(["search", "--all", "--onlyvisible", "--pid", &window, "--name", "SeaCat"]);
        let done = tool.args(what).output().expect("xdotool starts");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "xdotool {what:?}: {said}");
    }

    /// SIGKILL for one of its processes.
    pub fn kill(&self, id: u32) {
        let done = Command::new("sh").args(["-c", &format!("kill -s KILL {id}")]).status();
        assert!(done.is_ok_and(|status| status.success()), "cannot kill {id}");
    }

    /// The home of its desktop.
    pub fn home(&self) -> &Path {
        &self.home
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // The driver ends; the window must not outlive it.
        for id in self.processes() {
            let _ = Command::new("sh").args(["-c", &format!("kill -s KILL {id} 2>&-")]).status();
        }
    }
}

fn all_processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The name of its program's file; empty when it is gone.
fn program_of(id: u32) -> String {
    let path = fs::read_link(format!("/proc/{id}/exe")).unwrap_or_default();
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether a process is a child of another, or a child's child.
fn descends(id: u32, from: u32) -> bool {
    let mut id = id;
    while id > 1 {
        if id == from {
            return true;
        }
        let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else { return false };
        // The name in brackets may hold anything; after it come the state and the parent.
        let parent = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        id = parent.unwrap_or(0);
    }
    false
}
