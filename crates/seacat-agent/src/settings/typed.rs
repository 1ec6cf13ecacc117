//! From what was typed to a value of a setting, with a note under the very field that is not right.

use std::collections::BTreeMap;

use seacat_channel::{ConfigError, GatewayConfig, Warning, reachability};
use serde_json::Value as Json;
use toml_edit::{Array, InlineTable, Value};

use super::{Note, NoteCode};
use crate::config::apply;
use crate::config::elements::{
    DISCOVER_SETTINGS, GATEWAY_SETTINGS, MAP_SETTINGS, REVERSE_SETTINGS, ROUTE_SETTINGS,
};
use crate::config::schema::{Config, Gateway};
use crate::config::settings::Setting;

/// A list longer than this was not typed by a person.
const ELEMENTS_MAX: usize = 1_000;

impl Note {
    /// Something to say about `field`.
    pub(super) fn new(field: &str, code: NoteCode, message: impl Into<String>) -> Self {
        Self { field: field.to_owned(), message: message.into(), code, params: BTreeMap::new() }
    }

    /// The change as a whole.
    pub(crate) fn not_saved(message: String) -> Self {
        Self::new("", NoteCode::NotSaved, message)
    }

    /// Where nobody can choose whether we start at login.
    pub(crate) fn no_login() -> Self {
        Self::new("autostart", NoteCode::Unknown, "cannot be chosen in this build")
    }

    /// With a value of its message.
    pub(super) fn with(mut self, name: &str, value: &(impl ToString + ?Sized)) -> Self {
        self.params.insert(name.to_owned(), value.to_string());
        self
    }
}

/// The value as the file would have it; notes under what is not right.
pub(super) fn read(setting: &Setting<Config>, typed: &Json) -> Result<Value, Vec<Note>> {
    let key = setting.key;
    let value = match (key, typed) {
        ("gateway", Json::Array(items)) => list(key, items, &gateway_element)?,
        ("proxy.map", Json::Array(items)) => {
            list(key, items, &|f, it| element(f, it, MAP_SETTINGS))?
        }
        ("route", Json::Array(items)) => list(key, items, &|f, it| element(f, it, ROUTE_SETTINGS))?,
        ("reverse", Json::Array(items)) => {
            list(key, items, &|f, it| element(f, it, REVERSE_SETTINGS))?
        }
        _ => return scalar(key, setting, typed, &mut Config::default()),
    };
    match (setting.set)(&mut Config::default(), &value) {
        Ok(()) => Ok(value),
        Err(faults) => Err(faults
            .into_iter()
            .map(|it| Note::new(key, NoteCode::Invalid, it.message))
            .collect()),
    }
}

type Element = dyn Fn(&str, &Json) -> Result<InlineTable, Vec<Note>>;

/// Every element of a list, each under its own number.
fn list(key: &str, items: &[Json], read: &Element) -> Result<Value, Vec<Note>> {
    let (mut array, mut notes) = (Array::new(), Vec::new());
    if items.len() > ELEMENTS_MAX {
        return Err(vec![Note::new(key, NoteCode::Invalid, "is too long")]);
    }
    for (nth, item) in items.iter().enumerate() {
        match read(&format!("{key}.{nth}"), item) {
            Ok(table) => array.push(table),
            Err(mut found) => notes.append(&mut found),
        }
    }
    if notes.is_empty() { Ok(Value::Array(array)) } else { Err(notes) }
}

/// One element: every key known and right, every required key there. What is as it would be without
/// being named is left out.
fn element<T: Default>(
    field: &str,
    typed: &Json,
    settings: &[Setting<T>],
) -> Result<InlineTable, Vec<Note>> {
    let Json::Object(members) = typed else {
        return Err(vec![Note::new(field, NoteCode::Invalid, "must be a table")]);
    };
    let (mut table, mut notes, mut read) = (InlineTable::new(), Vec::new(), T::default());
    for name in members.keys().filter(|name| !settings.iter().any(|it| it.key == *name)) {
        notes.push(Note::new(&format!("{field}.{name}"), NoteCode::Unknown, "is not known"));
    }
    for setting in settings {
        let path = format!("{field}.{}", setting.key);
        match members.get(setting.key).filter(|it| !is_nothing(it)) {
            Some(Json::Object(_)) if setting.key == "discover" => {
                match element::<seacat_channel::Discovery>(
                    &path,
                    &members[setting.key],
                    DISCOVER_SETTINGS,
                ) {
                    Ok(inner) => {
                        let inner = Value::InlineTable(inner);
                        let _ = (setting.set)(&mut read, &inner);
                        table.insert(setting.key, inner);
                    }
                    Err(mut found) => notes.append(&mut found),
                }
            }
            Some(typed) => match scalar(&path, setting, typed, &mut read) {
                Ok(value) => {
                    let default = (setting.get)(&T::default()).map(|it| it.to_string());
                    if default.as_deref().map(str::trim) != Some(value.to_string().trim()) {
                        table.insert(setting.key, value);
                    }
                }
                Err(mut found) => notes.append(&mut found),
            },
            None if setting.required => {
                let message = format!("is needed: {}", setting.takes);
                notes.push(Note::new(&path, NoteCode::Required, message));
            }
            None => {}
        }
    }
    if notes.is_empty() { Ok(table) } else { Err(notes) }
}

fn is_nothing(typed: &Json) -> bool {
    match typed {
        Json::Null => true,
        Json::String(text) => text.trim().is_empty(),
        Json::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// One value. A number or a yes may have been typed as a text.
fn scalar<T>(
    field: &str,
    setting: &Setting<T>,
    typed: &Json,
    into: &mut T,
) -> Result<Value, Vec<Note>> {
    let invalid = |message: String| vec![Note::new(field, NoteCode::Invalid, message)];
    let refused = || invalid(format!("must be {}", setting.takes));
    let value = toml(typed).ok_or_else(refused)?;
    let literal = value.as_str().and_then(|text| text.trim().parse::<Value>().ok());
    let literal = literal.filter(|it| it.is_integer() || it.is_bool());
    match ((setting.set)(into, &value), literal) {
        (Ok(()), _) => Ok(value),
        (Err(_), Some(literal)) if (setting.set)(into, &literal).is_ok() => Ok(literal),
        (Err(faults), _) => Err(faults.into_iter().flat_map(|it| invalid(it.message)).collect()),
    }
}

/// JSON as TOML, spaces around a text left out.
fn toml(json: &Json) -> Option<Value> {
    Some(match json {
        Json::Null => return None,
        Json::Bool(yes) => (*yes).into(),
        Json::Number(number) => number.as_i64()?.into(),
        // A pasted certificate ends in a line break, which is no mistake.
        Json::String(text) => text.trim().into(),
        Json::Array(items) => Value::Array(items.iter().filter_map(toml).collect()),
        Json::Object(members) => Value::InlineTable(
            members.iter().filter_map(|(name, it)| Some((name.as_str(), toml(it)?))).collect(),
        ),
    })
}

/// A gateway with the rules between its settings, each under the field that has to change.
fn gateway_element(field: &str, typed: &Json) -> Result<InlineTable, Vec<Note>> {
    let table = element(field, typed, GATEWAY_SETTINGS)?;
    let gateway = gateway_of(&table);
    let at = |name: &str| format!("{field}.{name}");
    let conflict =
        |name: &str, message: &str| vec![Note::new(&at(name), NoteCode::Conflict, message)];
    if gateway.is_nothing() {
        let message = "is needed: the gateway's name or address";
        return Err(vec![Note::new(&at("host"), NoteCode::Required, message)]);
    }
    // An authority of its own without a certificate would mean the public ones: never chosen silently.
    let blank = ["ca_pem", "ca_file"]
        .into_iter()
        .find(|name| typed[name].as_str().is_some_and(|text| text.trim().is_empty()));
    if let Some(name) = blank
        && gateway.ca_pem.is_none()
        && gateway.ca_file.is_none()
    {
        let message = "is needed: the certificate of the gateway's authority";
        return Err(vec![Note::new(&at(name), NoteCode::Required, message)]);
    }
    if gateway.discover.is_some() && !gateway.host.is_empty() {
        return Err(conflict("host", "a discovered gateway has its host from DNS"));
    }
    if gateway.ca_file.is_some() && gateway.ca_pem.is_some() {
        return Err(conflict("ca_file", "there is a pasted CA, too: keep one"));
    }
    match apply::gateway(&gateway).validate() {
        Ok(_) => Ok(table),
        Err(error) => {
            let name = match &error {
                ConfigError::Host { .. } => "host",
                ConfigError::Port => "port",
                ConfigError::Pin { .. } => "pin",
                ConfigError::NoCompat | ConfigError::CompatKey(_) => "tls",
                ConfigError::Discover(_) => "discover",
                ConfigError::Pem(_) | ConfigError::DiscoverTrust => "ca_pem",
            };
            Err(vec![Note::new(&at(name), NoteCode::Invalid, error.to_string())])
        }
    }
}

fn gateway_of(table: &InlineTable) -> Gateway {
    let mut gateway = Gateway::default();
    for setting in GATEWAY_SETTINGS {
        if let Some(value) = table.get(setting.key) {
            let _ = (setting.set)(&mut gateway, value);
        }
    }
    gateway
}

/// A gateway as typed, to be tested.
pub(crate) fn gateway(typed: &Json) -> Result<GatewayConfig, Vec<Note>> {
    gateway_element("gateway.0", typed).map(|table| apply::gateway(&gateway_of(&table)))
}

/// From how many networks each gateway's port is reached.
pub(super) fn reachability_of(gateways: &[Gateway]) -> Vec<Note> {
    let named = gateways.iter().enumerate().filter(|(_, gateway)| gateway.discover.is_none());
    let note = |(nth, gateway): (usize, &Gateway)| {
        let percent = reachability(gateway.port);
        let field = format!("gateway.{nth}.port");
        let warning = Warning::Port { port: gateway.port, reachability: percent };
        let message = match percent {
            95 => {
                "port 443 is reachable from about 95 % of networks, more than any other".to_owned()
            }
            _ => warning.to_string(),
        };
        Note::new(&field, NoteCode::Reachability, message)
            .with("port", &gateway.port)
            .with("reachability", &percent)
    };
    named.map(note).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::find;
    use crate::config::native_path;
    use serde_json::json;

    fn fields(key: &str, typed: &Json) -> Vec<(String, NoteCode)> {
        match read(find(key).unwrap(), typed) {
            Ok(_) => vec![],
            Err(notes) => notes.into_iter().map(|it| (it.field, it.code)).collect(),
        }
    }

    #[test]
    fn notes_stand_under_their_fields() {
        use NoteCode::{Conflict, Invalid, Required, Unknown};
        let gateway = |it: Json| json!([{ "host": "a" }, it]);
        type Row = (&'static str, Json, &'static [(&'static str, NoteCode)]);
        let table: Vec<Row> = vec![
            ("proxy.port", json!("3129"), &[]),
            ("proxy.port", json!(3129), &[]),
            ("proxy.port", json!(""), &[("proxy.port", Invalid)]),
            ("proxy.port", json!("31x"), &[("proxy.port", Invalid)]),
            ("proxy.port", json!({}), &[("proxy.port", Invalid)]),
            ("gateway", gateway(json!({ "host": "b", "port": "8443" })), &[]),
            ("gateway", gateway(json!({ "host": "b c" })), &[("gateway.1.host", Invalid)]),
            (
                "gateway",
                gateway(json!({ "port": "x", "tls": "y", "host": "b" })),
                &[("gateway.1.port", Invalid), ("gateway.1.tls", Invalid)],
            ),
            ("gateway", gateway(json!({ "host": " " })), &[("gateway.1.host", Required)]),
            ("gateway", gateway(json!({ "host": "b", "hots": 1 })), &[("gateway.1.hots", Unknown)]),
            (
                "gateway",
                gateway(
                    json!({ "host": "b", "ca_pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" }),
                ),
                &[],
            ),
            (
                "gateway",
                gateway(json!({ "host": "b", "ca_pem": "AAAA" })),
                &[("gateway.1.ca_pem", Invalid)],
            ),
            // An own authority is chosen and its certificate is missing: not the public ones.
            (
                "gateway",
                gateway(json!({ "host": "b", "ca_pem": " " })),
                &[("gateway.1.ca_pem", Required)],
            ),
            (
                "gateway",
                gateway(
                    json!({ "host": "b", "ca_file": native_path("/c"), "ca_pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" }),
                ),
                &[("gateway.1.ca_file", Conflict)],
            ),
            (
                "gateway",
                gateway(json!({ "discover": { "app_id": "a" } })),
                &[("gateway.1.discover.platform", Required)],
            ),
            (
                "gateway",
                gateway(json!({ "discover": { "app_id": "a", "platform": "py3" } })),
                &[("gateway.1.ca_pem", Invalid)],
            ),
            ("proxy.map", json!([{ "listen": "8081", "host": "erp" }]), &[]),
            ("proxy.map", json!([{ "listen": "8081" }]), &[("proxy.map.0.host", Required)]),
            ("route", json!([{ "pattern": "*.a", "to": "up" }]), &[("route.0.to", Invalid)]),
            (
                "reverse",
                json!([{ "port": 0, "target": "h" }]),
                &[("reverse.0.port", Invalid), ("reverse.0.target", Invalid)],
            ),
            ("identity.country", json!("cz"), &[]),
        ];
        for (key, typed, expected) in table {
            let expected: Vec<_> = expected.iter().map(|(f, c)| ((*f).to_owned(), *c)).collect();
            assert_eq!(fields(key, &typed), expected, "{key} {typed}");
        }
    }

    #[test]
    fn what_goes_without_saying_is_not_written() {
        let typed = json!([{ "host": "gw", "port": 443, "priority": 0, "weight": 0, "tls": "modern", "name": null }]);
        let value = read(find("gateway").unwrap(), &typed).unwrap();
        assert_eq!(value.to_string().trim(), r#"[{ host = "gw" }]"#);
    }
}
