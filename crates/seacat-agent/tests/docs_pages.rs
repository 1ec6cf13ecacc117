//! `docs/errors.md` and the tables of `docs/configuration.md` are written by this test:
//! `SEACAT_BLESS=1 cargo test -p seacat-agent --test docs_pages`. Without the variable it checks
//! that the pages say what the program says.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use seacat_agent::config::elements::{
    DISCOVER_SETTINGS, GATEWAY_SETTINGS, MAP_SETTINGS, REVERSE_SETTINGS, ROUTE_SETTINGS,
};
use seacat_agent::config::schema::Config;
use seacat_agent::config::settings::{SETTINGS, Setting};
use seacat_channel::{Closed, Failure, ProxyAuth, Stage};

const INTRO: &str = "\
# Errors

Every error that SeaCat Proxy or the gateway makes itself has a stable code. It stands in three places of
an answer: in the body (plain text, HTML or `application/problem+json`, as the client's `Accept` asks),
in the field `Proxy-Status` (RFC 9209, as `details`; the gateway's, `SC-GW-…`, as `code`), and in the access
line. The page also has a code of six letters and digits for the very request: `seacat-proxy requests CODE` explains
it, and the search in the window finds it. An answer without an `SC-` code came from the server behind the gateway and was passed on as it was.

This page is generated from the program; do not edit it by hand.

## Answers

";

const FAILURES: &str = "
## Why there is no channel

These explain an `SC-NOT-CONNECTED`; they stand behind it in brackets, in `seacat-proxy status`
and in the log. *Stops* means that trying again is useless until somebody changes something, so
the proxy waits for `seacat-proxy connect` or a changed setting. All others are tried again, sooner
when a request waits.

";

/// One of each. The match in `advice` is exhaustive, and the page is checked for every code.
fn failures() -> Vec<Failure> {
    let host = || "gw.example.com".to_owned();
    let proxy = || "proxy.corp:3128".to_owned();
    let basic = || vec!["Negotiate".to_owned(), "Basic".to_owned()];
    let address = "192.0.2.7:443".parse().unwrap();
    vec![
        Failure::NoGateway,
        Failure::BadConfig("…".into()),
        Failure::NoSuchHost { host: host() },
        Failure::Unresolvable { host: host(), detail: "…".into() },
        Failure::NoService { name: "_seacat._tcp.….example.com".into() },
        Failure::ProxyUnreachable { proxy: proxy(), why: "…".into() },
        Failure::ProxyAuth { proxy: proxy(), problem: ProxyAuth::Missing, offered: basic() },
        Failure::ProxyAuth { proxy: proxy(), problem: ProxyAuth::Refused, offered: basic() },
        Failure::ProxyAuth {
            proxy: proxy(),
            problem: ProxyAuth::NoBasic,
            offered: vec!["Negotiate".into()],
        },
        Failure::ProxyRefused { proxy: proxy(), status: 503, reason: "Service Unavailable".into() },
        Failure::ProxyAnswer { proxy: proxy(), what: "it is not HTTP".into() },
        Failure::Refused { address },
        Failure::Unreachable { address },
        Failure::TimedOut { stage: Stage::Tcp, limit: Duration::from_secs(20) },
        Failure::HungUp,
        Failure::NotTls,
        Failure::Portal { host: Some("login.hotel.example".into()) },
        Failure::NoCommonSuite,
        Failure::TlsVersion,
        Failure::Tls("…".into()),
        Failure::WrongName { expected: host(), found: vec!["www.example.com".into()] },
        Failure::UnknownCa { issuer: "CN=Example CA".into() },
        Failure::Expired { not_after: "2026-01-31".into() },
        Failure::NotYetValid { not_before: "2027-01-31".into() },
        Failure::PinMismatch { found: "sha256/…".into() },
        Failure::BadCertificate("…".into()),
        Failure::ClientCertRefused { alert: "…".into() },
        Failure::HttpsServer,
        Failure::Silent(Duration::from_secs(10)),
        Failure::GoingAway,
        Failure::Interrupted(Closed::Truncated),
        Failure::Other("…".into()),
    ]
}

fn page() -> String {
    let mut page = INTRO.to_owned();
    page.push_str("| code | status | what happened | what it means | what to do |\n");
    page.push_str("| --- | --- | --- | --- | --- |\n");
    for row in seacat_proxy::error_table() {
        let (code, status, title) = (row.code, row.status, row.title);
        let (meaning, advice) = (row.meaning, row.advice);
        writeln!(page, "| `{code}` | {status} | {title} | {meaning} | {advice} |").unwrap();
    }
    page.push_str(FAILURES);
    page.push_str("| code | what happened (an example) | what to do | stops |\n");
    page.push_str("| --- | --- | --- | --- |\n");
    for failure in failures() {
        let stops = if failure.is_permanent() { "yes" } else { "" };
        let (code, advice) = (failure.code(), failure.advice());
        writeln!(page, "| `{code}` | {failure} | {advice} | {stops} |").unwrap();
    }
    page
}

/// The generated part of the page on configuration.
fn settings() -> String {
    let mut page = String::from("| setting | takes | default | environment | |\n");
    page.push_str("| --- | --- | --- | --- | --- |\n");
    let defaults = Config::default();
    for setting in SETTINGS {
        let default = setting.shown(&defaults).unwrap_or_default();
        let (key, takes, doc) = (setting.key, setting.takes, setting.doc);
        let environment = setting.environment_name();
        writeln!(page, "| `{key}` | {takes} | {default} | `{environment}` | {doc} |").unwrap();
    }
    list(&mut page, "[[gateway]]", GATEWAY_SETTINGS);
    list(&mut page, "discover in [[gateway]]", DISCOVER_SETTINGS);
    list(&mut page, "[[proxy.map]]", MAP_SETTINGS);
    list(&mut page, "[[route]]", ROUTE_SETTINGS);
    list(&mut page, "[[reverse]]", REVERSE_SETTINGS);
    page
}

fn list<T>(page: &mut String, name: &str, settings: &[Setting<T>]) {
    writeln!(page, "\n### `{name}`\n\n| key | takes | |\n| --- | --- | --- |").unwrap();
    for Setting { key, takes, doc, required, .. } in settings {
        let required = if *required { "Required. " } else { "" };
        writeln!(page, "| `{key}` | {takes} | {required}{doc} |").unwrap();
    }
}

/// Writes or checks one page.
fn keep(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    if std::env::var_os("SEACAT_BLESS").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == page, "docs/{name} is out of date: run with SEACAT_BLESS=1");
}

#[test]
fn the_page_of_errors_says_what_the_program_says() {
    keep("errors.md", &page());
}

#[test]
fn the_page_of_settings_says_what_the_program_says() {
    const MARK: &str = "<!-- generated from here on -->\n\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let kept = std::fs::read_to_string(path).unwrap();
    let (by_hand, _) = kept.split_once(MARK).expect("the mark");
    keep("configuration.md", &[by_hand, MARK, &settings()].concat());
}

#[test]
fn every_code_in_the_source_is_on_the_page() {
    let source = include_str!("../../seacat-channel/src/failure.rs");
    let page = page();
    let codes: Vec<&str> =
        source.split('"').filter(|text| text.starts_with("SC-") && text.len() < 30).collect();
    assert!(codes.len() >= 20, "{codes:?}");
    for code in codes {
        assert!(page.contains(&format!("`{code}`")), "{code} is missing");
    }
}

#[test]
fn every_finding_is_on_its_page() {
    let sources = [
        include_str!("../src/diagnose/finding.rs"),
        include_str!("../src/diagnose/identity.rs"),
        include_str!("../src/diagnose/mod.rs"),
    ];
    let pages = include_str!("../../../docs/diagnose.md").to_owned() + &page();
    let is_code = |text: &&str| text.starts_with("SC-") && (4..30).contains(&text.len());
    let codes: Vec<&str> = sources.iter().flat_map(|it| it.split('"')).filter(is_code).collect();
    assert!(codes.len() >= 20, "{codes:?}");
    for code in codes {
        assert!(pages.contains(&format!("`{code}`")), "{code} is missing");
    }
}
