//! Files that a person chooses in the system's own dialog. The pages never see a path they did not get
//! from here, nor the bytes of a key.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rfd::{AsyncFileDialog, FileHandle};
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
    #[error("the file cannot be read: {0}")]
    Read(io::Error),
    #[error("the file has more than {} KiB: it is not what was asked for", MAX_FILE / 1024)]
    TooLong,
    #[error("there is no certificate in this file: it begins with -----BEGIN CERTIFICATE-----")]
    NoCertificate,
}

/// What can be written to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Saved {
    Request,
    Certificate,
    SupportBundle,
}

impl Saved {
    fn file_name(self) -> &'static str {
        match self {
            Saved::Request => "seacat-request.pem",
            Saved::Certificate => "seacat-certificate.pem",
            Saved::SupportBundle => "seacat-support.txt",
        }
    }
}

/// A key file, as the engine takes it; `None` when the person chose none.
pub(crate) async fn choose_key(window: &WebviewWindow) -> Result<Option<Secret>, FileError> {
    let dialog = dialog(window).add_filter("PKCS#12, PEM", &["p12", "pfx", "pem"]);
    let Some(chosen) = dialog.pick_file().await else { return Ok(None) };
    read(&chosen).map(|bytes| Some(Secret::new(bytes)))
}

/// The certificates in a file, without whatever else is in it.
pub(crate) async fn choose_certificate(
    window: &WebviewWindow,
) -> Result<Option<String>, FileError> {
    let dialog = dialog(window).add_filter("PEM", &["pem", "crt", "cer"]);
    let Some(chosen) = dialog.pick_file().await else { return Ok(None) };
    let bytes = read(&chosen)?;
    certificates(&String::from_utf8_lossy(&bytes)).map(Some).ok_or(FileError::NoCertificate)
}

/// Where the person wants it; `None` when they chose no place.
pub(crate) async fn choose_place(window: &WebviewWindow, kind: Saved) -> Option<PathBuf> {
    let dialog = dialog(window).set_file_name(kind.file_name());
    dialog.save_file().await.map(Into::into)
}

fn dialog(window: &WebviewWindow) -> AsyncFileDialog {
    AsyncFileDialog::new().set_parent(window)
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

/// The certificates of a PEM file (RFC 7468); `None` without one.
fn certificates(text: &str) -> Option<String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let mut found = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(BEGIN) {
        let Some(length) = rest[start..].find(END) else { break };
        let end = start + length + END.len();
        found += &rest[start..end];
        found.push('\n');
        rest = &rest[end..];
    }
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_alone_leave_a_file() {
        let one = "-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n";
        let key = "-----BEGIN PRIVATE KEY-----\nBBB\n-----END PRIVATE KEY-----\n";
        assert_eq!(certificates(&format!("{key}subject=x\n{one}{key}{one}")), Some(one.repeat(2)));
        assert_eq!(certificates(key), None);
        assert_eq!(certificates("-----BEGIN CERTIFICATE-----\nAAA"), None);
    }

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
