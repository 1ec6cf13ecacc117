//! Scenarios of a user: setup, a configured gateway, a port that moves, a reset.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use seacat_tests::{Client, Gateway, Host, Origin, free_port, program_output, wait_for};

use crate::session::{PATIENCE, Session};

/// Nothing is configured: the built-in gateway, and the first request of an application.
#[test]
fn first_run_with_the_built_in_gateway() {
    let session = Session::start("");
    let window = session.window_on("overview", "first-run");
    window.picture("window-first-run");
    window.click("first-builtin");
    window.wait_for("first-listening");
    let url = format!("http://127.0.0.1:{}", session.port);
    let shown = window.wait_for_text("proxy-address", |text| !text.is_empty());
    assert_eq!(shown, url);
    window.click("copy-address");
    session.desktop.wait_for_clipboard(&url);
    window.picture("window-first-listening");

    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--proxy", &shown, "http://hello.seacat/"]);
    assert!(program_output(&mut curl).is_some(), "curl gets an answer");
    let said = window.wait_for_text("first-tick", |text| text.contains("200"));
    println!("the tick: {said}");
    window.picture("window-first-tick");
    window.click("first-finish");
    window.wait_for("page-overview");
    window.wait_for_text("state", |text| text.starts_with("Connected"));
    window.close(&session.desktop);

    // It is not asked a second time.
    let window = session.window("overview");
    assert!(!window.has("first-run"));
}

/// A real gateway: typed, its CA pasted, this computer enrolled and approved, a request, and a reset.
#[test]
fn a_gateway_of_ones_own() {
    let origin = Origin::start();
    let host = Host { name: "origin", port: origin.port(), tunnel: false };
    let gateway = Gateway::start_enrolling(&[host]);
    // There is no key store on this desktop, so the file is used.
    let session = Session::start("\n[identity]\nkey_store = \"file\"\n");
    let window = session.window_on("overview", "first-run");
    window.wait_for("gateway-host");
    window.fill("gateway-host", "localhost");
    window.fill("gateway-port", &gateway.port().to_string());
    window.click("gateway-trust-own");
    session.desktop.copy(&fs::read_to_string(gateway.ca()).unwrap());
    window.paste("gateway-ca");
    let authority = window.wait_for_text("gateway-authority", |text| text.contains(':'));
    println!("its CA as the window shows it: {authority}");
    window.picture("window-first-gateway");
    window.click("first-next");

    let tag = window.wait_for_text("client-tag", |text| !text.is_empty());
    window.picture("window-first-approval");
    gateway.command(&["approve", &tag]);
    window.wait_for("first-listening");
    let answer = Client::connect(session.port).unwrap().get("http://origin.seacat/first").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    window.wait_for_text("first-tick", |text| text.contains("/first"));
    window.click("first-finish");
    window.wait_for("page-overview");

    window.click("nav-identity");
    window.wait_for_text("identity-state", |text| text.contains("Registered until"));
    window.picture("window-identity-enrolled");
    window.click("identity-reset");
    window.click("reset-confirm");
    // With the same settings it asks again, with another key: another tag to approve.
    let other = window.wait_for_text("client-tag", |text| !text.is_empty() && text != tag);
    println!("reset: {tag} is gone, {other} waits for approval");
    assert!(!session.cli(&["identity", "show"]).contains(&tag));
}

/// The port moves while requests run; those that were begun end well on the old one.
#[test]
fn the_port_changes_while_requests_run() {
    let origin = Origin::start();
    let gateway = Gateway::start(&[Host { name: "origin", port: origin.port(), tunnel: false }]);
    let configuration = crate::session::gateway_at(gateway.port(), &gateway.ca());
    let session = Session::start(&(configuration + crate::session::ANONYMOUS));
    session.icon().wait_for_line("Connected to localhost");
    let window = session.window("proxy");
    let (old, new) = (session.port, free_port());
    let (stop, begun) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut answered = 0;
                    while !stop.load(Ordering::Relaxed) {
                        // A connection is refused only when the port has moved.
                        let Ok(mut client) = Client::connect(old) else { return answered };
                        begun.fetch_add(1, Ordering::Relaxed);
                        let answer = client.get("http://origin.seacat/drip/10/20").unwrap();
                        assert_eq!((answer.status, answer.body.len()), (200, 10 * 1024));
                        answered += 1;
                    }
                    answered
                })
            })
            .collect();
        wait_for("requests on their way", PATIENCE, || {
            (begun.load(Ordering::Relaxed) >= 8).then_some(())
        });
        window.fill("proxy-port", &new.to_string());
        window.click("save");
        window.wait_for_text("listens", |text| text.contains(&format!(":{new}")));
        stop.store(true, Ordering::Relaxed);
        let answered: u32 = clients.into_iter().map(|it| it.join().unwrap()).sum();
        println!("{answered} requests while the port moved, none failed");
    });
    let answer = Client::connect(new).unwrap().get("http://origin.seacat/moved").unwrap();
    assert_eq!(answer.status, 200);
    wait_for("the old port to be free", PATIENCE, || Client::connect(old).is_err().then_some(()));
    let config = fs::read_to_string(session.desktop.home().join("config.toml")).unwrap();
    assert!(config.contains(&format!("port = {new}")), "{config}");
}
