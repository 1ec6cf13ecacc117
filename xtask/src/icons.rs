//! `cargo xtask icons`: the pictures of `icons/` in every size they are needed in.
//!
//! The rendered pictures are committed, so that building needs no renderer. What they were rendered
//! from is noted beside them as checksums; `cargo xtask test icons` compares.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::packages::{self, Need, program};
use crate::step::{check, root};

/// What panels ask for; the tray's host takes the nearest.
const TRAY_SIZES: &[u32] = &[16, 22, 24, 32, 48];

/// The sizes that desktops, packages and stores require.
const APP_SIZES: &[u32] = &[16, 22, 24, 32, 48, 64, 128, 256, 512];

const TO_RENDER: &[Need] =
    &[program("rsvg-convert", "librsvg2-bin", "renders the icons from their sources")];

/// The sources' checksums, as sha256sum writes and checks them.
const SUMS: &str = "rendered.sha256";

/// Renders all of them.
pub(crate) fn render() -> Outcome {
    packages::install(TO_RENDER)?;
    let icons = root().join("icons");
    let sources = tray_sources(&icons)?;
    for source in &sources {
        for &size in TRAY_SIZES {
            let name = format!("{}-{size}.png", stem(source));
            convert(&icons, source, size, &format!("rendered/tray/colour/{name}"), &[])?;
            let one_colour = ["--stylesheet", "template.css"];
            convert(&icons, source, size, &format!("rendered/tray/template/{name}"), &one_colour)?;
        }
    }
    for &size in APP_SIZES {
        convert(&icons, Path::new("app.svg"), size, &format!("rendered/app/{size}.png"), &[])?;
    }
    let mut sums = Command::new("sha256sum");
    sums.args(["app.svg", "template.css"]).args(&sources).current_dir(&icons);
    let sums = sums.output().map_err(|error| format!("cannot start sha256sum: {error}"))?;
    fs::write(icons.join(SUMS), sums.stdout).map_err(|error| format!("{SUMS}: {error}"))
}

/// Were the pictures rendered from the sources as they are?
pub(crate) fn check_rendered() -> Outcome {
    let mut sums = Command::new("sha256sum");
    sums.args(["--check", "--strict", "--quiet", SUMS]).current_dir(root().join("icons"));
    check(&mut sums).map_err(|why| format!("{why}; `cargo xtask icons` renders them again"))
}

/// `tray/NAME.svg`, in the order of their names.
fn tray_sources(icons: &Path) -> Result<Vec<PathBuf>, String> {
    let folder =
        fs::read_dir(icons.join("tray")).map_err(|error| format!("icons/tray: {error}"))?;
    let mut sources: Vec<PathBuf> =
        folder.flatten().map(|entry| Path::new("tray").join(entry.file_name())).collect();
    sources.sort();
    Ok(sources)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn convert(icons: &Path, source: &Path, size: u32, to: &str, options: &[&str]) -> Outcome {
    let to = icons.join(to);
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let size = size.to_string();
    let mut command = Command::new("rsvg-convert");
    command.args(["--width", &size, "--height", &size]).args(options).arg(source).arg("--output");
    check(command.arg(to).current_dir(icons))
}
