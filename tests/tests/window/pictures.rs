//! Pictures of every page, in light and dark, in English and Czech, for review: they are stored in
//! `target/screenshots`. What is on them is real: requests of a real application through a real
//! gateway.

use std::fs;

use seacat_tests::{Client, Gateway, Host, Origin};

use crate::session::{ANONYMOUS, Session};

/// The pages in the order of the window, by the names of `--page` and of the buttons.
pub(crate) const PAGES: [&str; 9] = [
    "overview",
    "requests",
    "applications",
    "gateway",
    "identity",
    "proxy",
    "diagnostics",
    "settings",
    "about",
];

/// GTK's theme decides whether the pages are light or dark.
const THEMES: [(&str, &str); 2] = [("light", "Adwaita"), ("dark", "Adwaita:dark")];

#[test]
fn every_page_in_light_and_dark_in_english_and_czech() {
    let origin = Origin::start();
    let host = |name| Host { name, port: origin.port(), tunnel: false };
    let gateway = Gateway::start_named(&["gw.example.com"], &[host("erp"), host("mail")]);
    for (language, word) in [("en", "Overview"), ("cs", "Přehled")] {
        let session = Session::start(&format!(
            "[[gateway]]\nhost = \"gw.example.com\"\naddress = \"127.0.0.1\"\nport = {}\n\
             ca_file = \"{}\"\n[[proxy.map]]\nlisten = \"127.0.0.1:{}\"\nhost = \"erp\"\n\
             [desktop]\nlanguage = \"{language}\"\n{ANONYMOUS}",
            gateway.port(),
            gateway.ca().display(),
            seacat_tests::free_port(),
        ));
        session.icon().wait_for_line("Connected to gw.example.com");
        for (theme, gtk) in THEMES {
            let window = session.window_with("overview", &[("GTK_THEME", gtk)]);
            window.wait_for_text("nav-overview", |text| text == word);
            let dark = window.run("return matchMedia('(prefers-color-scheme: dark)').matches");
            assert_eq!(dark, theme == "dark", "{gtk}");
            work(session.port);
            for page in PAGES {
                window.click(&format!("nav-{page}"));
                window.wait_for(&format!("page-{page}"));
                if page == "diagnostics" {
                    window.click("diagnose");
                    window.wait_for("finding");
                }
                let picture = window.picture(&format!("window-{page}-{language}-{theme}"));
                let length = fs::metadata(&picture).unwrap().len();
                assert!(length > 10_000, "{} has {length} bytes", picture.display());
            }
            window.click("nav-overview");
        }
    }
}

/// What an application does in a minute of a working day.
fn work(port: u16) {
    let mut client = Client::connect(port).unwrap();
    for turn in 0..12 {
        let post = format!(
            "POST http://erp.seacat/orders HTTP/1.1\r\nHost: erp.seacat\r\nContent-Length: 3000\r\n\r\n{}",
            "x".repeat(3_000)
        );
        client.get("http://erp.seacat/orders?open=1").unwrap();
        client.ask(post.as_bytes()).unwrap();
        client.get(&format!("http://mail.seacat/slow/{}", 20 + turn * 7)).unwrap();
        client.get("http://erp.seacat/drip/8/15").unwrap();
    }
    // One that fails, as it happens.
    let mut client = Client::connect(port).unwrap();
    client.get("http://mail.seacat/hang-up").unwrap();
}
