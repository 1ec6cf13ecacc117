//! Start at login: an entry for the desktop (XDG autostart). The entry is the truth, so whoever
//! removes it in the desktop's own settings has switched it off.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::config::edit::save;

/// Why the entry could not be written or removed.
#[derive(Debug, Error)]
pub enum AutostartError {
    /// The path of our program cannot be written into an entry.
    #[error("the path of a file is not text: {}", .0.display())]
    NotText(PathBuf),
    /// The folder or the file.
    #[error("{} cannot be {doing}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// "written" or "removed".
        doing: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

/// Where the entry of this user is, below the folder of their configuration.
#[must_use]
pub fn entry(config_home: &Path) -> PathBuf {
    config_home.join("autostart/seacat-proxy.desktop")
}

/// Starts `program app --background` with `arguments` at the next login.
///
/// # Errors
/// When the entry cannot be written; an old one is then still whole.
pub fn on(entry: &Path, program: &Path, arguments: &[OsString]) -> Result<(), AutostartError> {
    let fixed = [program.into(), "app".into(), "--background".into()];
    let words: Result<Vec<String>, _> = fixed.iter().chain(arguments).map(quoted).collect();
    let text = format!(
        "[Desktop Entry]\nType=Application\nName=SeaCat Proxy\n\
         Comment=Keeps the proxy ready and its icon in the panel\nIcon=seacat-proxy\n\
         Exec={}\nTerminal=false\nX-GNOME-Autostart-enabled=true\n",
        words?.join(" ")
    );
    let folder = entry.parent().unwrap_or(Path::new("."));
    let written = fs::create_dir_all(folder).and_then(|()| save(entry, text.as_bytes()));
    written.map_err(|source| failed(entry, "written", source))
}

/// Starts nothing any more.
///
/// # Errors
/// When the entry cannot be removed. One that is not there is fine.
pub fn off(entry: &Path) -> Result<(), AutostartError> {
    match fs::remove_file(entry) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed(entry, "removed", error))
        }
        _ => Ok(()),
    }
}

fn failed(path: &Path, doing: &'static str, source: io::Error) -> AutostartError {
    AutostartError::Io { path: path.to_owned(), doing, source }
}

/// A word of `Exec`: in quotes, where four characters are escaped; in a string of an entry, where a
/// backslash is doubled once more; `%` begins a field code unless doubled (Desktop Entry
/// Specification 1.5, sections 4 and 7).
fn quoted(word: &OsString) -> Result<String, AutostartError> {
    let word = word.to_str().ok_or_else(|| AutostartError::NotText(word.into()))?;
    let mut out = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '`' | '$' => out.extend(["\\\\", c.encode_utf8(&mut [0; 4])]),
            '\\' => out.push_str("\\\\\\\\"),
            '%' => out.push_str("%%"),
            // A line break would end the entry's line.
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_and_goes() {
        let home = tempfile::tempdir().unwrap();
        let entry = entry(home.path());
        let program = Path::new("/opt/Sea Cat/100%/a\"b");
        on(&entry, program, &["--state-dir".into(), "/x/$y\\z".into()]).unwrap();
        let text = fs::read_to_string(&entry).unwrap();
        let exec = text.lines().find_map(|line| line.strip_prefix("Exec=")).unwrap();
        assert_eq!(
            exec,
            r#""/opt/Sea Cat/100%%/a\\"b" "app" "--background" "--state-dir" "/x/\\$y\\\\z""#
        );
        on(&entry, Path::new("/usr/bin/seacat-proxy"), &[]).unwrap();
        assert!(fs::read_to_string(&entry).unwrap().contains("\"/usr/bin/seacat-proxy\""));
        off(&entry).unwrap();
        assert!(!entry.exists());
        off(&entry).expect("off already");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("autostart"), "a file").unwrap();
        let entry = entry(home.path());
        let error = on(&entry, Path::new("/p"), &[]).expect_err("no folder").to_string();
        assert!(error.contains("seacat-proxy.desktop cannot be written"), "{error}");
    }
}
