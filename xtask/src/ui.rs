//! `cargo xtask ui`: the window's pages, built once a change. The window's program holds them.

use std::fs;
use std::process::Command;

use crate::Outcome;
use crate::stamp::{is_stamped, sum};
use crate::step::{check, root, target_dir};

/// The oldest Node.js that Vite runs on.
const NODE: u32 = 20;

/// What the pages are made of, in ui/.
const SOURCES: &[&str] = &[
    "index.html",
    "package.json",
    "package-lock.json",
    "public",
    "src",
    "tsconfig.json",
    "vite.config.ts",
];

/// Builds ui/dist, unless it is there and nothing has changed since.
pub(crate) fn build() -> Outcome {
    let ui = root().join("ui");
    let stamp = target_dir().join("ui.stamp");
    let now = sum(&ui, SOURCES)?;
    if ui.join("dist/index.html").is_file() && is_stamped(&stamp, &now) {
        println!("ui/dist is up to date");
        return Ok(());
    }
    install()?;
    check(npm().args(["run", "build"]))?;
    fs::write(&stamp, now).map_err(|error| format!("cannot write {}: {error}", stamp.display()))
}

/// Installs the dependencies for building and testing the pages, exactly as in package-lock.json.
pub(crate) fn install() -> Outcome {
    check_node()?;
    let ui = root().join("ui");
    let stamp = ui.join("node_modules/.seacat-stamp");
    let now = sum(&ui, &["package.json", "package-lock.json"])?;
    if is_stamped(&stamp, &now) {
        return Ok(());
    }
    check(npm().args(["ci", "--no-audit", "--no-fund"]))?;
    fs::write(&stamp, now).map_err(|error| format!("cannot write {}: {error}", stamp.display()))
}

/// npm in ui/.
pub(crate) fn npm() -> Command {
    let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    command.current_dir(root().join("ui"));
    command
}

pub(crate) fn check_node() -> Outcome {
    let needed = format!(
        "the window's pages are built with Node.js {NODE} or newer and its npm: \
         see https://nodejs.org (Debian 12 has 18)"
    );
    let said = Command::new("node").arg("--version").output().map_err(|_| needed.clone())?;
    let version = String::from_utf8_lossy(&said.stdout).into_owned();
    let major = version.trim().trim_start_matches('v').split('.').next();
    match major.and_then(|major| major.parse::<u32>().ok()) {
        Some(major) if major >= NODE => Ok(()),
        _ => Err(format!("{needed}; here is {}", version.trim())),
    }
}
