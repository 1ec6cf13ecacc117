//! Stamps: what was made from which sources, so that it is made again only when they change.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

/// Does the file `stamp` hold this sum?
pub(crate) fn is_stamped(stamp: &Path, now: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|then| then == now)
}

/// A sum of names and contents: detects a change, and protects against no attacker.
pub(crate) fn sum(folder: &Path, names: &[&str]) -> Result<String, String> {
    let mut hasher = DefaultHasher::new();
    for name in names {
        for path in files(&folder.join(name)) {
            let text = fs::read(&path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            path.hash(&mut hasher);
            text.hash(&mut hasher);
        }
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// A file, or all files below a folder, in order; nothing where there is nothing.
fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut below: Vec<PathBuf> = entries.flat_map(|entry| files(&entry.path())).collect();
    below.sort();
    below
}
