//! `cargo xtask package`: a .deb and an .rpm of the programs.
//!
//! ```text
//!   cargo build ─► programs ─► tree (the files as they will lie)
//!                                ├─► deb: control, scripts, dpkg-deb
//!                                └─► rpm: spec, rpmbuild
//! ```
//!
//! Manual pages and completion scripts come from the programs themselves, so nothing here knows their
//! commands. What else the packages hold is in `installers/`, whose README says why they are two.

mod deb;
mod notices;
mod release;
mod rpm;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::packages::{self, Need, program};
use crate::step::{cargo, check, root, shown, target_dir};
use crate::{Outcome, ui};

use release::Release;

/// Beside what building needs.
const TO_PACKAGE: &[Need] = &[
    program("dpkg-deb", "dpkg", "makes the .deb"),
    program("dpkg-shlibdeps", "dpkg-dev", "finds the packages that bring our libraries"),
    program("rpmbuild", "rpm", "makes the .rpm"),
    program("strip", "binutils", "takes the symbols out of programs"),
    program("gzip", "gzip", "packs manual pages"),
];

/// What was asked for on the command line.
struct Options {
    /// Users get what was built for release. CI tests the packaging, not the optimiser: it takes the
    /// programs that its suites have built.
    release: bool,
    /// Make the package with the window, too.
    window: bool,
    /// Another version than the workspace's: the older one from which an upgrade is tested.
    version: Option<String>,
}

impl Options {
    fn parse(arguments: &[&str]) -> Result<Self, String> {
        let mut options = Self { release: true, window: true, version: None };
        let mut rest = arguments;
        while let [first, others @ ..] = rest {
            rest = match (*first, others) {
                ("--profile", ["release", others @ ..]) => others,
                ("--profile", ["dev", others @ ..]) => {
                    options.release = false;
                    others
                }
                ("--without-window", others) => {
                    options.window = false;
                    others
                }
                ("--version", [version, others @ ..]) => {
                    options.version = Some((*version).to_owned());
                    others
                }
                (other, _) => return Err(format!("{other:?} is not an option of `package`")),
            };
        }
        Ok(options)
    }
}

/// Builds the packages in `target/package` and prints their names.
pub(crate) fn package(arguments: &[&str]) -> Outcome {
    let options = Options::parse(arguments)?;
    packages::install(packages::TO_RUN)?;
    packages::install(TO_PACKAGE)?;
    if options.window {
        packages::install(&[packages::WEBKIT])?;
    }
    let release = Release::find(options.version)?;
    let programs = build(options.release, options.window)?;
    let goods = Goods { programs, window: options.window, quick: !options.release };
    let folder = target_dir().join("package");
    let mut made = deb::make(&folder, &goods, &release)?;
    made.extend(rpm::make(&folder, &goods, &release)?);
    for path in made {
        println!("{}", path.display());
    }
    Ok(())
}

/// What there is to pack.
struct Goods {
    /// The folder with the programs as they were built.
    programs: PathBuf,
    /// Whether the window is among them.
    window: bool,
    /// Pack soon rather than small.
    quick: bool,
}

/// What the suite installs: this version, and an older one to upgrade from.
pub(crate) fn package_for_suite() -> Outcome {
    package(&["--profile", "dev", "--version", OLDER])?;
    package(&["--profile", "dev"])
}

/// As tests/tests/package.rs expects it.
const OLDER: &str = "0.0.1";

/// Builds the programs; the folder they are in.
///
/// For release the window is built separately: for both at once, cargo would unite their features,
/// and the proxy would be linked with what only the window needs. Without release everything is
/// built as the suites build it.
fn build(release: bool, window: bool) -> Result<PathBuf, String> {
    if release {
        check(&mut cargo("build --release -p seacat-agent -p seacat-gateway --bins"))?;
        if window {
            ui::build()?;
            check(&mut cargo("build --release -p seacat-window --bins"))?;
        }
        return Ok(target_dir().join("release"));
    }
    ui::build()?;
    check(&mut cargo(crate::test::BUILD))?;
    Ok(target_dir().join("debug"))
}

/// Replaces each `@NAME@` in a file of `installers/`.
fn fill(file: &str, values: &[(&str, &str)]) -> Result<String, String> {
    let path = root().join("installers").join(file);
    let text = fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
    Ok(values.iter().fold(text, |text, (name, value)| text.replace(&format!("@{name}@"), value)))
}

/// What a command prints.
fn output(command: &mut Command) -> Result<Vec<u8>, String> {
    let done =
        command.output().map_err(|error| format!("cannot start {}: {error}", shown(command)))?;
    if done.status.success() {
        return Ok(done.stdout);
    }
    let why = String::from_utf8_lossy(&done.stderr);
    Err(format!("{} ended with {}\n{why}", shown(command), done.status))
}

/// The same as text, without white space around it.
fn words(command: &mut Command) -> Result<String, String> {
    output(command).map(|out| String::from_utf8_lossy(out.trim_ascii()).into_owned())
}

/// Creates an empty folder.
fn empty(folder: &Path) -> Outcome {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| failed(folder, error))?;
    }
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))
}

/// In the order of their names.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| failed(folder, error))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

fn failed(path: &Path, error: impl std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}
