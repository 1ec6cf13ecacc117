//! Nothing on the screen is false, and no button leads nowhere: first runs that fail, engines that are gone.

use std::fs;
use std::time::Instant;

use seacat_tests::{Client, Gateway, Host, wait_for};

use crate::session::{ANONYMOUS, PATIENCE, Session, gateway_at};

/// Without an engine: every page reports it, the check still runs, and one click starts the engine.
#[test]
fn without_an_engine_every_page_reports_it_and_the_check_still_runs() {
    let gateway = Gateway::start(&[]);
    let mut session = Session::start(&(gateway_at(gateway.port(), &gateway.ca()) + ANONYMOUS));
    session.icon().wait_for_line("Connected to localhost");
    let window = session.window("proxy");
    window.wait_for_text("listens", |text| text.contains("http://"));
    session.app.kill();
    window.wait_for("no-engine");
    assert!(!window.has("listens"), "nothing listens");
    let disabled = "return document.querySelector('[data-testid=proxy-port]').matches(':disabled')";
    assert_eq!(window.run(disabled), true);
    for page in ["requests", "gateway", "identity", "settings", "about"] {
        window.click(&format!("nav-{page}"));
        window.wait_for("no-engine");
    }
    window.picture("window-about-no-engine");
    window.click("nav-diagnostics");
    window.wait_for_text("finding", |text| text.contains("SC-NOT-RUNNING"));
    assert!(window.text("step-tls").contains("TLS"), "the steps to the gateway were taken");
    window.picture("window-diagnostics-no-engine");
    let _started = crate::shell::Started(&session);
    window.click("mend");
    wait_for("the strip to go", PATIENCE, || (!window.has("no-engine")).then_some(()));
}

/// Quit, here or in the panel, ends the window too.
#[test]
fn quit_closes_the_window() {
    let gateway = Gateway::start(&[]);
    let mut session = Session::start(&(gateway_at(gateway.port(), &gateway.ca()) + ANONYMOUS));
    let icon = session.icon();
    icon.wait_for_line("Connected to localhost");
    let window = session.window("overview");
    let ids = window.processes();
    let began = Instant::now();
    icon.click("Quit");
    wait_for("the end of the window", PATIENCE, || {
        ids.iter().all(|id| !std::path::Path::new(&format!("/proc/{id}")).exists()).then_some(())
    });
    println!("quit: the window was gone after {:?}", began.elapsed());
    assert_eq!(session.app.wait_to_end(PATIENCE).code(), Some(0));
}

/// A request that failed stays a failure everywhere: in the diagnosis, and in the list.
#[test]
fn an_error_behind_the_gateway_is_reported() {
    let host = Host { name: "dead", port: seacat_tests::free_port(), tunnel: false };
    let gateway = Gateway::start(&[host]);
    let session = Session::start(&(gateway_at(gateway.port(), &gateway.ca()) + ANONYMOUS));
    session.icon().wait_for_line("Connected to localhost");
    let answer = Client::connect(session.port).unwrap().get("http://dead.seacat/orders").unwrap();
    assert_eq!(answer.status, 502);
    let window = session.window("diagnostics");
    let said = window.wait_for_text("finding", |text| text.contains("SC-"));
    assert!(said.contains("SC-BACKEND-UNREACHABLE"), "{said}");
    assert!(window.text("step-request").contains("dead"), "{}", window.text("step-request"));

    // Requests of the diagnosis are not in the user's list.
    window.click("nav-requests");
    window.wait_for_text("request-count", |text| text.starts_with("1 request"));
    window.click("chip-failed");
    window.wait_for_text("request-count", |text| text.starts_with("1 request"));
    window.fill("search", "status:2xx");
    window.wait_for("nothing-found");
    window.click("nav-overview");
    window.wait_for_text("recent", |text| text.contains("/orders"));
}

/// A gateway is chosen by two clicks, in the panel and in the window.
#[test]
fn a_gateway_is_chosen_by_two_clicks() {
    let (first, second) = (Gateway::start(&[]), Gateway::start(&[]));
    let table = |name: &str, gateway: &Gateway, priority: u32| {
        let table = gateway_at(gateway.port(), &gateway.ca());
        format!("{table}name = \"{name}\"\npriority = {priority}\n\n")
    };
    let both = table("one", &first, 0) + &table("two", &second, 1) + ANONYMOUS;
    let session = Session::start(&both);
    let icon = session.icon();
    icon.wait_for_line("Connected to one");
    icon.click("two");
    icon.wait_for_line("Connected to two");
    let window = session.window("gateway");
    window.click("use-gateway-one");
    window.wait_for_text("gateway-in-use", |text| !text.is_empty());
    icon.wait_for_line("Connected to one");
    let kept = fs::read_to_string(session.desktop.home().join("config.toml")).unwrap();
    assert!(kept.contains("name = \"one\"") && kept.contains("name = \"two\""), "{kept}");
    session.cli(&["gateway", "use", "two"]);
    icon.wait_for_line("Connected to two");
    session.cli(&["gateway", "remove", "one"]);
    assert!(!session.cli(&["gateway", "list"]).contains("one"));
}
