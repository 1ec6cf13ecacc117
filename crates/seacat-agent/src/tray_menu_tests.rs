use super::*;
use crate::status::{FailureView, Local, TlsView};

/// The menu as a person reads it: one line an item, sub-menus indented.
fn drawn(menu: &Menu) -> String {
    fn lines(items: &[Item], indent: &str, out: &mut String) {
        for item in items {
            match item {
                Item::Fact(text) => *out += &format!("{indent}{text}\n"),
                Item::Action(label, click) => *out += &format!("{indent}[{label}] {click:?}\n"),
                Item::Choice(label, on, click) => {
                    let sign = if *on { "(o)" } else { "( )" };
                    *out += &format!("{indent}{sign} [{label}] {click:?}\n");
                }
                Item::Submenu(label, items) => {
                    *out += &format!("{indent}{label} >\n");
                    lines(items, &format!("{indent}    "), out);
                }
                Item::Line => *out += &format!("{indent}--\n"),
            }
        }
    }
    let mut out = String::new();
    lines(&menu.items, "", &mut out);
    out
}

fn local() -> Local {
    let gateways = vec!["gw.example.com".to_owned(), "gw2.example.com".to_owned()];
    Local { proxy: vec![([127, 0, 0, 1], 3128).into()], gateways, ..Local::default() }
}

fn state(state: Word) -> StatusView {
    let gateway = Some("gw.example.com".to_owned());
    StatusView { state, gateway, local: local(), ..StatusView::default() }
}

fn connected() -> StatusView {
    StatusView {
        rtt_ms: Some(12.34),
        address: Some(([192, 0, 2, 1], 443).into()),
        tls: Some(TlsView {
            version: "TLS 1.3".to_owned(),
            suite: "S".to_owned(),
            issuer: "CN=Example CA".to_owned(),
        }),
        ..state(Word::Connected)
    }
}

fn failed(word: Word, code: &str, message: &str) -> StatusView {
    let failure = FailureView {
        code: code.to_owned(),
        title: message.to_owned(),
        permanent: word == Word::Stopped,
        ..FailureView::default()
    };
    let next = (word == Word::Waiting).then_some(12_000);
    let sentence = format!("stopped: {message}");
    StatusView {
        failure: Some(failure),
        gateway: None,
        next_attempt_ms: next,
        sentence,
        ..state(word)
    }
}

fn with_identity(view: StatusView, state: &str, expiring: bool) -> StatusView {
    let identity = IdentityView {
        state: state.to_owned(),
        sentence: format!("{state} [OY4PHTSP5YAU5AUK]"),
        client_tag: Some("[OY4PHTSP5YAU5AUK]".to_owned()),
        valid_until: Some("2027-01-02".to_owned()),
        expiring,
        ..IdentityView::default()
    };
    StatusView { identity: Some(identity), ..view }
}

fn menu(view: &StatusView) -> Menu {
    Menu::of(view, Duration::ZERO)
}

/// Every state: icon, first line, and what is between it and the proxy's address.
#[test]
fn every_state() {
    let connecting = || StatusView {
        sentence: "connecting to gw.example.com, attempt 2".to_owned(),
        ..state(Word::Connecting)
    };
    let draining =
        StatusView { sentence: "finishing what runs".to_owned(), ..state(Word::Draining) };
    let copy_tag = "[Copy Client Tag] Copy(\"[OY4PHTSP5YAU5AUK]\")\n";
    let retry = "[Retry now (next attempt in 12 s)] Connect\n";
    let table = [
        (state(Word::Off), Mark::Off, "Disconnected", String::new()),
        (connecting(), Mark::Connecting, "Connecting to gw.example.com, attempt 2", String::new()),
        (connected(), Mark::Connected, "Connected to gw.example.com, 12 ms", String::new()),
        (draining, Mark::Connecting, "Finishing what runs", String::new()),
        (
            failed(Word::Waiting, "SC-TCP-REFUSED", "192.0.2.1:443 refused the connection"),
            Mark::Waiting,
            "Not connected: 192.0.2.1:443 refused the connection",
            retry.to_owned(),
        ),
        (
            failed(Word::Waiting, "SC-UNREACHABLE", "192.0.2.1:443 cannot be reached"),
            Mark::Waiting,
            "No network",
            retry.to_owned(),
        ),
        (
            failed(Word::Stopped, "SC-TLS-SUITE", "no TLS cipher suite in common"),
            Mark::Attention,
            "Not connected: no TLS cipher suite in common",
            "[Try again] Connect\n".to_owned(),
        ),
        (
            failed(Word::Stopped, "SC-NO-GATEWAY", "no gateway is configured"),
            Mark::Off,
            "Choose a gateway",
            "[Choose a gateway…] Open(Gateway)\n".to_owned(),
        ),
        (
            with_identity(connected(), "waiting", false),
            Mark::Waiting,
            "Connected to gw.example.com, 12 ms",
            format!("Waiting [OY4PHTSP5YAU5AUK]\n{copy_tag}"),
        ),
        (
            with_identity(connected(), "rejected", false),
            Mark::Attention,
            "Connected to gw.example.com, 12 ms",
            format!("Rejected [OY4PHTSP5YAU5AUK]\n{copy_tag}[Ask again…] Open(Identity)\n"),
        ),
        (
            with_identity(connected(), "renewing", true),
            Mark::Attention,
            "Connected to gw.example.com, 12 ms",
            "The certificate ends on 2027-01-02 and could not be renewed yet\n\
             [Renew…] Open(Identity)\n"
                .to_owned(),
        ),
        (
            with_identity(connected(), "renewing", false),
            Mark::Connected,
            "Connected to gw.example.com, 12 ms",
            String::new(),
        ),
        (
            with_identity(connected(), "no_key", false),
            Mark::Connected,
            "Connected to gw.example.com, 12 ms",
            "[Ask for a certificate…] Open(Identity)\n".to_owned(),
        ),
        (
            with_identity(connecting(), "locked", false),
            Mark::Attention,
            "Connecting to gw.example.com, attempt 2",
            "Locked [OY4PHTSP5YAU5AUK]\n[Identity…] Open(Identity)\n".to_owned(),
        ),
        (
            with_identity(state(Word::Off), "enrolled", false),
            Mark::Off,
            "Disconnected",
            String::new(),
        ),
    ];
    for (view, mark, headline, more) in table {
        let menu = menu(&view);
        assert_eq!((menu.mark, menu.headline.as_str()), (mark, headline));
        let drawn = drawn(&menu);
        println!("{mark:?}\n{drawn}");
        let start = format!("{headline}\n{more}--\n[Copy proxy address (http://127.0.0.1:3128)]");
        assert!(drawn.starts_with(&start), "{drawn}");
        assert!(drawn.ends_with("--\n[Quit] Quit\n"), "{drawn}");
    }
}

#[test]
fn the_whole_menu() {
    let expected = "\
Connected to gw.example.com, 12 ms
--
[Copy proxy address (http://127.0.0.1:3128)] Copy(\"http://127.0.0.1:3128\")
Copy settings for >
    [Shell] Copy(\"…\")
    [PowerShell] Copy(\"…\")
    [curl] Copy(\"…\")
    [git] Copy(\"…\")
    [Java] Copy(\"…\")
    [PAC URL] Copy(\"…\")
--
[Disconnect] Disconnect
Gateway >
    (o) [gw.example.com: connected at 192.0.2.1:443] UseGateway(\"gw.example.com\")
    ( ) [gw2.example.com] UseGateway(\"gw2.example.com\")
    TLS 1.3, certificate by CN=Example CA
    --
    [Gateway settings…] Open(Gateway)
--
[Open SeaCat Proxy…] Open(Overview)
[Recent requests…] Open(Requests)
[Troubleshoot…] Open(Diagnostics)
--
[Quit] Quit
";
    let shorter = |line: &str| match line.split_once("] Copy(") {
        Some((label, _)) if line.starts_with("    ") => format!("{label}] Copy(\"…\")\n"),
        _ => format!("{line}\n"),
    };
    let drawn: String = drawn(&menu(&connected())).lines().map(shorter).collect();
    assert_eq!(drawn, expected);
}

#[test]
fn off_offers_to_connect() {
    let items = menu(&state(Word::Off)).items;
    assert!(items.contains(&action("Connect", Click::Connect)));
    assert!(!items.contains(&action("Disconnect", Click::Disconnect)));
}

#[test]
fn one_that_is_not_connected_can_stop_trying() {
    let waiting = menu(&failed(Word::Waiting, "SC-TCP-REFUSED", "refused")).items;
    assert!(waiting.contains(&action("Stop trying to connect", Click::Disconnect)));
    let none = menu(&failed(Word::Stopped, "SC-NO-GATEWAY", "none")).items;
    assert!(none.iter().all(|it| !matches!(it, Item::Action(_, Click::Disconnect))));
}

#[test]
fn the_countdown_goes_on_between_two_views() {
    let view = failed(Word::Waiting, "SC-TCP-REFUSED", "refused");
    let label = |age| match &Menu::of(&view, Duration::from_millis(age)).items[1] {
        Item::Action(label, Click::Connect) => label.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(label(0), "Retry now (next attempt in 12 s)");
    assert_eq!(label(2_500), "Retry now (next attempt in 10 s)");
    assert_eq!(label(11_999), "Retry now (next attempt in 1 s)");
    assert_eq!(label(12_000), "Retry now");
    assert_eq!(label(60_000), "Retry now");
}

#[test]
fn a_menu_is_not_as_wide_as_the_screen() {
    let view = failed(Word::Stopped, "SC-CERT-CA", &"ž".repeat(300));
    let menu = menu(&view);
    assert_eq!(menu.headline.chars().count(), HEADLINE + 1);
    assert!(menu.headline.ends_with('…'));
}

#[test]
fn without_a_gateway_or_a_port_it_is_still_a_menu() {
    let text = drawn(&menu(&StatusView::default()));
    assert!(text.contains("No gateway configured") && !text.contains("Copy"), "{text}");
    let demo = Local { demo: true, ..local() };
    let text = drawn(&menu(&StatusView { local: demo, ..state(Word::Connected) }));
    assert!(text.contains("Trial: the built-in gateway, on this computer"), "{text}");
}

#[test]
fn latencies_have_as_many_digits_as_matter() {
    assert_eq!(latency(0.4), "0.4 ms");
    assert_eq!(latency(9.94), "9.9 ms");
    assert_eq!(latency(84.51), "85 ms");
}
