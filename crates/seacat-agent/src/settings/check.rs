//! What is to be said about a change, and what the file would be with it. Nothing is written here.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use seacat_proxy::is_port_taken;
use serde_json::Value as Json;

use super::typed::{reachability_of, read};
use super::view::{authorities, overridden};
use super::{AuthorityView, Note, NoteCode, SettingsChange};
use crate::config::edit::{self, EditError, Step};
use crate::config::load::{check_text, find, unknown_setting};
use crate::config::schema::Config;
use crate::config::{Loaded, apply};
use crate::port_owner;

/// A change that was looked at.
#[derive(Debug, Default)]
pub struct Checked {
    /// What must be put right first.
    pub problems: Vec<Note>,
    /// What is worth knowing.
    pub advice: Vec<Note>,
    /// Who may issue the certificates of the gateways after the change.
    pub authorities: Vec<Option<AuthorityView>>,
    /// What is to be done to the file, when there is no problem.
    pub steps: Vec<Step>,
}

/// Looks at `change` to the file at `path`. `ours` are the addresses we listen on now.
#[must_use]
pub fn check(
    path: &Path,
    loaded: &Loaded,
    change: &SettingsChange,
    ours: &[SocketAddr],
) -> Checked {
    let mut checked = Checked::default();
    for (key, typed) in &change.values {
        match one(key, typed, loaded) {
            Ok(step) => checked.steps.push(step),
            Err(mut notes) => checked.problems.append(&mut notes),
        }
        checked.advice.extend(overridden(key, &loaded.origin(key)));
    }
    if !checked.problems.is_empty() {
        return checked;
    }
    let config = match preview(path, &checked.steps) {
        Ok(config) => config,
        Err(note) => {
            checked.problems.push(note);
            return checked;
        }
    };
    let changed = |key: &str| change.values.contains_key(key);
    if changed("gateway") {
        checked.advice.extend(reachability_of(&config.gateways));
        checked.authorities = authorities(&config.gateways);
        checked.problems.extend(unusable_authorities(&checked.authorities, &config));
    }
    if ["proxy.port", "proxy.listen", "proxy.map"].into_iter().any(changed) {
        checked.problems.extend(taken_ports(&config, ours));
    }
    if changed("proxy.credentials_file")
        && let Err(error) = apply::proxy(&config)
    {
        let note = Note::new("proxy.credentials_file", NoteCode::File, error.to_string());
        checked.problems.push(note);
    }
    checked
}

fn one(key: &str, typed: &Json, loaded: &Loaded) -> Result<Step, Vec<Note>> {
    let note = |code, message: String| vec![Note::new(key, code, message)];
    let setting = find(key).ok_or_else(|| note(NoteCode::Unknown, unknown_setting(key)))?;
    if loaded.origin(key).is_locked() {
        return Err(note(NoteCode::Locked, "is managed by your organisation".to_owned()));
    }
    let is_nothing = match typed {
        Json::Null => true,
        // An emptied field of one that need not have a value.
        Json::String(text) => text.trim().is_empty() && setting.json(&Config::default()).is_null(),
        // An emptied list.
        Json::Array(items) => items.is_empty() && setting.json(&Config::default()) == *typed,
        _ => false,
    };
    let value = if is_nothing { None } else { Some(read(setting, typed)?) };
    Ok(Step { key: setting.key, value })
}

/// The configuration that the file alone would make.
fn preview(path: &Path, steps: &[Step]) -> Result<Config, Note> {
    let broken = |error: &EditError| Note::new("", NoteCode::BrokenFile, error.to_string());
    let text = edit::preview(path, steps).map_err(|error| broken(&error))?;
    check_text(path, &text).map_err(|problems| {
        Note::new("", NoteCode::Conflict, problems.0.first().map_or("", |it| &it.message))
    })
}

fn unusable_authorities(authorities: &[Option<AuthorityView>], config: &Config) -> Vec<Note> {
    let all = authorities.iter().zip(&config.gateways).enumerate();
    all.filter_map(|(nth, (authority, gateway))| {
        let problem = authority.as_ref()?.problem.as_ref()?;
        let (name, code) = match gateway.ca_file {
            Some(_) => ("ca_file", NoteCode::File),
            None => ("ca_pem", NoteCode::Invalid),
        };
        Some(Note::new(&format!("gateway.{nth}.{name}"), code, problem))
    })
    .collect()
}

/// Ports that others have.
fn taken_ports(config: &Config, ours: &[SocketAddr]) -> Vec<Note> {
    let proxy = &config.proxy;
    let is_taken = |address: SocketAddr| {
        let bound = || TcpListener::bind(address);
        address.port() != 0
            && !ours.contains(&address)
            && bound().is_err_and(|error| is_port_taken(&error))
    };
    let note = |field: &str, port: u16| {
        let owner = port_owner::find(port);
        let owner = owner.map_or_else(|| "another program".to_owned(), |it| it.to_string());
        let note =
            Note::new(field, NoteCode::PortTaken, format!("port {port} is taken by {owner}"));
        let note = note.with("port", &port).with("owner", &owner);
        match port_owner::free_port(&proxy.listen, port) {
            Some(free) => note.with("free", &free),
            None => note,
        }
    };
    let main = proxy.listen.iter().map(|ip| SocketAddr::new(*ip, proxy.port)).any(is_taken);
    let main = main.then(|| note("proxy.port", proxy.port));
    let mapped = proxy.map.iter().enumerate().filter(|(_, map)| is_taken(map.listen));
    let mapped =
        mapped.map(|(nth, map)| note(&format!("proxy.map.{nth}.listen"), map.listen.port()));
    main.into_iter().chain(mapped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::load;
    use crate::config::{Sources, native_path};
    use serde_json::json;

    fn change(values: &Json) -> SettingsChange {
        serde_json::from_value(json!({ "values": values })).unwrap()
    }

    fn looked_at(file: &str, policy: &str, values: &Json) -> (Checked, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, file).unwrap();
        std::fs::create_dir(folder.path().join("policy")).unwrap();
        std::fs::write(folder.path().join("policy/a.toml"), policy).unwrap();
        let sources = Sources {
            file: path.clone(),
            policy_dir: Some(folder.path().join("policy")),
            environment: vec![("SEACAT_PROXY_LOG_LEVEL".into(), "debug".into())],
            ..Sources::default()
        };
        let loaded = load(&sources).unwrap();
        (check(&path, &loaded, &change(values), &[]), folder)
    }

    fn codes(notes: &[Note]) -> Vec<(&str, NoteCode)> {
        notes.iter().map(|it| (it.field.as_str(), it.code)).collect()
    }

    #[test]
    fn each_kind_of_problem_has_its_field_and_code() {
        let said = |file: &str, policy: &str, values: Json| looked_at(file, policy, &values).0;
        let checked =
            said("", "[proxy]\nport = 4000\n", json!({ "proxy.port": 1, "proxy.prot": 1 }));
        assert_eq!(
            codes(&checked.problems),
            [("proxy.port", NoteCode::Locked), ("proxy.prot", NoteCode::Unknown)]
        );
        let checked = said("", "", json!({ "proxy.listen": ["0.0.0.0"] }));
        assert_eq!(codes(&checked.problems), [("", NoteCode::Conflict)]);
        let ca = json!([{ "host": "gw", "ca_file": native_path("/does/not/exist") }]);
        let checked = said("", "", json!({ "gateway": ca }));
        assert_eq!(codes(&checked.problems), [("gateway.0.ca_file", NoteCode::File)]);
        let checked = said("", "", json!({ "log.level": "info" }));
        assert_eq!(codes(&checked.advice), [("log.level", NoteCode::Overridden)]);
        let two = json!([{ "host": "gw" }, { "host": "b", "port": 80 }]);
        let checked = said("", "", json!({ "gateway": two }));
        assert_eq!(
            codes(&checked.advice),
            [
                ("gateway.0.port", NoteCode::Reachability),
                ("gateway.1.port", NoteCode::Reachability)
            ]
        );
        assert_eq!(checked.advice[1].params["reachability"], "67");
        assert!(checked.problems.is_empty(), "{:?}", checked.problems);
    }

    #[test]
    fn a_port_that_others_have_is_named_with_its_owner() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let values = json!({ "proxy.port": port.to_string() });
        let (checked, _folder) = looked_at("", "", &values);
        assert_eq!(codes(&checked.problems), [("proxy.port", NoteCode::PortTaken)]);
        let note = &checked.problems[0];
        assert!(note.params.contains_key("free"), "{note:?}");
        // Not every system names the process.
        let is_named = note.message.contains("process");
        assert!(is_named || !cfg!(target_os = "linux"), "{note:?}");
    }
}
