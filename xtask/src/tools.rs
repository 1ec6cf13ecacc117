//! The clients and servers of the suite that come from npm and PyPI, installed in `target/suite`, and
//! the spell checker, which comes from there, too.
//!
//! Their versions are pinned in `tests/programs/package-lock.json` and `requirements.txt`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::stamp::{is_stamped, sum};
use crate::step::{check, root, target_dir};
use crate::ui::check_node;

/// Debian's Python: another one on the path may lack the module venv.
const PYTHON: &str = "/usr/bin/python3";

/// Installs what is missing or has changed.
pub(crate) fn install() -> Outcome {
    once(&folder("node"), &["package.json", "package-lock.json"], |folder| {
        check_node()?;
        let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
        check(Command::new(npm).args(["ci", "--no-audit", "--no-fund"]).current_dir(folder))
    })?;
    install_python()
}

fn install_python() -> Outcome {
    once(&folder("python"), &["requirements.txt"], |folder| {
        check(Command::new(PYTHON).args(["-m", "venv", "--clear", "."]).current_dir(folder))?;
        let mut pip = Command::new(folder.join("bin/python3"));
        pip.args(["-m", "pip", "install", "--quiet", "-r"])
            .arg(programs().join("requirements.txt"));
        check(&mut pip)
    })
}

/// Where the lists are.
fn programs() -> PathBuf {
    root().join("tests/programs")
}

/// Where the packages of one registry go.
fn folder(name: &str) -> PathBuf {
    target_dir().join("suite").join(name)
}

/// Looks for typing mistakes in all files of the repository; `typos.toml` has the exceptions.
pub(crate) fn check_spelling() -> Outcome {
    install_python()?;
    let typos = folder("python").join("bin/typos");
    check(Command::new(typos).args(["--format", "brief"]).current_dir(root()))
}

/// Recreates `folder` with copies of `files` and runs `make` there, unless that was done with the
/// same files before.
fn once(folder: &Path, files: &[&str], make: impl FnOnce(&Path) -> Outcome) -> Outcome {
    let from = &programs();
    let stamp = folder.with_extension("stamp");
    let now = sum(from, files)?;
    if is_stamped(&stamp, &now) {
        println!("{} is up to date", folder.display());
        return Ok(());
    }
    let cannot = |error| format!("cannot write {}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(cannot)?;
    make_copies(from, folder, files).map_err(cannot)?;
    make(folder)?;
    fs::write(&stamp, now).map_err(cannot)
}

fn make_copies(from: &Path, folder: &Path, files: &[&str]) -> std::io::Result<()> {
    files.iter().try_for_each(|file| fs::copy(from.join(file), folder.join(file)).map(drop))
}
