//! Settings as forms see them: what is in effect with its origin, a change as it is being typed, and
//! what is to be said about it.
//!
//! A setting has the same name everywhere: the key in the configuration file (`proxy.port`,
//! `gateway`) is the key in [`SettingsView::values`] and in [`SettingsChange::values`], and
//! [`Note::field`] begins with it. Inside a list the path goes on with the number of the element and
//! the key in it: `gateway.0.host`.

mod check;
mod prefer;
mod typed;
mod view;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use check::{Checked, check};
pub use prefer::{called, gateways_of, prefer};
pub(crate) use typed::gateway as read_gateway;
pub use view::view;

/// The configuration in effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SettingsView {
    /// The file that changes go to.
    pub file: String,
    /// Every setting by its key.
    #[cfg_attr(test, ts(type = "{ [K in keyof SettingValues]: FieldView<SettingValues[K]> }"))]
    pub values: BTreeMap<String, FieldView<Value>>,
    /// Who may issue each gateway's certificate, in the order of `gateway`; null for the public CAs.
    pub authorities: Vec<Option<AuthorityView>>,
    /// What `identity.characteristics` can hold, and what each tells the gateway.
    pub characteristics: Vec<CharacteristicView>,
    /// Whether the proxy starts at login; null where that cannot be chosen here.
    pub autostart: Option<bool>,
    /// What is allowed but deserves a word.
    pub advice: Vec<Note>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct FieldView<T> {
    /// Its value in effect; null when it has none.
    pub value: T,
    /// Which kind of source the value came from.
    pub origin: OriginView,
    /// The very place: a file and line, a variable, an option.
    pub from: String,
    /// Managed by the organisation: a change is refused.
    pub locked: bool,
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum OriginView {
    /// Built in.
    Default,
    /// The user's file.
    File,
    /// An environment variable: a change in the file has no effect until it is gone.
    Environment,
    /// An option of this run: the same.
    CommandLine,
    /// The organisation's policy.
    Policy,
}

/// A private CA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct AuthorityView {
    /// Its name.
    pub subject: String,
    /// SHA-256 of the certificate, `AB:CD:…`.
    pub fingerprint: String,
    /// Four words for it, to compare with those that the gateway prints.
    pub words: String,
    /// Its last day, `YYYY-MM-DD`.
    pub valid_until: String,
    /// How many certificates there are; the fields above are of the first.
    pub certificates: usize,
    /// Why the file or the text cannot be used; the fields above are then empty.
    pub problem: Option<String>,
}

/// Something that the gateway can be told about this computer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct CharacteristicView {
    /// Its key.
    pub key: String,
    /// What it is.
    pub meaning: String,
    /// What it says on this computer, if anything.
    pub value: Option<String>,
}

/// A change, as typed: a port may still be a text, a name may be half there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(default, deny_unknown_fields)]
pub struct SettingsChange {
    /// New values by key; lists come whole. Null takes the key out of the file, so that the default
    /// (or another source) is in effect again. Keys that are left out stay.
    #[cfg_attr(test, ts(type = "{ [K in keyof SettingValues]?: JsonValue }"))]
    pub values: BTreeMap<String, Value>,
    /// Start at login from now on, or do so no more; nothing is changed when left out.
    #[cfg_attr(test, ts(optional))]
    pub autostart: Option<bool>,
}

/// Something to say about one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Note {
    /// Its path: `proxy.port`, `gateway.0.host`; empty for the whole.
    pub field: String,
    /// In English.
    pub message: String,
    /// A stable word, for other languages.
    pub code: NoteCode,
    /// The values in the message.
    #[cfg_attr(test, ts(type = "{ [key: string]: string }"))]
    pub params: BTreeMap<String, String>,
}

/// What is to be said about a field, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum NoteCode {
    /// Not what this setting takes.
    Invalid,
    /// There must be one.
    Required,
    /// There is no setting of this name.
    Unknown,
    /// Managed by the organisation.
    Locked,
    /// Does not go with another setting.
    Conflict,
    /// Another program has the port (`owner`, and a `free` one if there is one).
    PortTaken,
    /// A file that it names cannot be used.
    File,
    /// The file is not as it should be, whatever is changed.
    BrokenFile,
    /// It could not be written.
    NotSaved,
    /// Advice: from how many networks of a hundred this port is reached (`port`, `reachability`).
    Reachability,
    /// Advice: an environment variable or an option wins over the file (`from`).
    Overridden,
    /// Advice: needs a restart of the proxy.
    Restart,
}
