//! The layout in WebKit, at several sizes and in both languages: the window never scrolls out of itself,
//! no text is cut, and nothing moves under the pointer while a person types.

use seacat_tests::Window;
use serde_json::{Value, json};

use crate::pictures::PAGES;
use crate::session::{ANONYMOUS, Session};

/// From the least size to a large screen. The desktop of the tests is 1280 pixels wide.
const SIZES: [(u32, u32); 3] = [(640, 480), (920, 640), (1200, 740)];

/// What is wrong with the page that is shown, a line each.
const FAULTS: &str = include_str!("../../../ui/browser/faults.js");

/// Where everything that can be clicked on the page is.
const PLACES: &str = r#"
return Object.fromEntries([...document.querySelectorAll("main [data-testid]")].filter((it) => it.checkVisibility())
  .map((it) => [it.dataset.testid, it.getBoundingClientRect().top]));
"#;

/// The faults of every page, with its name.
fn look(window: &Window, pages: &[&str], what: &str, found: &mut Vec<String>) {
    for page in pages {
        window.click(&format!("nav-{page}"));
        window.wait_for(&format!("page-{page}"));
        let faults = window.run(FAULTS);
        found.extend(faults.as_array().unwrap().iter().map(|it| format!("{page} {what}: {it}")));
    }
}

#[test]
fn no_page_scrolls_out_of_itself_or_cuts_a_text() {
    let mut found = Vec::new();
    for language in ["en", "cs"] {
        let settings = format!("[desktop]\nlanguage = \"{language}\"\n{ANONYMOUS}");
        let session = Session::start(&settings);
        let window = session.window_on("overview", "first-run");
        window.wait_for("gateway-host");
        for (width, height) in SIZES {
            window.resize(&session.desktop, width, height);
            let faults = window.run(FAULTS);
            let what = format!("{width}x{height} {language}");
            found.extend(faults.as_array().unwrap().iter().map(|it| format!("setup {what}: {it}")));
        }
        window.click("first-later");
        window.wait_for("page-overview");
        for (width, height) in SIZES {
            window.resize(&session.desktop, width, height);
            look(&window, &PAGES, &format!("{width}x{height} {language}"), &mut found);
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What was there before a key was pressed is where it was.
fn moved(before: &Value, after: &Value) -> Vec<String> {
    let before = before.as_object().unwrap().iter();
    let there = before.filter(|(id, _)| !after[*id].is_null());
    there
        .filter(|(id, top)| (after[*id].as_f64().unwrap() - top.as_f64().unwrap()).abs() >= 1.0)
        .map(|(id, top)| format!("{id}: {top} -> {}", after[id]))
        .collect()
}

#[test]
fn nothing_moves_while_a_person_types() {
    let session = Session::start(ANONYMOUS);
    let window = session.window_on("overview", "first-run");
    window.wait_for("gateway-host");
    let before = window.run(PLACES);
    window.fill("gateway-host", "gw.example.com");
    window.fill("gateway-port", "8443");
    // The advice for this port is there.
    window.wait_for_text("first-run", |text| text.contains("Blocked by 14 %"));
    let after = window.run(PLACES);
    assert_eq!(moved(&before, &after), [""; 0]);
    window.fill("gateway-port", "x");
    window.wait_for_text("first-run", |text| text.contains('!'));
    assert_eq!(moved(&before, &window.run(PLACES)), [""; 0]);
    // What is wanted without asking is in sight at the usual size.
    let seen = window.run(
        "return ['first-builtin', 'first-next'].map((id) => \
           document.querySelector(`[data-testid='${id}']`).getBoundingClientRect().bottom <= innerHeight)",
    );
    assert_eq!(seen, json!([true, true]));
    window.picture("window-first-typed");

    window.click("first-later");
    window.click("nav-proxy");
    window.wait_for("proxy-port");
    let before = window.run(PLACES);
    window.fill("proxy-port", "70000");
    window.wait_for_text("page-proxy", |text| text.contains('!'));
    assert_eq!(moved(&before, &window.run(PLACES)), [""; 0]);
}
