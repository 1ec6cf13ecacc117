//! From files, environment and command line to one checked [`Config`], each value with its origin.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use seacat_channel::DEFAULT_PORT;
use seacat_files::read_text;
use toml_edit::{Document, TableLike, Value};

use super::apply;
use super::problem::{Place, Problem, Problems};
use super::schema::Config;
use super::settings::{SETTINGS, Setting};
use super::value::{Fault, nearest, unknown_key};

/// The prefix of every environment variable that sets something.
pub const ENVIRONMENT_PREFIX: &str = "SEACAT_PROXY_";

/// Environment variables that name places rather than settings.
pub const PLACE_VARIABLES: [&str; 3] =
    ["SEACAT_PROXY_CONFIG", "SEACAT_PROXY_STATE_DIR", "SEACAT_PROXY_WINDOW"];

/// Where values come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The organisation's folder of `*.toml`; it may be missing.
    pub policy_dir: Option<PathBuf>,
    /// The user's file.
    pub file: PathBuf,
    /// Whether the user named the file: then it must exist.
    pub file_is_named: bool,
    /// Environment variables; those without our prefix are ignored.
    pub environment: Vec<(String, String)>,
    /// `(setting, text, option)` from the command line.
    pub command_line: Vec<(&'static str, String, String)>,
}

/// Where a value came from. Later variants win over earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// The user's file.
    File {
        /// Which file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A command-line option.
    CommandLine(String),
    /// The organisation's policy: locked.
    Policy {
        /// Which file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
}

impl Origin {
    /// Whether nobody but the organisation can change it.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        matches!(self, Origin::Policy { .. })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => write!(f, "default"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::CommandLine(option) => write!(f, "command line {option}"),
            Origin::Policy { path, line } => {
                write!(f, "managed by your organisation ({}:{line})", path.display())
            }
        }
    }
}

/// A configuration that passed every check.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// The origin of every setting that is not a default.
    origins: BTreeMap<&'static str, Origin>,
    /// What is allowed but deserves a word.
    pub warnings: Vec<Problem>,
}

impl Loaded {
    /// Where the value of a setting came from.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }
}

/// Reads every source, lowest first, and checks the result.
///
/// # Errors
/// Every problem found, not only the first.
pub fn load(sources: &Sources) -> Result<Loaded, Problems> {
    let mut layers = Layers::default();
    layers.user_file(&sources.file, sources.file_is_named);
    layers.environment(&sources.environment);
    layers.command_line(&sources.command_line);
    if let Some(folder) = &sources.policy_dir {
        layers.policy(folder);
    }
    layers.finish()
}

/// Checks text as if it were the user's file and the only source.
///
/// # Errors
/// Every problem found.
pub(crate) fn check_text(path: &Path, text: &str) -> Result<Config, Problems> {
    let mut layers = Layers::default();
    layers.file_text(path, text, |path, line| Origin::File { path, line });
    layers.finish().map(|loaded| loaded.config)
}

/// The configuration as it grows, layer over layer.
#[derive(Default)]
struct Layers {
    config: Config,
    origins: BTreeMap<&'static str, Origin>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Layers {
    fn user_file(&mut self, path: &Path, must_exist: bool) {
        match read_text(path) {
            Ok(text) => self.file_text(path, &text, |path, line| Origin::File { path, line }),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => {}
            Err(error) => self.unreadable(path, &error),
        }
    }

    /// The files of the policy folder by name, so that `90-site.toml` wins over `10-base.toml`.
    /// What cannot be read stops the program: an unreadable policy must not mean no policy.
    fn policy(&mut self, folder: &Path) {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.unreadable(folder, &error),
        };
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        files.sort();
        for path in files {
            match read_text(&path) {
                Ok(text) => {
                    self.file_text(&path, &text, |path, line| Origin::Policy { path, line });
                }
                Err(error) => self.unreadable(&path, &error),
            }
        }
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        let place = Place::WholeFile(path.to_owned());
        self.problems.push(Problem::new(place, format!("cannot be read: {error}")));
    }

    fn environment(&mut self, variables: &[(String, String)]) {
        let ours = variables.iter().filter(|(name, _)| {
            name.starts_with(ENVIRONMENT_PREFIX) && !PLACE_VARIABLES.contains(&name.as_str())
        });
        for (name, text) in ours {
            let place = Place::Environment(name.clone());
            match SETTINGS.iter().find(|setting| setting.environment_name() == *name) {
                Some(setting) => {
                    self.text_value(setting, text, Origin::Environment(name.clone()), &place);
                }
                None => {
                    // Not refused: other programs may own variables that begin like ours.
                    let names: Vec<String> =
                        SETTINGS.iter().map(|s| s.environment_name().to_lowercase()).collect();
                    let hint = nearest(name, names.iter().map(String::as_str))
                        .map_or(String::new(), |near| {
                            format!("; did you mean {}?", near.to_uppercase())
                        });
                    self.warnings
                        .push(Problem::new(place, format!("is not a known setting{hint}")));
                }
            }
        }
    }

    fn command_line(&mut self, options: &[(&'static str, String, String)]) {
        for (key, text, option) in options {
            let place = Place::CommandLine(option.clone());
            match find(key) {
                Some(setting) => {
                    self.text_value(setting, text, Origin::CommandLine(option.clone()), &place);
                }
                None => self.problems.push(Problem::new(place, unknown_setting(key))),
            }
        }
    }

    fn text_value(
        &mut self,
        setting: &'static Setting<Config>,
        text: &str,
        origin: Origin,
        place: &Place,
    ) {
        match set_text(setting, &mut self.config, text) {
            Ok(_) => drop(self.origins.insert(setting.key, origin)),
            Err(message) => self.problems.push(Problem::new(place.clone(), message)),
        }
    }

    fn file_text(&mut self, path: &Path, text: &str, origin: fn(PathBuf, usize) -> Origin) {
        let document = match Document::parse(text) {
            Ok(document) => document,
            Err(error) => {
                let place = Place::in_file(path, text, error.span().unwrap_or(0..0));
                return self.problems.push(Problem::new(place, error.message()));
            }
        };
        let file = File { path, text, origin };
        self.table(&file, "", document.as_table());
    }

    /// Walks one table whose keys are settings or tables of settings.
    fn table(&mut self, file: &File<'_>, prefix: &str, table: &dyn TableLike) {
        for (name, item) in table.iter() {
            let key = format!("{prefix}{name}");
            let span = table.get_key_value(name).and_then(|(key, _)| key.span());
            if let Some(setting) = find(&key) {
                let faults = match item.clone().into_value() {
                    Ok(value) => (setting.set)(&mut self.config, &value).err().unwrap_or_default(),
                    Err(_) => vec![Fault { span: None, message: "has no value".to_owned() }],
                };
                let line = file.line(span.clone().or_else(|| item.span()));
                self.origins.insert(setting.key, (file.origin)(file.path.to_owned(), line));
                for fault in faults {
                    let at = fault.span.or_else(|| span.clone()).or_else(|| item.span());
                    self.fault(file, at, format!("`{key}` {}", fault.message));
                }
            } else if let (Some(inner), true) = (item.as_table_like(), is_table(&key)) {
                self.table(file, &format!("{key}."), inner);
            } else if is_table(&key) {
                self.fault(file, span, format!("`{key}` must be a table: write [{key}]"));
            } else {
                self.fault(file, span, unknown_key(name, keys_in(prefix).into_iter()));
            }
        }
    }

    fn fault(&mut self, file: &File<'_>, span: Option<std::ops::Range<usize>>, message: String) {
        let place = Place::in_file(file.path, file.text, span.unwrap_or(0..0));
        self.problems.push(Problem::new(place, message));
    }

    fn finish(mut self) -> Result<Loaded, Problems> {
        if self.problems.is_empty() {
            self.check_combinations();
        }
        if !self.problems.is_empty() {
            return Err(Problems(self.problems));
        }
        self.warn();
        Ok(Loaded { config: self.config, origins: self.origins, warnings: self.warnings })
    }

    /// Rules between settings.
    fn check_combinations(&mut self) {
        let Config { proxy, gateways, identity, reverse, log, .. } = &self.config;
        let mut wrong = Vec::new();
        for map in proxy.map.iter().filter(|map| !map.listen.ip().is_loopback()) {
            wrong.push(format!(
                "proxy.map: {} is not a loopback address; mapped ports cannot require credentials and \
                 serve this computer only",
                map.listen
            ));
        }
        let open = proxy.listen.iter().find(|address| !address.is_loopback());
        if let (Some(open), false) = (open, proxy.allow_remote) {
            wrong.push(format!(
                "proxy.listen: {open} is not a loopback address; to serve other computers, set \
                 proxy.allow_remote = true and proxy.credentials_file"
            ));
        }
        if proxy.allow_remote && proxy.credentials_file.is_none() {
            wrong.push("proxy.allow_remote requires proxy.credentials_file".to_owned());
        }
        for gateway in gateways.iter().filter(|g| g.ca_file.is_some() && g.ca_pem.is_some()) {
            wrong.push(format!("gateway {} has both ca_file and ca_pem: keep one", gateway.host));
        }
        for gateway in gateways {
            match (&gateway.discover, gateway.host.is_empty()) {
                (None, true) => {
                    wrong.push("a gateway needs a `host`, or a `discover` to find one".to_owned());
                }
                (Some(_), false) => wrong
                    .push(format!("gateway {} has both host and discover: keep one", gateway.host)),
                (Some(_), true) if gateway.address.is_some() || gateway.port != DEFAULT_PORT => {
                    wrong.push("a discovered gateway has its port and address from DNS".to_owned());
                }
                _ => {}
            }
        }
        // What the channel itself would refuse.
        for gateway in gateways.iter().filter(|g| !g.is_nothing()).map(apply::gateway) {
            if let Err(error) = gateway.validate() {
                wrong.push(format!("gateway {}: {error}", gateway.name));
            }
        }
        for (nth, door) in reverse.iter().enumerate() {
            if reverse[..nth].iter().any(|other| other.port == door.port) {
                wrong.push(format!("reverse port {} is configured twice: keep one", door.port));
            }
        }
        if let Err(error) = identity.subject.validate() {
            wrong.push(format!("identity: {error}"));
        }
        if log.max_file > log.max_total {
            wrong.push("log.max_file is greater than log.max_total".to_owned());
        }
        self.problems.extend(wrong.into_iter().map(|m| Problem::new(Place::Combination, m)));
    }

    /// What works on paper but often fails in the field.
    fn warn(&mut self) {
        for gateway in &self.config.gateways {
            if gateway.port <= 1023 && gateway.port != 443 {
                let message = format!(
                    "gateway {}: port {} is blocked on many networks. Measured reachability: port 443: 95 %, \
                     a custom port above 1024: 86 %, port 80: 67 %",
                    gateway.host, gateway.port
                );
                self.warnings.push(Problem::new(Place::Combination, message));
            }
        }
    }
}

/// One configuration file while it is read.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
    origin: fn(PathBuf, usize) -> Origin,
}

impl File<'_> {
    fn line(&self, span: Option<std::ops::Range<usize>>) -> usize {
        let end = span.map_or(0, |span| span.start).min(self.text.len());
        self.text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

/// The setting with this key.
pub(crate) fn find(key: &str) -> Option<&'static Setting<Config>> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// The message for a setting nobody knows.
pub(crate) fn unknown_setting(key: &str) -> String {
    unknown_key(key, SETTINGS.iter().map(|setting| setting.key))
}

/// Whether `key` is a table in which settings live.
fn is_table(key: &str) -> bool {
    SETTINGS.iter().any(|s| s.key.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
}

/// The names that may stand directly under `prefix` ("" or "proxy.").
fn keys_in(prefix: &str) -> Vec<&'static str> {
    let mut keys: Vec<&str> = SETTINGS
        .iter()
        .filter_map(|setting| setting.key.strip_prefix(prefix))
        .map(|rest| rest.split('.').next().unwrap_or(rest))
        .collect();
    keys.dedup();
    keys
}

/// Sets from text as people type it: TOML when it is TOML that fits, otherwise the text itself.
/// Returns the value that was accepted.
pub(crate) fn set_text(
    setting: &Setting<Config>,
    config: &mut Config,
    text: &str,
) -> Result<Value, String> {
    let typed = text.parse::<Value>().ok();
    let literal = Value::from(text);
    let mut refusal = None;
    for value in typed.into_iter().chain([literal]) {
        match (setting.set)(config, &value) {
            Ok(()) => return Ok(value),
            // The first refusal names the type the person meant.
            Err(faults) => {
                refusal.get_or_insert_with(|| {
                    faults.into_iter().map(|fault| fault.message).collect::<Vec<_>>().join("; ")
                });
            }
        }
    }
    Err(format!("{} {}", setting.key, refusal.unwrap_or_default()))
}

#[cfg(test)]
mod tests;
