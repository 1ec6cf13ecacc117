//! The settings in effect, for forms.

use seacat_channel::identity::{FACTS, day, gather_facts};
use seacat_channel::probe::look_at_roots;

use super::typed::reachability_of;
use super::{
    AuthorityView, CharacteristicView, FieldView, Note, NoteCode, OriginView, SettingsView,
};
use crate::config::apply;
use crate::config::schema::{Config, Gateway};
use crate::config::settings::SETTINGS;
use crate::config::{Loaded, Origin};

/// What is in effect by `loaded`.
#[must_use]
pub fn view(loaded: &Loaded, file: &std::path::Path, autostart: Option<bool>) -> SettingsView {
    let config = &loaded.config;
    let field = |setting: &crate::config::settings::Setting<Config>| {
        let origin = loaded.origin(setting.key);
        FieldView {
            value: setting.json(config),
            origin: kind(&origin),
            from: origin.to_string(),
            locked: origin.is_locked(),
        }
    };
    SettingsView {
        file: file.display().to_string(),
        values: SETTINGS.iter().map(|it| (it.key.to_owned(), field(it))).collect(),
        authorities: authorities(&config.gateways),
        characteristics: characteristics(config),
        autostart,
        advice: advice(loaded),
    }
}

fn kind(origin: &Origin) -> OriginView {
    match origin {
        Origin::Default => OriginView::Default,
        Origin::File { .. } => OriginView::File,
        Origin::Environment(_) => OriginView::Environment,
        Origin::CommandLine(_) => OriginView::CommandLine,
        Origin::Policy { .. } => OriginView::Policy,
    }
}

fn advice(loaded: &Loaded) -> Vec<Note> {
    let overridden = SETTINGS.iter().filter_map(|setting| {
        let origin = loaded.origin(setting.key);
        overridden(setting.key, &origin)
    });
    overridden.chain(reachability_of(&loaded.config.gateways)).collect()
}

/// A change in the file has no effect while something else wins.
pub(super) fn overridden(key: &str, origin: &Origin) -> Option<Note> {
    match origin {
        Origin::Environment(_) | Origin::CommandLine(_) => {
            let message = format!("is set by {origin}, which wins over the file");
            Some(Note::new(key, NoteCode::Overridden, message).with("from", origin))
        }
        _ => None,
    }
}

/// Who may issue each gateway's certificate.
pub(super) fn authorities(gateways: &[Gateway]) -> Vec<Option<AuthorityView>> {
    let of = |gateway| match look_at_roots(&apply::gateway(gateway).trust.roots) {
        Ok(None) => None,
        Ok(Some((seen, certificates))) => Some(AuthorityView {
            subject: seen.subject,
            fingerprint: seen.fingerprint,
            words: seen.words,
            valid_until: day(seen.not_after),
            certificates,
            problem: None,
        }),
        Err(error) => Some(AuthorityView {
            subject: String::new(),
            fingerprint: String::new(),
            words: String::new(),
            valid_until: String::new(),
            certificates: 0,
            problem: Some(error.to_string()),
        }),
    };
    gateways.iter().map(of).collect()
}

fn characteristics(config: &Config) -> Vec<CharacteristicView> {
    let all: Vec<String> = FACTS.iter().map(|(key, _)| (*key).to_owned()).collect();
    let application = config.identity.subject.application.as_deref();
    let said = gather_facts(&all, application, env!("CARGO_PKG_VERSION"));
    let value = |key: &str| said.iter().find(|(it, _)| it == key).map(|(_, value)| value.clone());
    let one = |(key, meaning): &(&str, &str)| CharacteristicView {
        key: (*key).to_owned(),
        meaning: (*meaning).to_owned(),
        value: value(key),
    };
    FACTS.iter().map(one).collect()
}
