//! The note about how far we are: JSON, replaced as a whole.

use serde::{Deserialize, Serialize};

use crate::identity::csr;
use crate::identity::lifecycle::Mark;

/// Where the key is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "place", content = "id")]
pub(crate) enum Place {
    /// Nowhere.
    #[default]
    Nowhere,
    /// One was going to be made; it may be in the key store, in a file, or nowhere.
    Making(String),
    /// In the key store under this name.
    Keyring(String),
    /// In a file; in the key store it would have this name.
    File(String),
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) version: Version,
    pub(crate) key: Place,
    pub(crate) mark: Mark,
    /// When a CSR was sent last, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_try: Option<i64>,
    /// The common name that was asked for on the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) common_name: Option<String>,
    /// The number and the digest of what we told about this computer last.
    #[serde(default)]
    pub(crate) facts: (u32, String),
    /// The number that the gateway has acknowledged.
    #[serde(default)]
    pub(crate) acknowledged: u32,
}

/// The form of the file. A program that does not know it changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub(crate) struct Version;

/// Why a note cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the file {file} cannot be read: {why}")]
pub struct RecordError {
    file: &'static str,
    why: serde_json::Error,
}

impl Record {
    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("strings and numbers are JSON")
    }

    /// Reads all of it or nothing: what is guessed wrong here could cost the key. A name that a
    /// certificate cannot hold is left out.
    pub(crate) fn from_json(file: &'static str, text: &[u8]) -> Result<Self, RecordError> {
        let read = serde_json::from_slice(text);
        let mut it: Self = read.map_err(|why| RecordError { file, why })?;
        it.common_name.take_if(|name| csr::check_name("the common name", name).is_err());
        Ok(it)
    }

    /// Reads the lines of `name value` that were written before version 1. The place of the key stands
    /// in the first line that names one: a common name with a line break in it could add another.
    pub(crate) fn from_lines(text: &str) -> Self {
        let first = |names: &[&str]| {
            text.lines().filter_map(|line| line.split_once(' ')).find(|(it, _)| names.contains(it))
        };
        let value = |name: &str| first(&[name]).map(|(_, value)| value);
        let key = match first(&["making", "keyring", "file"]) {
            Some(("making", id)) => Place::Making(id.to_owned()),
            Some(("keyring", id)) => Place::Keyring(id.to_owned()),
            Some((_, id)) => Place::File(id.to_owned()),
            None => Place::Nowhere,
        };
        let mark = match value("mark") {
            Some("ready") => Mark::Ready,
            Some("waiting") => Mark::Waiting,
            Some("rejected") => Mark::Rejected,
            _ => Mark::Idle,
        };
        let facts = value("facts").and_then(|it| it.split_once(' ')).unwrap_or_default();
        Self {
            version: Version,
            key,
            mark,
            last_try: value("last-try").and_then(|it| it.parse().ok()),
            common_name: value("common-name").map(str::to_owned),
            facts: (facts.0.parse().unwrap_or(0), facts.1.to_owned()),
            acknowledged: value("acknowledged").and_then(|it| it.parse().ok()).unwrap_or(0),
        }
    }
}

impl TryFrom<u8> for Version {
    type Error = &'static str;

    fn try_from(version: u8) -> Result<Self, &'static str> {
        match version {
            1 => Ok(Self),
            _ => Err("it was written by a newer program"),
        }
    }
}

impl From<Version> for u8 {
    fn from(_: Version) -> Self {
        1
    }
}
