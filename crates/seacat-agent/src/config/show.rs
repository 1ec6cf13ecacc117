//! `config show`: every setting, its value now, and where the value came from.

use std::fmt::Write as _;

use serde::Serialize;
use toml_edit::Value;

use super::load::{Loaded, Origin};
use super::settings::SETTINGS;

/// One line of `config show`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The setting.
    pub key: &'static str,
    /// Its value, as TOML would write it; null when it has none.
    pub value: serde_json::Value,
    /// Whether it differs from the default's origin: "default", a file and line, and so on.
    pub origin: String,
    /// Whether only the organisation can change it.
    pub locked: bool,
    /// The environment variable that sets it.
    pub environment: String,
    /// What it accepts.
    pub takes: &'static str,
    /// What it does.
    pub doc: &'static str,
}

/// Every setting with its value and origin, in the order of the table of settings.
#[must_use]
pub fn rows(loaded: &Loaded) -> Vec<Row> {
    SETTINGS
        .iter()
        .map(|setting| {
            let origin: Origin = loaded.origin(setting.key);
            Row {
                key: setting.key,
                value: setting.json(&loaded.config),
                locked: origin.is_locked(),
                origin: origin.to_string(),
                environment: setting.environment_name(),
                takes: setting.takes,
                doc: setting.doc,
            }
        })
        .collect()
}

/// A table for people.
#[must_use]
pub fn text(loaded: &Loaded) -> String {
    let rows: Vec<(&str, String, String)> =
        rows(loaded).into_iter().map(|row| (row.key, plain(&row.value), row.origin)).collect();
    let key_width = rows.iter().map(|row| row.0.len()).max().unwrap_or(0);
    let value_width =
        rows.iter().map(|row| row.1.chars().count()).max().unwrap_or(0).min(VALUE_COLUMN);
    let mut out = String::new();
    for (key, value, origin) in rows {
        let _ = writeln!(out, "{key:key_width$}  {value:value_width$}  {origin}");
    }
    out
}

/// Wider values push their origin to the right instead of widening every line.
const VALUE_COLUMN: usize = 40;

/// The value on one line.
pub(super) fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => "-".to_owned(),
        serde_json::Value::String(text) => one_line(text),
        serde_json::Value::Array(items) if items.is_empty() => "none".to_owned(),
        serde_json::Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        serde_json::Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
            format!("{{{}}}", fields.join(" "))
        }
        other => other.to_string(),
    }
}

/// A pasted certificate is named, not printed.
fn one_line(text: &str) -> String {
    match text.matches("-----BEGIN CERTIFICATE-----").count() {
        0 => text.to_owned(),
        1 => "(one certificate)".to_owned(),
        n => format!("({n} certificates)"),
    }
}

pub(super) fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::String(text) => text.value().as_str().into(),
        Value::Integer(number) => (*number.value()).into(),
        Value::Float(number) => (*number.value()).into(),
        Value::Boolean(yes) => (*yes.value()).into(),
        Value::Datetime(time) => time.value().to_string().into(),
        Value::Array(items) => items.iter().map(json).collect(),
        Value::InlineTable(fields) => {
            fields.iter().map(|(name, value)| (name.to_owned(), json(value))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;
    use crate::config::load::load;

    fn loaded() -> Loaded {
        let folder = tempfile::tempdir().unwrap();
        let (file, policy) = (folder.path().join("config.toml"), folder.path().join("policy.d"));
        std::fs::create_dir(&policy).unwrap();
        std::fs::write(&file, "\n[channel]\nwait = \"20s\"\n").unwrap();
        std::fs::write(policy.join("a.toml"), "gateway = \"gw.example.com\"\n").unwrap();
        load(&Sources {
            file,
            policy_dir: Some(policy),
            environment: vec![("SEACAT_PROXY_LOG_LEVEL".into(), "debug".into())],
            command_line: vec![("proxy.port", "3130".into(), "--port".into())],
            ..Sources::default()
        })
        .unwrap()
    }

    #[test]
    fn each_value_is_shown_with_its_origin() {
        let text = text(&loaded());
        let line = |key: &str| {
            let line = text.lines().find(|l| l.split_whitespace().next() == Some(key)).unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("proxy.port"), "proxy.port 3130 command line --port");
        assert_eq!(line("proxy.listen"), "proxy.listen 127.0.0.1, ::1 default");
        assert_eq!(line("log.level"), "log.level debug environment SEACAT_PROXY_LOG_LEVEL");
        assert!(line("channel.wait").starts_with("channel.wait 20s "));
        assert!(line("channel.wait").ends_with("config.toml:3"));
        assert!(line("gateway").contains("host=gw.example.com"), "{}", line("gateway"));
        assert!(line("gateway").contains("managed by your organisation"));
        assert_eq!(line("proxy.credentials_file"), "proxy.credentials_file - default");
    }

    #[test]
    fn json_has_every_setting_and_says_what_is_locked() {
        let rows = rows(&loaded());
        assert_eq!(rows.len(), SETTINGS.len());
        let locked: Vec<_> = rows.iter().filter(|row| row.locked).map(|row| row.key).collect();
        assert_eq!(locked, ["gateway"]);
        let json = serde_json::to_value(&rows).unwrap();
        assert_eq!(json[1]["key"], "proxy.port");
        assert_eq!(json[1]["value"], 3130);
        assert_eq!(json[1]["environment"], "SEACAT_PROXY_PORT");
    }

    #[test]
    fn a_pasted_certificate_is_not_printed() {
        let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(plain(&pem.into()), "(one certificate)");
    }
}
