//! The Secret Service of a Linux desktop: GNOME Keyring, KWallet, KeePassXC.
//!
//! Not through `keyring`, which unlocks whatever is locked: each retry would put the dialogue for
//! the password in front of a person again, and a store that hides its entries while it is locked
//! (KeePassXC) would look empty, so that a second key would be made.

use std::collections::HashMap;

use secret_service::blocking::{Item, SecretService};
use secret_service::{EncryptionType, Error};

use super::keyring::{Ask, KeyringError, LABEL, SERVICE};
use crate::identity::key::PrivateKey;

pub(super) fn get(id: &str, ask: &mut Ask) -> Result<Option<PrivateKey>, KeyringError> {
    let service = connect()?;
    let found = unlocked(&service, id, ask)?;
    match &found[..] {
        [] => Ok(None),
        [item] => Ok(Some(PrivateKey::from_pkcs8(item.get_secret().map_err(explain)?))),
        _ => Err(KeyringError::Unavailable("it holds several keys of this name".to_owned())),
    }
}

pub(super) fn set(id: &str, key: &PrivateKey, ask: &mut Ask) -> Result<(), KeyringError> {
    let service = connect()?;
    unlocked(&service, id, ask)?;
    let collection = service.get_default_collection().map_err(explain)?;
    let kind = "application/octet-stream";
    let created = collection.create_item(LABEL, attributes(id), key.as_pkcs8(), true, kind);
    created.map(drop).map_err(explain)
}

pub(super) fn delete(id: &str, ask: &mut Ask) -> Result<(), KeyringError> {
    let service = connect()?;
    unlocked(&service, id, ask)?.iter().try_for_each(Item::delete).map_err(explain)
}

/// What travels over the bus is encrypted.
fn connect() -> Result<SecretService<'static>, KeyringError> {
    SecretService::connect(EncryptionType::Dh).map_err(explain)
}

fn attributes(id: &str) -> HashMap<&str, &str> {
    HashMap::from([("service", SERVICE), ("username", id)])
}

/// The entries of this name, once they can be read. Asks for the password when it may.
fn unlocked<'a>(
    service: &'a SecretService<'static>,
    id: &str,
    ask: &mut Ask,
) -> Result<Vec<Item<'a>>, KeyringError> {
    let search = || service.search_items(attributes(id)).map_err(explain);
    let found = search()?;
    if !found.unlocked.is_empty() {
        return Ok(found.unlocked);
    }
    let default = service.get_default_collection().map_err(explain)?;
    if found.locked.is_empty() && !default.is_locked().map_err(explain)? {
        return Ok(Vec::new());
    }
    if !ask.may() {
        return Err(KeyringError::Locked);
    }
    match found.locked.iter().collect::<Vec<_>>().as_slice() {
        [] => default.unlock(),
        items => service.unlock_all(items),
    }
    .map_err(explain)?;
    let found = search()?;
    if found.locked.is_empty() { Ok(found.unlocked) } else { Err(KeyringError::Locked) }
}

fn explain(error: Error) -> KeyringError {
    let none = || "there is no session bus".to_owned();
    KeyringError::Unavailable(match error {
        Error::Locked | Error::Prompt | Error::PromptDisconnected => return KeyringError::Locked,
        Error::NoResult => "it has no default keyring".to_owned(),
        Error::Unavailable | Error::Zbus(zbus::Error::Connection(..)) => none(),
        Error::Zbus(zbus::Error::MethodError(name, ..)) if is_nobody(&name) => {
            "no Secret Service is running in this session".to_owned()
        }
        other => other.to_string(),
    })
}

/// The bus knows nobody who could answer.
fn is_nobody(name: &str) -> bool {
    ["ServiceUnknown", "NameHasNoOwner"].iter().any(|it| name.ends_with(it))
}
