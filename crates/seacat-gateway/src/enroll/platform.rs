//! The layer of the reference client. It matters for the end of a response: the Python layer
//! ignores FIN on SYN_REPLY, the Android and iOS layers require it there (wire specification,
//! sections 3.2 and 3.3).

use super::record::{Facts, Record};

/// The hash in an application's label, in hexadecimal digits (wire specification, section 5.1).
const HASH: usize = 32;
/// The platform's code behind it.
const CODE: usize = 3;

/// Whether a client accepts FIN on the head of a response. A client of unknown platform is treated
/// as the Python layer.
pub(super) fn ends_on_head(platform: Option<&str>) -> bool {
    platform.is_some_and(|it| !it.is_empty() && !it.starts_with("py"))
}

/// The platform that the characteristics name.
pub(super) fn of_facts(facts: &Facts) -> Option<&str> {
    facts.items.get("apP").map(String::as_str)
}

/// The platform in an application's label: the hash, three letters, and perhaps a suffix.
pub(super) fn of_label(label: &str) -> Option<&str> {
    let rest = label.get(HASH..)?;
    let (code, suffix) = (rest.get(..CODE)?, &rest[CODE..]);
    (suffix.is_empty() || suffix.starts_with('-')).then_some(code)
}

/// Whether a client on record accepts FIN on the head of a response.
pub(super) fn record_ends_on_head(record: &Record) -> bool {
    let label = record.about().application;
    let facts = record.characteristics.as_ref().and_then(of_facts);
    ends_on_head(facts.or_else(|| label.as_deref().and_then(of_label)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_and_their_ends() {
        let hash = "fcb8e55c185661e4fbc087688c1bb717";
        for (label, platform, on_head) in [
            (format!("{hash}py3-tst1"), Some("py3"), false),
            (format!("{hash}and"), Some("and"), true),
            (format!("{hash}ios-x"), Some("ios"), true),
            (format!("{hash}andx"), None, false),
            (hash.to_owned(), None, false),
            ("short".to_owned(), None, false),
            (format!("{}ž", "a".repeat(31)), None, false),
        ] {
            assert_eq!(of_label(&label), platform, "{label}");
            assert_eq!(ends_on_head(platform), on_head, "{label}");
        }
    }
}
