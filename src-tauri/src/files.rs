//! Files that a person chooses in the system's own dialog. The pages never see a path they did not get
//! from here, nor the bytes of a key.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rfd::{AsyncFileDialog, FileHandle};
use seacat_agent::certificates_as_pem;
use seacat_agent::control::Secret;
use serde::Deserialize;
use tauri::WebviewWindow;
use thiserror::Error;
use zeroize::Zeroizing;

/// The largest file that is read: what the control socket takes in one line, with room to spare. A key
/// with its chain is a few KiB, a bundle of CAs a few dozen.
const MAX_FILE: u64 = 64 * 1024;

/// Why a file was not taken.
#[derive(Debug, Error)]
pub(crate) enum FileError {
    #[error("The file cannot be read: {0}.")]
    Read(io::Error),
    #[error("This file is too large: it has more than {} KiB.", MAX_FILE / 1024)]
    TooLong,
    #[error("No certificate found in this file.")]
    NoCertificate,
}

/// What can be written to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Saved {
    Request,
    Certificate,
    SupportBundle,
    RequestsCsv,
    RequestsHar,
}

impl Saved {
    fn file_name(self) -> &'static str {
        match self {
            Saved::Request => "seacat-request.pem",
            Saved::Certificate => "seacat-certificate.pem",
            Saved::SupportBundle => "seacat-support.txt",
            Saved::RequestsCsv => "seacat-requests.csv",
            Saved::RequestsHar => "seacat-requests.har",
        }
    }
}

/// A key file, as the engine takes it; `None` when the person chose none.
pub(crate) async fn choose_key(
    window: &WebviewWindow,
    title: &str,
) -> Result<Option<Secret>, FileError> {
    let dialog = dialog(window, title).add_filter("PKCS#12, PEM", &["p12", "pfx", "pem"]);
    let dialog = dialog.add_filter(ANY, &["*"]);
    let Some(chosen) = dialog.pick_file().await else { return Ok(None) };
    read(&chosen).map(|bytes| Some(Secret::new(bytes)))
}

/// The certificates in a file, without whatever else is in it.
pub(crate) async fn choose_certificate(
    window: &WebviewWindow,
    title: &str,
) -> Result<Option<String>, FileError> {
    let dialog = dialog(window, title);
    let dialog = dialog.add_filter("X.509", &["pem", "crt", "cer", "der", "p7b", "p7c"]);
    let dialog = dialog.add_filter(ANY, &["*"]);
    let Some(chosen) = dialog.pick_file().await else { return Ok(None) };
    let bytes = read(&chosen)?;
    certificates_as_pem(&bytes).map(Some).ok_or(FileError::NoCertificate)
}

/// Where the person wants it; `None` when they chose no place.
pub(crate) async fn choose_place(
    window: &WebviewWindow,
    title: &str,
    kind: Saved,
) -> Option<PathBuf> {
    let dialog = dialog(window, title).set_file_name(kind.file_name());
    dialog.save_file().await.map(Into::into)
}

/// The filter that hides nothing: names end as their senders like. It needs no words.
const ANY: &str = "*";

/// `title` is in the language of the pages.
fn dialog(window: &WebviewWindow, title: &str) -> AsyncFileDialog {
    AsyncFileDialog::new().set_parent(window).set_title(title)
}

fn read(chosen: &FileHandle) -> Result<Zeroizing<Vec<u8>>, FileError> {
    read_file(chosen.path())
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let file = std::fs::File::open(path).map_err(FileError::Read)?;
    // All at once: a vector that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize + 1));
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(FileError::Read)?;
    if bytes.len() as u64 > MAX_FILE { Err(FileError::TooLong) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_wrong_kind_is_refused_by_its_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("film");
        std::fs::write(&path, vec![0; MAX_FILE as usize]).unwrap();
        assert_eq!(read_file(&path).unwrap().len() as u64, MAX_FILE);
        std::fs::write(&path, vec![0; MAX_FILE as usize + 1]).unwrap();
        assert!(matches!(read_file(&path), Err(FileError::TooLong)));
    }
}
