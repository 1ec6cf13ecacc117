//! `cargo xtask check`: what a contributor runs before every commit, in about a minute once the
//! workspace has been built: formatting, the structure of the repository, then lints and unit tests of
//! the crates that were changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::step::{cargo, check as run, root, timed};
use crate::{Outcome, ui};

/// The repository's own structure: cheap, and anything can break it.
const STRUCTURE: &str = "test --quiet -p xtask";

/// The package of the suites, which start real programs and take minutes: `cargo xtask test` runs them.
const SUITES: &str = "seacat-tests";

/// A package of the workspace.
struct Package {
    name: String,
    /// Its folder, from the root.
    folder: String,
    /// The packages of the workspace that its manifest names.
    uses: BTreeSet<String>,
}

/// Checks what differs from `origin/main`, or from the last commit where there is no such branch.
pub(crate) fn check() -> Outcome {
    timed("fmt", "formatting", || run(&mut cargo("fmt --all --check")))?;
    timed("structure", "citations, and which crate uses which", || run(&mut cargo(STRUCTURE)))?;
    let files = changed_files()?;
    if files.iter().any(|file| file.starts_with("ui/")) {
        ui::install()?;
        for script in ["check", "test"] {
            timed("ui", script, || run(ui::npm().args(["run", script])))?;
        }
    }
    let packages = packages()?;
    let all = files.iter().any(|file| file == "Cargo.toml" || file == "Cargo.lock");
    let changed: Vec<&Package> = packages
        .iter()
        .filter(|package| all || files.iter().any(|f| owns(&packages, package, f)))
        .collect();
    if changed.is_empty() {
        println!("\nno crate has changed");
        return Ok(());
    }
    let names: BTreeSet<&str> = changed.iter().map(|package| package.name.as_str()).collect();
    let lints = format!("clippy{} --all-targets -- -D warnings", flags(users(&packages, &names)));
    timed("clippy", "lints of the changed crates and of those that use them", || {
        run(&mut cargo(&lints))
    })?;
    let tested = flags(names.into_iter().filter(|name| *name != SUITES));
    if tested.is_empty() {
        return Ok(());
    }
    timed("unit", "tests of the changed crates", || {
        run(&mut cargo(&format!("test --quiet{tested}")))
    })
}

fn flags<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!(" -p {name}")).collect()
}

/// Whether a file is in the package's folder, and not in a package's further down.
fn owns(packages: &[Package], package: &Package, file: &str) -> bool {
    let within = |folder: &str| file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    let deepest = packages.iter().filter(|it| within(&it.folder)).max_by_key(|it| it.folder.len());
    deepest.is_some_and(|it| it.name == package.name)
}

/// The packages and all that use them, directly or not.
fn users<'a>(packages: &'a [Package], changed: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    let mut found = changed.clone();
    loop {
        let before = found.len();
        let uses = |package: &&Package| package.uses.iter().any(|it| found.contains(it.as_str()));
        let more: Vec<&str> = packages.iter().filter(uses).map(|it| it.name.as_str()).collect();
        found.extend(more);
        if found.len() == before {
            return found;
        }
    }
}

/// Changed, added and untracked files, from the root.
fn changed_files() -> Result<Vec<String>, String> {
    let base =
        git(&["merge-base", "HEAD", "origin/main"]).or_else(|_| git(&["rev-parse", "HEAD"]))?;
    let changed = git(&["diff", "--name-only", base.trim()])?;
    let untracked = git(&["ls-files", "--others", "--exclude-standard"])?;
    Ok(changed.lines().chain(untracked.lines()).map(str::to_owned).collect())
}

fn git(arguments: &[&str]) -> Result<String, String> {
    let done = Command::new("git").args(arguments).current_dir(root()).output();
    let done = done.map_err(|error| format!("cannot start git: {error}"))?;
    if done.status.success() {
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    } else {
        Err(format!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr)))
    }
}

/// The default members of the workspace. The window's program is none: it needs WebKit.
fn packages() -> Result<Vec<Package>, String> {
    let mut folders = vec!["tests".to_owned(), "bench".to_owned(), "bench/core".to_owned()];
    folders.push("xtask".to_owned());
    let crates = fs::read_dir(root().join("crates")).map_err(|error| format!("crates: {error}"))?;
    for entry in crates.flatten() {
        folders.push(format!("crates/{}", entry.file_name().to_string_lossy()));
    }
    folders.into_iter().map(package).collect()
}

fn package(folder: String) -> Result<Package, String> {
    let path = root().join(&folder).join("Cargo.toml");
    let manifest =
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (name, uses) = read(&manifest).ok_or_else(|| no_name(&path))?;
    Ok(Package { name, folder, uses })
}

fn no_name(path: &Path) -> String {
    format!("{} has no name", path.display())
}

/// The name in a manifest, and the packages of ours that it names in any table of dependencies.
fn read(manifest: &str) -> Option<(String, BTreeSet<String>)> {
    let name = manifest.lines().find_map(|line| line.strip_prefix("name = "))?.trim_matches('"');
    let names = manifest.lines().filter(|line| line.starts_with("seacat-"));
    let uses = names.filter_map(|line| line.split(['.', ' ', '=']).next()).map(str::to_owned);
    Some((name.to_owned(), uses.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> Vec<Package> {
        let package = |folder: &str, manifest: &str| {
            let (name, uses) = read(manifest).unwrap_or_default();
            Package { name, folder: folder.to_owned(), uses }
        };
        vec![
            package(
                "crates/low",
                "[package]\nname = \"seacat-low\"\n[dependencies]\nbytes = \"1\"\n",
            ),
            package(
                "crates/mid",
                "name = \"seacat-mid\"\n[dependencies]\nseacat-low.workspace = true\n",
            ),
            package(
                "crates/top",
                "name = \"seacat-top\"\n[dev-dependencies]\nseacat-mid = { path = \"x\" }\n",
            ),
            package("bench", "name = \"seacat-bench\"\n"),
            package("bench/core", "name = \"seacat-core\"\n"),
        ]
    }

    #[test]
    fn a_change_concerns_the_crates_above() {
        let packages = workspace();
        let of = |name| users(&packages, &BTreeSet::from([name])).into_iter().collect::<Vec<_>>();
        assert_eq!(of("seacat-low"), ["seacat-low", "seacat-mid", "seacat-top"]);
        assert_eq!(of("seacat-top"), ["seacat-top"]);
    }

    #[test]
    fn a_file_belongs_to_the_deepest_folder() {
        let packages = workspace();
        let owner = |file: &str| {
            packages.iter().find(|it| owns(&packages, it, file)).map(|it| it.name.as_str())
        };
        assert_eq!(owner("crates/low/src/lib.rs"), Some("seacat-low"));
        assert_eq!(owner("bench/core/src/lib.rs"), Some("seacat-core"));
        assert_eq!(owner("bench/src/main.rs"), Some("seacat-bench"));
        assert_eq!(owner("crates/lower/src/lib.rs"), None);
        assert_eq!(owner("docs/errors.md"), None);
    }
}
