//! Changing the user's file: comments and order survive, a crash leaves the old file or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use seacat_files::{read_text, rename};
use thiserror::Error;
use toml_edit::{ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value};

use super::load::{self, Loaded};
use super::problem::Problems;
use super::schema::Config;

/// Why a change was not made.
#[derive(Debug, Error)]
pub enum EditError {
    /// There is no setting of this name; the message names the nearest.
    #[error("{0}")]
    UnknownSetting(String),
    /// The organisation decided.
    #[error("{key} is managed by your organisation ({path}): it cannot be changed here")]
    Locked {
        /// The setting.
        key: String,
        /// The policy that sets it.
        path: PathBuf,
    },
    /// The value does not fit.
    #[error("{0}")]
    BadValue(String),
    /// The file would not be right afterwards (or was not before).
    #[error("no changes written: the resulting file would be invalid:\n{0}")]
    Wrong(Problems),
    /// The file is not TOML.
    #[error("{path} is not valid TOML and cannot be edited: {source}")]
    NotToml {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        source: toml_edit::TomlError,
    },
    /// It could not be read or written.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// "read" or "write".
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Sets `key` to `text` in the file at `path`, which is made if it is missing.
///
/// `loaded` tells what the organisation has locked.
///
/// # Errors
/// When the setting is unknown or locked, the value or the resulting file is not right, or the file
/// cannot be written. The old file is then untouched.
pub fn set(path: &Path, loaded: &Loaded, key: &str, text: &str) -> Result<(), EditError> {
    let setting =
        load::find(key).ok_or_else(|| EditError::UnknownSetting(load::unknown_setting(key)))?;
    let value =
        load::set_text(setting, &mut Config::default(), text).map_err(EditError::BadValue)?;
    change(path, loaded, key, |document| set_in(document, key, value))
}

/// Removes `key` from the file at `path`, so that the default (or another source) applies again.
///
/// # Errors
/// As [`set`].
pub fn unset(path: &Path, loaded: &Loaded, key: &str) -> Result<(), EditError> {
    if load::find(key).is_none() {
        return Err(EditError::UnknownSetting(load::unknown_setting(key)));
    }
    change(path, loaded, key, |document| remove_from(document, key))
}

fn change(
    path: &Path,
    loaded: &Loaded,
    key: &str,
    edit: impl FnOnce(&mut DocumentMut),
) -> Result<(), EditError> {
    if let load::Origin::Policy { path, .. } = loaded.origin(key) {
        return Err(EditError::Locked { key: key.to_owned(), path });
    }
    write(path, edit)
}

/// One change of many.
#[derive(Debug, Clone)]
pub struct Step {
    /// The setting.
    pub key: &'static str,
    /// Its new value; `None` takes it out of the file.
    pub value: Option<Value>,
}

impl Step {
    fn take(self, document: &mut DocumentMut) {
        match self.value {
            Some(value) => set_in(document, self.key, value),
            None => remove_from(document, self.key),
        }
    }
}

/// Takes all of `steps` at once in the file at `path`, or none of them. The caller has looked at what
/// is locked.
///
/// # Errors
/// As [`set`].
pub fn apply(path: &Path, steps: Vec<Step>) -> Result<(), EditError> {
    write(path, |document| steps.into_iter().for_each(|step| step.take(document)))
}

/// What the file at `path` would be after `steps`.
///
/// # Errors
/// When it cannot be read, or is not TOML.
pub fn preview(path: &Path, steps: &[Step]) -> Result<String, EditError> {
    let mut document = read(&resolve(path))?;
    steps.iter().cloned().for_each(|step| step.take(&mut document));
    Ok(document.to_string())
}

fn write(path: &Path, edit: impl FnOnce(&mut DocumentMut)) -> Result<(), EditError> {
    let path = &resolve(path);
    let failed = |source| EditError::Io { doing: "write", path: path.clone(), source };
    let _turn = take_turn(path).map_err(failed)?;
    let mut document = read(path)?;
    edit(&mut document);
    let text = document.to_string();
    load::check_text(path, &text).map_err(EditError::Wrong)?;
    save(path, text.as_bytes()).map_err(failed)
}

fn read(path: &Path) -> Result<DocumentMut, EditError> {
    let text = match read_text(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(source) => {
            return Err(EditError::Io { doing: "read", path: path.to_owned(), source });
        }
    };
    text.parse().map_err(|source| EditError::NotToml { path: path.to_owned(), source })
}

/// The file behind a symbolic link (people keep their dot files in a repository): the link stays.
fn resolve(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// The table that holds `key` and the key inside it: `proxy.port` → (`proxy`, `port`).
fn split(key: &str) -> (Option<&str>, &str) {
    key.rsplit_once('.').map_or((None, key), |(table, key)| (Some(table), key))
}

fn set_in(document: &mut DocumentMut, key: &str, value: Value) {
    let (table, key) = split(key);
    let table = match table {
        None => document.as_table_mut(),
        Some(name) => {
            let item = document.entry(name).or_insert_with(|| Item::Table(Table::new()));
            match item.as_table_mut() {
                Some(table) => table,
                // `proxy = { port = 1 }`: an inline table becomes one with a heading of its own.
                None => {
                    let inline = std::mem::take(item).into_table().unwrap_or_default();
                    *item = Item::Table(inline);
                    return set_in(document, &format!("{name}.{key}"), value);
                }
            }
        }
    };
    match value {
        Value::Array(array) if array.iter().all(Value::is_inline_table) && !array.is_empty() => {
            let elements = array.into_iter().filter_map(|v| v.as_inline_table().cloned()).collect();
            set_tables(table, key, elements);
        }
        mut value => match table.get_mut(key).and_then(Item::as_value_mut) {
            Some(old) => {
                // The decor is the space and the comment around the value.
                *value.decor_mut() = old.decor().clone();
                *old = value;
            }
            None => drop(table.insert(key, Item::Value(value))),
        },
    }
}

/// Lists of tables are written as `[[name]]`. An element that stays where it is keeps its comments,
/// and so does each of its keys that stays.
fn set_tables(parent: &mut Table, key: &str, elements: Vec<InlineTable>) {
    let mut tables = match parent.remove(key) {
        Some(Item::ArrayOfTables(tables)) => tables,
        _ => ArrayOfTables::new(),
    };
    while tables.len() > elements.len() {
        tables.remove(tables.len() - 1);
    }
    for (i, element) in elements.into_iter().enumerate() {
        if tables.get(i).is_none() {
            tables.push(Table::new());
        }
        let Some(table) = tables.get_mut(i) else {
            continue;
        };
        table.retain(|name, _| element.contains_key(name));
        for (name, mut value) in element {
            match table.get_mut(&name).and_then(Item::as_value_mut) {
                Some(old) => {
                    *value.decor_mut() = old.decor().clone();
                    *old = value;
                }
                None => {
                    value.decor_mut().clear();
                    table.insert(&name, Item::Value(value));
                }
            }
        }
    }
    parent.insert(key, Item::ArrayOfTables(tables));
}

fn remove_from(document: &mut DocumentMut, key: &str) {
    let (table, key) = split(key);
    match table {
        None => drop(document.remove(key)),
        Some(table) => {
            if let Some(table) = document.get_mut(table).and_then(Item::as_table_like_mut) {
                table.remove(key);
            }
        }
    }
}

/// The new content is written here first. One name, so that crashes leave at most one behind.
fn temporary(path: &Path) -> PathBuf {
    beside(path, "new")
}

/// `.config.toml.SUFFIX` beside `config.toml`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{suffix}"))
}

/// Two programs that edit at once (the window and a script) take turns: without it the second would
/// write over what the first has just changed. The lock goes when the file is closed.
fn take_turn(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let file = private_file(&beside(path, "lock"))?;
    file.lock()?;
    Ok(file)
}

/// Replaces the file at `path` in one step: a temporary file in the same folder, flushed to disk,
/// renamed over the old one, and the folder flushed too. Owner-only.
///
/// # Errors
/// When any of it fails; the old file is then still whole.
pub fn save(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = temporary(path);
    // What a crash left there is of no use, and may have other permissions.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = private_file(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    rename(&temporary, path)?;
    sync_folder(path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The rename itself is on disk only when its folder is.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Windows has no such call: NTFS journals the rename.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests;
