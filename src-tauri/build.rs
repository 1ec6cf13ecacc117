//! Puts the pages and what they may do into the program.

use std::path::Path;

/// What the pages can ask of the shell; `capabilities/window.json` allows each by name.
const COMMANDS: &[&str] = &[
    "ask",
    "open",
    "close",
    "engine",
    "start_engine",
    "import_file",
    "read_ca",
    "copy",
    "save",
    "page",
    "ready",
    "close_window",
];

fn main() {
    println!("cargo::rerun-if-changed=../ui/dist");
    if !Path::new("../ui/dist/index.html").is_file() {
        println!("cargo::error=the window's pages are not built: run `cargo xtask ui` first");
        return;
    }
    let manifest = tauri_build::AppManifest::new().commands(COMMANDS);
    if let Err(error) =
        tauri_build::try_build(tauri_build::Attributes::new().app_manifest(manifest))
    {
        println!("cargo::error={error:#}");
    }
}
