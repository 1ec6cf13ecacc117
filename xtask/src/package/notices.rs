//! The licence texts of everything that is linked into a program, for its package.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::{failed, files_in, words};
use crate::step::cargo;

/// How the files begin in which crates keep what they ask for.
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];

const INTRODUCTION: &str = "\
SeaCat Proxy is linked with these libraries: first their names and the licences under which they may
be used, then the texts that come with them, each once.

";

/// The notices for what `packages` of the workspace are linked with.
pub(super) fn of(packages: &[&str]) -> Result<String, String> {
    let mut tree = cargo("tree --edges normal --prefix none --format {p}|{l}");
    tree.args(packages.iter().flat_map(|name| ["--package", name]));
    let listed = words(&mut tree)?;
    let crates: BTreeSet<(String, &str)> = listed.lines().filter_map(of_others).collect();
    let mut notices = INTRODUCTION.to_owned();
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, licence) in crates {
        let _ = writeln!(notices, "{name}: {licence}");
        for file in files_in(&source(&name)?)?.iter().filter(|path| is_notice(path)) {
            let text = fs::read(file).map_err(|error| failed(file, error))?;
            let text = String::from_utf8_lossy(&text).replace("\r\n", "\n");
            texts.entry(text.trim().to_owned()).or_default().push(name.clone());
        }
    }
    for (text, names) in texts {
        let _ = write!(notices, "\n{}\n{}:\n\n{text}\n", "-".repeat(72), names.join(", "));
    }
    Ok(notices)
}

/// `name v1.2.3|MIT` is (`name-1.2.3`, `MIT`); a line about one of our own crates names its folder.
fn of_others(line: &str) -> Option<(String, &str)> {
    let (package, licence) = line.split_once('|')?;
    let mut words = package.split_whitespace();
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    // The mark of what has been listed above.
    let licence = licence.trim_end_matches(" (*)");
    (!package.contains('/')).then(|| (format!("{name}-{version}"), licence))
}

fn is_notice(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_uppercase();
    path.is_file() && NAMES.iter().any(|begin| name.starts_with(begin))
}

/// Where cargo has unpacked a crate.
fn source(name: &str) -> Result<PathBuf, String> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let sources = home.ok_or("there is no home folder")?.join("registry/src");
    let found = files_in(&sources)?.into_iter().map(|registry| registry.join(name));
    found.into_iter().find(|path| path.is_dir()).ok_or_else(|| format!("no source of {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_cargo_tree() {
        let crate_of = |line| of_others(line).map(|(name, licence)| format!("{name}: {licence}"));
        assert_eq!(crate_of("bytes v1.2.3|MIT").unwrap(), "bytes-1.2.3: MIT");
        let again = "serde_derive v1.0.1 (proc-macro)|MIT OR Apache-2.0 (*)";
        assert_eq!(crate_of(again).unwrap(), "serde_derive-1.0.1: MIT OR Apache-2.0");
        assert_eq!(crate_of("seacat-proto v0.1.0 (/home/me/seacat)|BSD-3-Clause"), None);
        assert_eq!(crate_of(""), None);
    }
}
