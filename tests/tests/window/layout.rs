//! The layout in WebKit, at several sizes and in both languages: the window never scrolls out of
//! itself and no text is cut. That nothing moves while the user types is tested in Chromium
//! (`ui/browser`).

use seacat_tests::Window;

use crate::pictures::PAGES;
use crate::session::{ANONYMOUS, Session};

/// From the least size to a large screen. The desktop of the tests is 1280 pixels wide.
const SIZES: [(u32, u32); 3] = [(640, 480), (920, 640), (1200, 740)];

/// What is wrong with the page that is shown, a line each.
const FAULTS: &str = include_str!("../../../ui/browser/faults.js");

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
