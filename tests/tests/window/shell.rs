//! What the shell promises: one window, gone when closed, and no harm to the engine by its death.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use seacat_tests::{Client, Gateway, Host, Origin, binary, wait_for};
use serde_json::json;

use crate::session::{ANONYMOUS, PATIENCE, Session, gateway_at};

/// How much more the engine may cost after a window than before it.
const AFTER_KIB: u64 = 1024;

/// What the page calls the dialog.
const DIALOG: &str = "Save the file for support";

/// How soon the window and the tray say that the gateway is gone, or back.
const TRUTH: Duration = Duration::from_secs(3);

/// A gateway with our origin behind it, and the engine in front.
fn world() -> (Origin, Gateway, Session) {
    let origin = Origin::start();
    let gateway = Gateway::start(&[Host { name: "origin", port: origin.port(), tunnel: false }]);
    let session = Session::start(&(gateway_at(gateway.port(), &gateway.ca()) + ANONYMOUS));
    session.icon().wait_for_line("Connected to localhost");
    (origin, gateway, session)
}

#[test]
fn one_window_and_nothing_left_of_it() {
    let (_origin, _gateway, session) = world();
    let engine = || session.app.memory_kib();
    let before = engine();
    let window = session.window("requests");
    let id = window.id();

    // Later starts show the window that is there: by hand, without a session bus, from the launcher.
    let done = session.program("seacat-proxy-window", &["--page", "overview"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    window.wait_for("page-overview");
    let config = session.desktop.home().join("config.toml");
    let mut busless = session.desktop.command(binary("seacat-proxy-window"));
    busless.env_remove("DBUS_SESSION_BUS_ADDRESS").arg("--config").arg(&config);
    assert!(busless.args(["--page", "requests"]).status().unwrap().success());
    window.wait_for("page-requests");
    let second = session.program("seacat-proxy", &["app", "--page", "overview"]);
    assert!(second.status.success(), "{}", String::from_utf8_lossy(&second.stderr));
    window.wait_for("page-overview");
    assert_eq!(window.id(), id);

    let with = engine();
    window.wait_for_text("state", |text| text.starts_with("Connected to localhost"));
    session.desktop.picture("window-on-the-desktop");
    window.resize(&session.desktop, 800, 600);
    window.close(&session.desktop);
    let after = engine();
    println!("engine: {before} KiB PSS before the window, {with} with it, {after} after it");
    assert!(after <= before + AFTER_KIB, "{before} KiB before, {after} KiB after");

    // And again, as large as it was: nothing of the first stands in the way.
    let window = session.window("overview");
    assert_ne!(window.id(), id);
    assert_eq!(window.run("return [innerWidth, innerHeight]"), json!([800, 600]));
    window.close(&session.desktop);
}

/// The file for support is written where the user chooses, by the engine's program: with a proxy
/// that runs and without one. The pages receive the path only.
#[test]
fn the_file_for_support_is_saved_where_the_user_chooses() {
    let (_origin, _gateway, mut session) = world();
    let window = session.window("diagnostics");
    for (name, found) in [("first.txt", "SC-OK"), ("second.txt", "SC-NOT-RUNNING")] {
        let place = session.desktop.home().join(name);
        window.click("save-bundle");
        session.desktop.type_into(DIALOG, place.to_str().unwrap());
        window.wait_for_text("bundle-said", |text| text.ends_with(place.to_str().unwrap()));
        let text = fs::read_to_string(&place).unwrap();
        assert!(text.contains("=== settings") && text.contains(found), "{text}");
        let page = window.run("return document.body.textContent");
        assert!(!page.as_str().unwrap().contains("==="), "{page}");
        session.app.kill();
    }
}

/// Whatever a page says: nothing is loaded from elsewhere, and only what is listed can be asked.
#[test]
fn the_pages_reach_nothing_but_the_shell() {
    let (origin, _gateway, session) = world();
    let window = session.window("overview");
    let url = format!("http://127.0.0.1:{}/echo", origin.port());
    let fetched = window.run_async(&format!(
        "const done = arguments[0]; fetch('{url}').then(() => done('fetched'), () => done('refused'))"
    ));
    assert_eq!(fetched, "refused");
    window.run(&format!(
        "for (const name of ['img', 'script', 'iframe']) {{ \
           const element = document.createElement(name); \
           element.src = '{url}'; \
           document.body.append(element); \
         }} \
         location.href = '{url}';"
    ));
    for command in ["plugin:window|close", "plugin:event|emit", "plugin:path|resolve_directory"] {
        let said = window.run_async(&format!(
            "const done = arguments[0]; window.__TAURI_INTERNALS__.invoke('{command}', {{}}) \
               .then(() => done('obeyed'), (why) => done(String(why)))"
        ));
        assert!(said.as_str().unwrap().contains("not allowed"), "{command}: {said}");
    }
    let place = window.run("return location.href");
    assert!(place.as_str().unwrap().starts_with("tauri://localhost"), "{place}");
    assert!(origin.take_seen().is_empty());
}

#[test]
fn the_death_of_the_window_disturbs_no_request() {
    let (_origin, _gateway, session) = world();
    for victim in ["the web process", "the window"] {
        let window = session.window("requests");
        let port = session.port;
        let request = thread::spawn(move || {
            let mut client = Client::connect(port).unwrap();
            client.get("http://origin.seacat/drip/40/100").unwrap()
        });
        // The engine lists it while it is active.
        wait_for("the request", PATIENCE, || {
            let status: serde_json::Value =
                serde_json::from_str(&session.cli(&["status", "--json"])).unwrap();
            (status["streams"].as_u64()? > 0).then_some(())
        });
        let id = if victim == "the window" { window.id() } else { window.web_process() };
        window.kill(id);
        let answer = request.join().unwrap();
        assert_eq!((answer.status, answer.body.len()), (200, 40 * 1024), "{victim} was killed");
        drop(window);
        assert!(session.cli(&["status"]).contains("connected to localhost"));
    }
}

#[test]
fn gateway_killed_and_back() {
    let (_origin, mut gateway, session) = world();
    let icon = session.icon();
    let window = session.window("overview");
    window.wait_for_text("state", |text| text.starts_with("Connected to localhost"));

    gateway.process().kill();
    let killed = Instant::now();
    window.wait_for_text("state", |text| !text.starts_with("Connected"));
    let seen = killed.elapsed();
    wait_for("the truth in the menu", PATIENCE, || {
        (!icon.menu()[0].label.starts_with("Connected")).then_some(())
    });
    println!(
        "gateway killed: the window is updated after {seen:?}, the tray by {:?}",
        killed.elapsed()
    );
    assert!(killed.elapsed() < TRUTH);

    gateway.restart();
    let back = Instant::now();
    // What waits for the next attempt need not wait.
    session.cli(&["connect"]);
    window.wait_for_text("state", |text| text.starts_with("Connected to localhost"));
    let seen = back.elapsed();
    icon.wait_for_line("Connected to localhost");
    println!(
        "gateway back: the window is updated after {seen:?}, the tray by {:?}",
        back.elapsed()
    );
    assert!(back.elapsed() < TRUTH);
}

/// Ends the engine that a window has started, also when the test fails.
pub(crate) struct Started<'a>(pub(crate) &'a Session);

impl Drop for Started<'_> {
    fn drop(&mut self) {
        drop(self.0.program("seacat-proxy", &["stop"]));
    }
}

/// A proxy that is not there is offered to be started; it outlives the window that started it.
#[test]
fn a_window_without_an_engine_starts_one() {
    let (_origin, _gateway, mut session) = world();
    session.app.signal("TERM");
    assert_eq!(session.app.wait_to_end(PATIENCE).code(), Some(0));
    let window = session.window("overview");
    window.wait_for_text("state", |text| text == "SeaCat Proxy is not running");
    window.picture("window-no-engine");
    let _started = Started(&session);
    window.click("state-action");
    window.wait_for_text("state", |text| text.starts_with("Connected to localhost"));
    window.close(&session.desktop);
    let status = session.cli(&["status", "--json"]);
    assert!(status.contains("\"connected\""), "{status}");
}

/// Without a display there is a sentence and an exit code, no panic.
#[test]
fn no_display() {
    let home = seacat_tests::scratch();
    let mut command = seacat_tests::user_command(binary("seacat-proxy-window"), home.path());
    let done = command.output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(said.contains("there is no display"), "{said}");
}
