//! The tray on a real desktop: Xvfb, a session bus, openbox, and xfce4-panel as the host of icons;
//! the menu is read and clicked over D-Bus, the gateway is a real process.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a scenario fails where it cannot go on, and says what it measured"
)]

use std::collections::HashMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, Issuer, KeyPair};
use seacat_tests::{
    Desktop, Gateway, Host, PROGRAMS, Process, Proxy, TrayIcon, binary, free_port, program_output,
    wait_for,
};
use zbus::blocking::Connection;
use zbus::zvariant::OwnedValue;

/// For what takes a round trip or two, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long the tray may be outdated after a change.
const TRUTH: Duration = Duration::from_secs(3);

/// Tray and engine, idle and without a window: the goal for programs as released (`cargo xtask test
/// suite-costs`), in KiB.
const RELEASED_LIMIT: u64 = 12 * 1024;

/// The same for heap and stacks alone. A build of CI's own is held to this one: how much of its program
/// is mapped says nothing about the released one, and varies by half for the same file.
const ANONYMOUS_LIMIT: u64 = 6 * 1024;

/// The engine alone, which has answered a request. The goal is 10 MiB; 10.8 were measured with a layout that
/// does not know the functions of the one HTTP/1 server yet. More than this: is crates/seacat-agent/layout.ld out
/// of date? `cargo xtask layout` writes it anew.
fn engine_limit_kib() -> u64 {
    if std::env::var_os(PROGRAMS).is_some() { 12 * 1024 } else { 32 * 1024 }
}

/// For how long nothing may wake the process.
const QUIET: Duration = Duration::from_secs(60);

/// A desktop on which `seacat-proxy app` runs. In place of the window's program stands a script that
/// notes how it was started.
struct Session {
    desktop: Desktop,
    app: Process,
    port: u16,
}

impl Session {
    /// With a panel.
    fn start(configuration: &str, arguments: &[&str]) -> Self {
        let mut desktop = Desktop::start();
        desktop.start_panel();
        Self::start_on(desktop, configuration, arguments)
    }

    fn start_on(desktop: Desktop, configuration: &str, arguments: &[&str]) -> Self {
        let port = free_port();
        let text = format!("[proxy]\nport = {port}\n{configuration}");
        fs::write(desktop.home().join("config.toml"), text).unwrap();
        let mut app = Process::start("seacat-proxy", desktop.home(), &app(&desktop, arguments));
        app.wait_for_port(port);
        Self { desktop, app, port }
    }

    fn icon(&self) -> TrayIcon {
        TrayIcon::wait_for(&self.desktop, self.app.id())
    }

    /// Waits until the window has been opened once more than `before`; how.
    fn wait_for_window(&self, before: usize) -> String {
        wait_for("the window", PATIENCE, || opened(&self.desktop).get(before).cloned())
    }

    fn cli(&self, arguments: &[&str]) -> String {
        let mut command = self.desktop.command(binary("seacat-proxy"));
        command.args(["--config", "config.toml"]).args(arguments);
        let done = command.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }
}

/// `seacat-proxy app` as the launcher starts it.
fn app(desktop: &Desktop, arguments: &[&str]) -> Command {
    let window = desktop.home().join("window");
    if !window.exists() {
        let script = format!("#!/bin/sh\necho \"$*\" >> {}\n", window_log(desktop).display());
        fs::write(&window, script).unwrap();
        fs::set_permissions(&window, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = desktop.command(binary("seacat-proxy"));
    command.args(["--config", "config.toml", "app"]).args(arguments);
    command.env("SEACAT_PROXY_WINDOW", window);
    command
}

fn window_log(desktop: &Desktop) -> PathBuf {
    desktop.home().join("windows.log")
}

/// How the window was started each time.
fn opened(desktop: &Desktop) -> Vec<String> {
    let log = fs::read_to_string(window_log(desktop)).unwrap_or_default();
    log.lines().map(str::to_owned).collect()
}

/// The table of a gateway called `localhost`.
fn gateway_at(port: u16, ca: &Path) -> String {
    format!("[[gateway]]\nhost = \"localhost\"\nport = {port}\nca_file = \"{}\"\n", ca.display())
}

/// No identity: for scenarios that are not about one.
const ANONYMOUS: &str = "\n[identity]\nenroll = \"off\"\n";

/// No key store in a test: the file is the place that is always there.
const ENROLLING: &str = "\n[identity]\nenroll = \"auto\"\nkey_store = \"file\"\n";

/// Who shows notifications on the session bus.
struct Notifications {
    seen: Arc<Mutex<Vec<(String, String)>>>,
    bus: Connection,
}

struct Server(Arc<Mutex<Vec<(String, String)>>>);

#[zbus::interface(name = "org.freedesktop.Notifications")]
impl Server {
    #[allow(clippy::too_many_arguments, reason = "the specification has them")]
    fn notify(
        &self,
        _app: &str,
        _replaces: u32,
        _icon: &str,
        summary: String,
        body: String,
        _actions: Vec<String>,
        _hints: HashMap<String, OwnedValue>,
        _expires: i32,
    ) -> u32 {
        let mut seen = self.0.lock().unwrap();
        seen.push((summary, body));
        u32::try_from(seen.len()).unwrap()
    }
}

impl Notifications {
    const NAME: &str = "org.freedesktop.Notifications";
    const PATH: &str = "/org/freedesktop/Notifications";

    fn serve(desktop: &Desktop) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let server = Server(seen.clone());
        let bus = desktop.builder().name(Self::NAME).unwrap();
        let bus = bus.serve_at(Self::PATH, server).unwrap().build().unwrap();
        Self { seen, bus }
    }

    /// Waits for one with this title; its number and its text.
    fn wait_for(&self, title: &str) -> (u32, String) {
        wait_for(&format!("the notification {title:?}"), PATIENCE, || {
            let seen = self.seen.lock().unwrap();
            let place = seen.iter().position(|(it, _)| it == title)?;
            Some((u32::try_from(place + 1).unwrap(), seen[place].1.clone()))
        })
    }

    fn titles(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|(title, _)| title.clone()).collect()
    }

    fn click(&self, id: u32) {
        let action = (id, "default");
        self.bus
            .emit_signal(None::<&str>, Self::PATH, Self::NAME, "ActionInvoked", &action)
            .unwrap();
    }
}

#[test]
fn connecting_waiting_connected_off_and_quit() {
    let port = free_port();
    let mut gateway = Gateway::start_on(port, &[]);
    gateway.process().kill();
    // Accepts and says nothing, as a gateway behind a firewall that drops packets.
    let silent = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let configuration = gateway_at(port, &gateway.ca()) + ANONYMOUS;
    let mut session = Session::start(&configuration, &["--background"]);
    let icon = session.icon();
    icon.wait_for_line("Connecting to localhost");
    session.desktop.picture("tray-connecting");
    let dotted = icon.picture();

    drop(silent);
    icon.wait_for_line("Not connected: ");
    icon.wait_for_line("Retry now (next attempt in ");
    println!("{}", icon.text());
    session.desktop.picture("tray-waiting");
    let clock = icon.picture();

    gateway.restart();
    // The countdown may have ended in the meantime; clicking is then no longer on offer.
    if icon.text().contains("Retry now") {
        icon.click("Retry now");
    }
    let line = icon.wait_for_line("Connected to localhost, ");
    assert!(line.ends_with(" ms"), "{line}");
    println!("{}", icon.text());
    session.desktop.picture("tray-connected");
    session.desktop.picture_with_menu("tray-menu");
    let filled = icon.picture();
    assert_eq!(icon.status(), "Active");

    let url = format!("http://127.0.0.1:{}", session.port);
    icon.click("Copy proxy address");
    session.desktop.wait_for_clipboard(&url);
    icon.click("git");
    session.desktop.wait_for_clipboard(&format!("git config --global http.proxy {url}"));
    icon.click("Java");
    let java = format!("-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort={}", session.port);
    session.desktop.wait_for_clipboard(&java);

    icon.click("Disconnect");
    icon.wait_for_line("Disconnected");
    session.desktop.picture("tray-off");
    let outline = icon.picture();
    icon.click("Connect");
    icon.wait_for_line("Connected to localhost");
    let pictures = [&dotted, &clock, &filled, &outline];
    for (i, picture) in pictures.iter().enumerate() {
        assert!(!pictures[..i].contains(picture), "two states have the same icon");
    }

    gateway.process().kill();
    let killed = Instant::now();
    wait_for("the truth after the gateway is gone", TRUTH, || {
        (!icon.menu()[0].label.starts_with("Connected")).then_some(())
    });
    println!("gateway killed: the menu is updated after {:?}", killed.elapsed());
    gateway.restart();
    icon.wait_for_line("Connected to localhost");

    icon.click("Quit");
    let status = session.app.wait_to_end(PATIENCE);
    assert_eq!(status.code(), Some(0), "{}", session.app.log());
    wait_for("the icon to be gone", PATIENCE, || session.desktop.icons().is_empty().then_some(()));
}

const APPROVED: &str = "SeaCat Proxy: this computer was approved";

#[test]
fn waiting_for_approval_and_approved() {
    let gateway = Gateway::start_enrolling(&[]);
    let configuration = gateway_at(gateway.port(), &gateway.ca()) + ENROLLING;
    let session = Session::start(&configuration, &["--background"]);
    let notifications = Notifications::serve(&session.desktop);
    let icon = session.icon();
    let line = icon.wait_for_line("Waiting for approval of ");
    let tag = line.trim_start_matches("Waiting for approval of ").to_owned();
    println!("{}", icon.text());
    session.desktop.picture("tray-approval");
    session.desktop.picture_with_menu("tray-menu-approval");
    icon.click("Copy Client Tag");
    session.desktop.wait_for_clipboard(&tag);
    assert!(notifications.titles().is_empty(), "{:?}", notifications.titles());

    gateway.command(&["approve", &tag]);
    let (id, body) = notifications.wait_for(APPROVED);
    assert!(body.starts_with("It is registered until "), "{body}");
    wait_for("the tag to leave the menu", PATIENCE, || {
        (!icon.text().contains("Copy Client Tag")).then_some(())
    });
    notifications.click(id);
    assert_eq!(session.wait_for_window(0), window_arguments(&session, "identity"));

    assert_eq!(notifications.titles(), [APPROVED], "once");
}

/// Half of the time for a renewal is over, and the gateway's administrator has not approved it.
#[test]
fn a_certificate_that_is_about_to_expire() {
    let gateway = Gateway::start_enrolling(&[]);
    let configuration =
        gateway_at(gateway.port(), &gateway.ca()) + &ENROLLING.replace("auto", "manual");
    let session = Session::start(&configuration, &["--background"]);
    let notifications = Notifications::serve(&session.desktop);
    let icon = session.icon();
    icon.wait_for_line("Ask for a certificate…");
    let file = session.desktop.home().join("old.pem");
    fs::write(&file, old_identity(&gateway, session.desktop.home())).unwrap();
    session.cli(&["identity", "import", file.to_str().unwrap()]);

    let line = icon.wait_for_line("The certificate ends on ");
    println!("{}", icon.text());
    assert!(line.ends_with("could not be renewed yet"), "{line}");
    let (_, body) = notifications.wait_for("The certificate is about to expire");
    println!("notification: {body}");
    wait_for("the exclamation mark", PATIENCE, || {
        (icon.status() == "NeedsAttention").then_some(())
    });
    session.desktop.picture("tray-expiring");
    icon.click("Renew…");
    assert_eq!(session.wait_for_window(0), window_arguments(&session, "identity"));
}

/// A key and a certificate of 30 days that has one day left, as PEM.
fn old_identity(gateway: &Gateway, home: &Path) -> String {
    let mut make = Command::new("openssl");
    make.args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    let key = program_output(make.current_dir(home)).expect("openssl makes a key");
    let read = |name: &str| fs::read_to_string(gateway.folder().join(name)).unwrap();
    let ca_key = KeyPair::from_pem(&read("client-ca.key")).unwrap();
    let ca = Issuer::from_ca_cert_pem(&read("client-ca.pem"), ca_key).unwrap();
    let day = Duration::from_secs(86_400);
    let now = std::time::SystemTime::now();
    let mut certificate = CertificateParams::default();
    certificate.not_before = (now - day * 29).into();
    certificate.not_after = (now + day).into();
    let pair = KeyPair::from_pem(&key).unwrap();
    key + &certificate.signed_by(&pair, &ca).unwrap().pem()
}

#[test]
fn failed_for_good() {
    let (gateway, stranger) = (Gateway::start(&[]), Gateway::start(&[]));
    let configuration = gateway_at(gateway.port(), &stranger.ca()) + ANONYMOUS;
    let mut desktop = Desktop::start();
    desktop.start_panel();
    let notifications = Notifications::serve(&desktop);
    let session = Session::start_on(desktop, &configuration, &["--background"]);
    let icon = session.icon();
    let line = icon.wait_for_line("Not connected: the gateway's certificate isn't trusted");
    assert!(line.chars().count() <= 73, "{line}");
    println!("{}", icon.text());
    assert_eq!(icon.status(), "NeedsAttention");
    session.desktop.picture("tray-failed");
    let (id, body) = notifications.wait_for("SeaCat Proxy can't use the gateway");
    println!("notification: {body}");
    notifications.click(id);
    assert_eq!(session.wait_for_window(0), window_arguments(&session, "diagnostics"));

    // Set right, it goes on without a restart.
    let right = gateway_at(gateway.port(), &gateway.ca()) + ANONYMOUS;
    let right = format!("[proxy]\nport = {}\n{right}", session.port);
    fs::write(session.desktop.home().join("config.toml"), right).unwrap();
    session.app.signal("HUP");
    icon.wait_for_line("Connected to localhost");
    assert_eq!(icon.status(), "Active");
    assert_eq!(notifications.titles().len(), 1, "once");
}

#[test]
fn no_network() {
    // What the kernel says without a network (ENETUNREACH), it says of TCP to a group of
    // computers always.
    let gateway = "[[gateway]]\nhost = \"gw.example.com\"\naddress = \"224.0.0.1\"\n";
    let session = Session::start(&(gateway.to_owned() + ANONYMOUS), &["--background"]);
    let icon = session.icon();
    let line = icon.wait_for_line("No network");
    println!("{}", icon.text());
    assert_eq!(line, "No network");
    let pause = icon.wait_for_line("Retry now (next attempt in ");
    wait_for("the countdown to go on", PATIENCE, || {
        let now = icon
            .menu()
            .into_iter()
            .find(|it| it.label.starts_with("Retry now (next attempt in "))?;
        (now.label != pause).then_some(())
    });
    session.desktop.picture("tray-no-network");
}

fn window_arguments(session: &Session, page: &str) -> String {
    let config = session.desktop.home().join("config.toml");
    format!("--page {page} --config {}", config.display())
}

#[test]
fn one_copy_and_a_panel_that_comes_and_goes() {
    let gateway = Gateway::start(&[]);
    let configuration = gateway_at(gateway.port(), &gateway.ca()) + ANONYMOUS;
    let mut session = Session::start_on(Desktop::start(), &configuration, &[]);
    assert_eq!(session.wait_for_window(0), window_arguments(&session, "overview"));

    // No panel: the launcher still opens the window, and starts no second proxy.
    let second = app(&session.desktop, &["--page", "requests"]).output().unwrap();
    assert_eq!(second.status.code(), Some(0), "{}", String::from_utf8_lossy(&second.stderr));
    assert_eq!(session.wait_for_window(1), window_arguments(&session, "requests"));
    let third = app(&session.desktop, &["--background"]).output().unwrap();
    assert_eq!(third.status.code(), Some(0));
    assert_eq!(opened(&session.desktop).len(), 2, "no window opens at login");

    for _ in 0..2 {
        session.desktop.start_panel();
        let icon = session.icon();
        icon.wait_for_line("Connected to localhost");
        session.desktop.stop_panel();
    }
    session.desktop.start_panel();
    let icon = session.icon();
    let pages = [
        ("Open SeaCat Proxy…", "overview"),
        ("Recent requests…", "requests"),
        ("Troubleshoot…", "diagnostics"),
        ("Gateway settings…", "gateway"),
    ];
    for (i, (label, page)) in pages.into_iter().enumerate() {
        icon.click(label);
        assert_eq!(session.wait_for_window(2 + i), window_arguments(&session, page));
    }
    icon.activate();
    assert_eq!(session.wait_for_window(6), window_arguments(&session, "overview"));

    // The session ends: bus and panel are gone before us.
    session.desktop.stop_panel();
    session.desktop.bus().kill();
    let status = session.cli(&["status"]);
    assert!(status.contains("connected to localhost"), "the proxy goes on: {status}");
    session.app.signal("TERM");
    assert_eq!(session.app.wait_to_end(PATIENCE).code(), Some(0));
}

#[test]
fn a_start_that_fails_is_reported_on_the_desktop() {
    let desktop = Desktop::start();
    let notifications = Notifications::serve(&desktop);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    fs::write(desktop.home().join("config.toml"), format!("[proxy]\nport = {port}\n")).unwrap();
    let done = app(&desktop, &["--background"]).output().unwrap();
    assert_eq!(done.status.code(), Some(6));
    let (_, body) = notifications.wait_for("SeaCat Proxy could not start");
    assert!(body.contains(&format!("127.0.0.1:{port} is taken by")), "{body}");
}

#[test]
fn start_at_login() {
    let desktop = Desktop::start();
    let entry = desktop.home().join("config/autostart/seacat-proxy.desktop");
    let run = |arguments: &[&str]| app(&desktop, arguments).output().unwrap();
    assert!(run(&["--autostart", "on"]).status.success());
    let text = fs::read_to_string(&entry).unwrap();
    let config = desktop.home().join("config.toml");
    assert!(
        text.contains(&format!("\"app\" \"--background\" \"--config\" \"{}\"", config.display()))
    );
    let checked = Command::new("desktop-file-validate").arg(&entry).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    assert!(run(&["--autostart", "off"]).status.success());
    assert!(!entry.exists());
}

/// Idle means idle: between two PINGs nothing wakes it.
#[test]
fn what_it_costs() {
    let gateway = Gateway::start(&[]);
    let slow = "\n[channel]\nkeepalive = \"200s\"\n";
    let configuration = gateway_at(gateway.port(), &gateway.ca()) + ANONYMOUS + slow;
    let session = Session::start(&configuration, &["--background"]);
    let icon = session.icon();
    icon.wait_for_line("Connected to localhost");
    // The pool for blocking work lets go of its threads after ten idle seconds.
    let threads = || fs::read_dir(format!("/proc/{}/task", session.app.id())).unwrap().count();
    wait_for("one thread alone", PATIENCE, || (threads() == 1).then_some(()));
    let memory = session.app.memory_kib();
    let before = session.app.wake_ups();
    thread::sleep(QUIET);
    let wake_ups = session.app.wake_ups() - before;
    println!("tray and engine, idle: {:.1} MiB PSS", memory as f64 / 1024.0);
    println!("woken {wake_ups} times in {} s", QUIET.as_secs());

    icon.click("Copy proxy address");
    session.desktop.wait_for_clipboard(&format!("http://127.0.0.1:{}", session.port));
    let copied = session.app.memory_kib();
    println!("with something on the clipboard: {:.1} MiB PSS", copied as f64 / 1024.0);
    let anonymous = session.app.anonymous_kib();
    println!("of it heap and stacks: {:.1} MiB", anonymous as f64 / 1024.0);
    assert!(anonymous <= ANONYMOUS_LIMIT, "{anonymous} KiB");
    if std::env::var_os(PROGRAMS).is_some() {
        assert!(memory <= RELEASED_LIMIT, "{memory} KiB");
        assert!(copied <= RELEASED_LIMIT, "{copied} KiB");
    }
    assert_eq!(wake_ups, 0);
}

#[test]
fn what_it_costs_without_a_tray() {
    let host = Host { name: "nobody", port: free_port(), tunnel: false };
    let gateway = Gateway::start(&[host]);
    let mut engine = Proxy::start_with(gateway.port(), &gateway.ca(), "nobody", ANONYMOUS);
    assert_eq!(engine.client().get("http://nobody.seacat/").unwrap().status, 502);
    let resident = engine.process().resident_kib();
    println!("engine, idle: {:.1} MiB resident", resident as f64 / 1024.0);
    assert!(resident <= engine_limit_kib(), "{resident} KiB");
}
