//! The administrator's commands. They read and change the records of a gateway's clients. The
//! gateway may be running; it detects the changes.

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use httpdate::fmt_http_date;
use seacat_gateway::config::{Identities, StateAt};
use seacat_gateway::enroll::{AdminError, Record, State, Store};
use seacat_gateway::{ClientId, ClientName, Config};

use crate::Outcome;

/// Lists the clients that wait for approval, oldest first, with everything they sent about
/// themselves. Revoked clients that have asked again are included.
pub(crate) fn pending(config: &Path) -> Outcome {
    let mut waiting = read(&open(config)?)?;
    waiting.retain(|(_, record)| waits_since(record).is_some());
    waiting.sort_by_key(|(_, record)| waits_since(record));
    let mut out = io::stdout().lock();
    if waiting.is_empty() {
        writeln!(out, "no client waits for approval")?;
    }
    for (id, record) in waiting {
        let about = record.about();
        writeln!(out, "{}  {}", id.tag(), plain(&about.subject))?;
        if let Some(since) = waits_since(&record) {
            writeln!(out, "    since        {} ({})", fmt_http_date(since), age(since))?;
        }
        if let Some(address) = record.address() {
            writeln!(out, "    address      {address}")?;
        }
        if record.state() == State::Revoked {
            writeln!(out, "    REVOKED      {}", fmt_http_date(record.since()))?;
        }
        for email in &about.emails {
            writeln!(out, "    e-mail       {}", plain(email))?;
        }
        if let Some(application) = &about.application {
            writeln!(out, "    application  {}", plain(application))?;
        }
        for (key, value) in record.characteristics() {
            writeln!(out, "    {:12} {}", label(key), plain(value))?;
        }
        writeln!(out, "    client id    {id}")?;
    }
    Ok(())
}

/// The label of a characteristic (wire spec 3.6). An unknown one is printed with its key.
fn label(key: &str) -> String {
    match key {
        "apI" => "label".to_owned(),
        "ccV" => "version".to_owned(),
        "osh" => "computer".to_owned(),
        "osm" => "processor".to_owned(),
        "osr" => "OS release".to_owned(),
        "oss" => "OS".to_owned(),
        unknown => plain(unknown),
    }
}

fn waits_since(record: &Record) -> Option<SystemTime> {
    match record.state() {
        State::Pending => Some(record.since()),
        _ => record.asks_again(),
    }
}

/// Lists all clients, one a line.
pub(crate) fn clients(config: &Path) -> Outcome {
    let mut out = io::stdout().lock();
    let clients = read(&open(config)?)?;
    if clients.is_empty() {
        writeln!(out, "there are no clients")?;
    }
    for (id, record) in clients {
        let (state, subject) = (standing(&record), record.about().subject);
        writeln!(out, "{}  {state:44}  {}", id.tag(), plain(&subject))?;
    }
    Ok(())
}

fn standing(record: &Record) -> String {
    let since = || fmt_http_date(record.since());
    match (record.state(), record.until()) {
        (State::Issued, Some(until)) if until > SystemTime::now() => {
            format!("enrolled until {}", fmt_http_date(until))
        }
        (State::Issued, Some(until)) => format!("expired {}", fmt_http_date(until)),
        (state, _) => format!("{} {}", state.as_str(), since()),
    }
}

/// Approves a client.
pub(crate) fn approve(config: &Path, name: &ClientName) -> Outcome {
    let operation = |store: &Store, id: &ClientId| store.approve(id);
    change(config, name, "approved", operation)
}

/// Rejects a client that waits for approval.
pub(crate) fn reject(config: &Path, name: &ClientName) -> Outcome {
    let operation = |store: &Store, id: &ClientId| store.reject(id);
    change(config, name, "rejected", operation)
}

/// Revokes a client's certificates.
pub(crate) fn revoke(config: &Path, name: &ClientName) -> Outcome {
    let operation = |store: &Store, id: &ClientId| store.revoke(id);
    change(config, name, "revoked", operation)
}

/// Deletes a client's record.
pub(crate) fn forget(config: &Path, name: &ClientName) -> Outcome {
    let store = open(config)?;
    let id = store.find(name)?;
    store.forget(&id)?;
    writeln!(io::stdout(), "forgotten: {}", id.tag())?;
    Ok(())
}

/// Deletes the records of clients that wait for approval: those that have waited longer than
/// `older_than`, those at this address, or those that match both.
pub(crate) fn forget_pending(
    config: &Path,
    older_than: Option<Duration>,
    address: Option<IpAddr>,
) -> Outcome {
    let store = open(config)?;
    let now = SystemTime::now();
    let forgotten = store.forget_pending(|record| {
        let waited = now.duration_since(record.since()).unwrap_or_default();
        older_than.is_none_or(|age| waited > age)
            && address.is_none_or(|address| record.address() == Some(address))
    })?;
    let mut out = io::stdout().lock();
    for id in &forgotten {
        writeln!(out, "forgotten: {}", id.tag())?;
    }
    writeln!(out, "{} forgotten", forgotten.len())?;
    Ok(())
}

/// How long ago something was, in its largest unit.
fn age(since: SystemTime) -> String {
    let seconds = since.elapsed().unwrap_or_default().as_secs();
    match seconds {
        0..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn change(
    config: &Path,
    name: &ClientName,
    done: &str,
    operation: impl Fn(&Store, &ClientId) -> Result<Record, AdminError>,
) -> Outcome {
    let store = open(config)?;
    let id = store.find(name)?;
    let record = operation(&store, &id).map_err(|error| format!("{}: {error}", id.tag()))?;
    let subject = record.about().subject;
    writeln!(io::stdout(), "{done}: {}  {}", id.tag(), plain(&subject))?;
    Ok(())
}

fn open(config: &Path) -> Result<Store, Box<dyn std::error::Error>> {
    let loaded = Config::load(config)?;
    let Identities::Enroll(enroll) = loaded.identities else {
        return Err(
            format!("{}: enrolment is not configured: set [enroll]", config.display()).into()
        );
    };
    match enroll.state {
        StateAt::Memory => Err("this gateway keeps its clients in memory".into()),
        records => Ok(records.open()?),
    }
}

/// All records. A damaged one is logged and skipped.
fn read(store: &Store) -> Result<Vec<(ClientId, Record)>, Box<dyn std::error::Error>> {
    let mut records = Vec::new();
    for id in store.ids()? {
        match store.read(&id) {
            Ok(Some(record)) => records.push((id, record)),
            Ok(None) => {} // deleted meanwhile
            Err(error) => tracing::warn!(%error, "a client's record is skipped"),
        }
    }
    Ok(records)
}

/// Text from a client with control characters removed, so that a terminal does not interpret it.
fn plain(text: &str) -> String {
    text.escape_debug().to_string()
}
