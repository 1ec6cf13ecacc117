//! Invariants of the repository: the wire specification has every section that is cited, crates
//! depend on each other in one direction only, protocols are pure, and the tests that ARCHITECTURE.md
//! names exist.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Files and folders with our own text.
const PLACES: [&str; 9] = [
    "ARCHITECTURE.md",
    "SECURITY.md",
    "GLOSSARY.md",
    "Cargo.toml",
    "crates",
    "docs",
    "tests",
    "src-tauri",
    "fuzz",
];
/// Kinds of file that cite the specification.
const KINDS: [&str; 5] = ["rs", "md", "toml", "py", "txt"];

/// The crates of ours that each may depend on, from the wire up to the programs. A new crate gets a row.
const MAY_USE: [(&str, &str); 16] = [
    ("seacat-proto", ""),
    ("seacat-http1", ""),
    ("seacat-http1-client", "seacat-http1"),
    ("seacat-windows", ""),
    ("seacat-files", "seacat-windows"),
    ("seacat-link", "seacat-proto"),
    ("seacat-identity", "seacat-files"),
    ("seacat-channel", "seacat-files seacat-http1 seacat-identity seacat-link seacat-proto"),
    ("seacat-proxy", "seacat-channel seacat-http1 seacat-http1-client seacat-proto"),
    (
        "seacat-gateway",
        "seacat-files seacat-http1 seacat-http1-client seacat-identity seacat-link seacat-proto",
    ),
    ("seacat-control", "seacat-channel seacat-files seacat-identity"),
    (
        "seacat-agent",
        "seacat-channel seacat-control seacat-files seacat-gateway seacat-identity seacat-proxy \
         seacat-windows",
    ),
    ("seacat-window", "seacat-agent seacat-control"),
    ("seacat-tests", ""),
    ("seacat-bench", "seacat-tests"),
    ("seacat-bench-core", "seacat-proto"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// All files of our own below `path` that may cite the specification.
fn files(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let skipped = ["target", "node_modules", "corpus", "artifacts"];
        if !skipped.iter().any(|name| path.ends_with(name)) {
            fs::read_dir(path).unwrap().for_each(|entry| files(&entry.unwrap().path(), found));
        }
    } else if path.extension().is_some_and(|kind| KINDS.iter().any(|it| kind == *it)) {
        found.push(path.to_owned());
    }
}

/// The text without line breaks and the marks of comments, so that a citation may be broken.
fn flat(text: &str) -> String {
    let bare = |line: &str| line.trim().trim_start_matches(['/', '!', '#', '*']).trim().to_owned();
    text.lines().map(bare).collect::<Vec<_>>().join(" ")
}

/// Every section cited in a text: "wire spec 3.1", "wire specification, section 5.4", "§ 3.1".
fn cited(text: &str) -> Vec<String> {
    let mut sections = Vec::new();
    for mark in ["wire spec", "§"] {
        for (at, _) in text.match_indices(mark) {
            let rest = text[at + mark.len()..]
                .trim_start_matches("ification")
                .trim_start_matches([',', ' ']);
            let rest =
                rest.strip_prefix("sections").or(rest.strip_prefix("section")).unwrap_or(rest);
            let digits: String =
                rest.trim_start().chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
            let section = digits.trim_end_matches('.');
            if !section.is_empty() {
                sections.push(section.to_owned());
            }
        }
    }
    sections
}

#[test]
fn every_section_of_the_wire_specification_that_is_cited_exists() {
    let wire = fs::read_to_string(root().join("docs/protocol/wire.md")).unwrap();
    let headings = wire.lines().filter_map(|line| line.strip_prefix("##"));
    let sections: BTreeSet<&str> = headings
        .filter_map(|heading| heading.trim_start_matches('#').split_whitespace().next())
        .map(|number| number.trim_end_matches('.'))
        .collect();
    assert!(sections.contains("3.1") && sections.contains("7"), "{sections:?}");

    let mut all = Vec::new();
    PLACES.iter().for_each(|place| files(&root().join(place), &mut all));
    let mut count = 0;
    for file in all {
        for section in cited(&flat(&fs::read_to_string(&file).unwrap())) {
            count += 1;
            let known = sections.contains(section.as_str());
            assert!(known, "{} cites section {section} of the wire specification", file.display());
        }
    }
    assert!(count > 60, "only {count} citations were found");
}

#[test]
fn citations_are_recognised() {
    let text = "/// (wire spec 3.1) and wire\n/// specification, section 5.4.\n// § 2 of it, wire spec says";
    assert_eq!(cited(&flat(text)), ["3.1", "5.4", "2"]);
}

/// The crates of ours that a manifest names under dependencies, but for those of its tests.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut counts = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            counts = line.ends_with("dependencies]") && !line.contains("dev-dependencies");
        } else if counts && line.starts_with("seacat-") {
            names.push(line.split(['.', ' ', '=']).next().unwrap());
        }
    }
    names
}

#[test]
fn crates_use_only_what_is_below_them() {
    let may_use: BTreeMap<&str, &str> = MAY_USE.into_iter().collect();
    let folders = fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let others = ["src-tauri", "tests", "bench", "bench/core"].map(|name| root().join(name));
    let mut arrows = 0;
    for folder in folders.chain(others) {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let name = manifest.lines().find_map(|line| line.strip_prefix("name = ")).unwrap();
        let name = name.trim_matches('"');
        let allowed = may_use.get(name).unwrap_or_else(|| panic!("{name} has no row in MAY_USE"));
        for used in dependencies(&manifest) {
            assert!(allowed.split(' ').any(|it| it == used), "{name} must not use {used}");
            arrows += 1;
        }
    }
    assert!(arrows > 10, "only {arrows} dependencies were found");
}

/// Protocol and HTTP rules get bytes and times as arguments, so that every test of them can choose both.
#[test]
fn protocols_have_no_clock_and_no_socket() {
    const FORBIDDEN: [&str; 8] = [
        "Instant::now",
        "SystemTime",
        "std::env",
        "std::fs",
        "std::net::Tcp",
        "std::process",
        "std::thread",
        "tokio",
    ];
    let mut sources = Vec::new();
    for name in ["seacat-proto", "seacat-http1"] {
        files(&root().join("crates").join(name).join("src"), &mut sources);
    }
    assert!(sources.len() > 20, "only {} files were found", sources.len());
    for file in sources {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code = code.take_while(|line| *line != "#[cfg(test)]").collect::<Vec<_>>().join("\n");
        for word in FORBIDDEN {
            assert!(!code.contains(word), "{} has {word}", file.display());
        }
    }
}

/// The last column of the table in ARCHITECTURE.md names tests, lints and steps of `cargo xtask test`.
#[test]
fn every_invariant_is_held_by_a_test_that_exists() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let section = page.split("## Invariants").nth(1).unwrap().split("\n## ").next().unwrap();

    let mut all = Vec::new();
    ["crates", "tests", "xtask"].iter().for_each(|place| files(&root().join(place), &mut all));
    let mut sources = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    all.iter().for_each(|file| sources.push_str(&fs::read_to_string(file).unwrap()));

    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(2);
    let mut count = 0;
    for row in rows {
        let held_by = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let names: Vec<&str> = held_by.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test is named in: {row}");
        for name in names {
            let forms = [format!("fn {name}("), format!("\"{name}\""), format!("\n{name} = ")];
            let exists = forms.iter().any(|form| sources.contains(form));
            assert!(exists, "{name}, named in ARCHITECTURE.md, does not exist");
            count += 1;
        }
    }
    assert!(count > 25, "only {count} names were found");
}
