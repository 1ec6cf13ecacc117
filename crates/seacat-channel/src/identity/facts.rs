//! What is told about this computer, unless the user trims it (wire specification, section 3.6).

use ring::digest::{SHA256, digest};

use crate::discovery::Discovery;

/// Every fact there is: its key on the wire, and what it is for people.
pub const FACTS: [(&str, &str); 9] = [
    ("apI", "the application's id"),
    ("apP", "the application's platform"),
    ("apS", "what tells its installations apart"),
    ("ccV", "the version of this program"),
    ("osh", "the name of this computer"),
    ("osm", "its processor"),
    ("osr", "the version of its system"),
    ("oss", "its system"),
    ("osv", "the build of its system"),
];

/// The facts that are about the application: known where a gateway is discovered by them.
pub const APPLICATION_FACTS: [&str; 3] = ["apI", "apP", "apS"];

/// The facts with these keys, as far as this computer has them.
#[must_use]
pub fn gather(keys: &[String], application: Option<&str>, version: &str) -> Vec<(String, String)> {
    let known = |key: &str| match key {
        "apI" => application.map(str::to_owned),
        "ccV" => Some(format!("seacat-proxy/{version}")),
        "osh" => computer_name(),
        "osm" => Some(std::env::consts::ARCH.to_owned()),
        "osr" => system_file("/proc/sys/kernel/osrelease"),
        "oss" => Some(
            system_file("/proc/sys/kernel/ostype")
                .unwrap_or_else(|| std::env::consts::OS.to_owned()),
        ),
        "osv" => system_file("/proc/sys/kernel/version"),
        _ => None,
    };
    let wanted = FACTS.iter().filter(|(key, _)| keys.iter().any(|it| it == key));
    wanted.filter_map(|(key, _)| Some(((*key).to_owned(), known(key)?))).collect()
}

/// What a discovered gateway is told about the application, of the facts with these keys.
pub(crate) fn of_application(discovery: &Discovery, keys: &[String]) -> Vec<(String, String)> {
    let known = |key: &str| match key {
        "apI" => Some(discovery.app_id.clone()),
        "apP" => Some(discovery.platform.clone()),
        // With its dash, as the reference client has it.
        "apS" => Some(discovery.suffix.as_ref().map(|it| format!("-{it}")).unwrap_or_default()),
        _ => None,
    };
    keys.iter().filter_map(|key| Some((key.clone(), known(key)?))).collect()
}

fn computer_name() -> Option<String> {
    system_file("/proc/sys/kernel/hostname")
        .or_else(|| ["COMPUTERNAME", "HOSTNAME"].iter().find_map(|name| std::env::var(name).ok()))
}

fn system_file(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let text: String = text.trim().chars().filter(|c| !c.is_control()).collect();
    (!text.is_empty()).then_some(text)
}

/// By which a change is noticed.
pub(crate) fn fingerprint(facts: &[(String, String)]) -> String {
    let text: String = facts.iter().map(|(key, value)| format!("{key}\u{1f}{value}\0")).collect();
    let digest = digest(&SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
