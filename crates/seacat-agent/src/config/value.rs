//! From a TOML value to a type that cannot be wrong, and back.
//!
//! Each reader says in its message what would have been right. A [`Fault`] carries the span of the
//! value inside its file, so that a message can stand under the very characters.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use toml_edit::{Array, InlineTable, Value};

use super::settings::Setting;

/// A value that was refused.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Which bytes of the file, when the value came from one.
    pub(crate) span: Option<Range<usize>>,
    /// What is wrong and what would be right.
    pub(crate) message: String,
}

/// What a reader of one value returns.
pub(crate) type Read<T> = Result<T, Vec<Fault>>;

/// Refuses `value` with a message.
pub(crate) fn refuse<T>(value: &Value, message: impl Into<String>) -> Read<T> {
    Err(vec![Fault { span: value.span(), message: message.into() }])
}

/// Stores what a reader read.
pub(crate) fn put<T>(slot: &mut T, read: Read<T>) -> Read<()> {
    *slot = read?;
    Ok(())
}

/// How a value is called in messages.
fn kind(value: &Value) -> String {
    match value {
        Value::String(text) if text.value().len() <= 40 => format!("\"{}\"", text.value()),
        Value::String(_) => "this text".to_owned(),
        Value::Integer(number) => number.value().to_string(),
        Value::Boolean(yes) => yes.value().to_string(),
        other => format!("a value of type {}", other.type_name()),
    }
}

/// `true` or `false`.
pub(crate) fn boolean(value: &Value) -> Read<bool> {
    match value.as_bool() {
        Some(yes) => Ok(yes),
        None => refuse(value, format!("must be true or false, not {}", kind(value))),
    }
}

/// A whole number in a range.
pub(crate) fn number(value: &Value, allowed: std::ops::RangeInclusive<u32>) -> Read<u32> {
    let read =
        value.as_integer().and_then(|n| u32::try_from(n).ok()).filter(|n| allowed.contains(n));
    match read {
        Some(number) => Ok(number),
        None => refuse(
            value,
            format!(
                "must be a whole number from {} to {}, not {}",
                allowed.start(),
                allowed.end(),
                kind(value)
            ),
        ),
    }
}

/// A port number from `lowest` to 65535.
pub(crate) fn port(value: &Value, lowest: u16) -> Read<u16> {
    match value.as_integer().and_then(|n| u16::try_from(n).ok()).filter(|n| *n >= lowest) {
        Some(port) => Ok(port),
        None => refuse(
            value,
            format!("must be a port number from {lowest} to 65535, not {}", kind(value)),
        ),
    }
}

/// Text that is not empty and holds no control character.
pub(crate) fn text(value: &Value, what: &str) -> Read<String> {
    match value.as_str() {
        Some(text) if !text.trim().is_empty() && !text.chars().any(char::is_control) => {
            Ok(text.to_owned())
        }
        Some(_) => {
            refuse(value, format!("must be {what}, and neither empty nor with control characters"))
        }
        None => refuse(value, format!("must be {what} in quotes, not {}", kind(value))),
    }
}

/// A host name or an IP address, without a port.
pub(crate) fn host(value: &Value) -> Read<String> {
    let name = text(value, "a host name")?;
    if is_host(&name) {
        Ok(name)
    } else {
        refuse(value, format!("\"{name}\" is not a host name or an IP address"))
    }
}

/// Whether `name` can be a host: an IP address, or labels of letters, digits, `-` and `_` of at most
/// 63 characters, 253 in all (RFC 1123 section 2.1; `_` because real networks have it).
pub(crate) fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.parse::<IpAddr>().is_ok()
        || (name.len() <= 253 && name.strip_suffix('.').unwrap_or(name).split('.').all(is_label))
}

/// A path from the root. A relative one would mean another file in another folder.
pub(crate) fn path(value: &Value) -> Read<PathBuf> {
    let path = PathBuf::from(text(value, "the path of a file")?);
    if path.is_absolute() {
        Ok(path)
    } else {
        refuse(value, format!("must be an absolute path, not {}", path.display()))
    }
}

/// One IP address.
pub(crate) fn address(value: &Value) -> Read<IpAddr> {
    match value.as_str().and_then(|text| text.parse().ok()) {
        Some(address) => Ok(address),
        None => refuse(value, format!("must be an IP address in quotes, not {}", kind(value))),
    }
}

/// IP addresses: an array of texts, or one text with commas.
pub(crate) fn addresses(value: &Value) -> Read<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    for (item, text) in texts(value, "IP addresses")? {
        match text.parse() {
            Ok(address) if addresses.contains(&address) => {
                return refuse(item, format!("{address} is listed twice"));
            }
            Ok(address) => addresses.push(address),
            Err(_) => return refuse(item, format!("\"{text}\" is not an IP address")),
        }
    }
    if addresses.is_empty() {
        return refuse(value, "must name at least one IP address");
    }
    Ok(addresses)
}

/// The texts in an array, or in one text with commas, each with the value it stands in.
pub(crate) fn texts<'a>(value: &'a Value, what: &str) -> Read<Vec<(&'a Value, &'a str)>> {
    match value {
        Value::String(line) => Ok(line.value().split(',').map(|t| (value, t.trim())).collect()),
        Value::Array(items) => {
            let mut texts = Vec::new();
            for item in items {
                match item.as_str() {
                    Some(text) => texts.push((item, text)),
                    None => {
                        return refuse(
                            item,
                            format!("must be a text in quotes, not {}", kind(item)),
                        );
                    }
                }
            }
            Ok(texts)
        }
        other => refuse(other, format!("must be a list of {what}, not {}", kind(other))),
    }
}

/// User names and ids. Whether a name exists is for the computer that uses it to say.
pub(crate) fn users(value: &Value) -> Read<Vec<String>> {
    let mut users = Vec::new();
    for (item, text) in texts(value, "user names")?.into_iter().filter(|(_, text)| !text.is_empty())
    {
        // What passwd(5) and the command line could not tell apart.
        if text.contains(|c: char| c == ':' || c.is_whitespace() || c.is_control()) {
            return refuse(item, format!("{text:?} is not a user name or id"));
        }
        users.push(text.to_owned());
    }
    Ok(users)
}

/// An address with a port; a bare port means 127.0.0.1.
pub(crate) fn socket_address(value: &Value) -> Read<SocketAddr> {
    if value.is_integer() {
        return Ok(SocketAddr::from(([127, 0, 0, 1], port(value, 1)?)));
    }
    match value.as_str().and_then(|text| text.parse::<SocketAddr>().ok()) {
        Some(address) if address.port() != 0 => Ok(address),
        _ => refuse(value, "must be a port, or an address with a port such as \"127.0.0.1:8081\""),
    }
}

/// The port of DNS.
const DNS_PORT: u16 = 53;

/// Name servers: IP addresses, each with a port or on the usual one.
pub(crate) fn name_servers(value: &Value) -> Read<Vec<SocketAddr>> {
    let mut servers = Vec::new();
    for (item, text) in texts(value, "IP addresses")? {
        let address = text.parse::<SocketAddr>();
        match address.or_else(|_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, DNS_PORT))) {
            Ok(server) if server.port() != 0 => servers.push(server),
            _ if text.is_empty() => {}
            _ => {
                return refuse(
                    item,
                    format!("\"{text}\" is not an IP address, or one with a port"),
                );
            }
        }
    }
    Ok(servers)
}

/// One of a few words.
pub(crate) fn word<T: Copy>(value: &Value, words: &[(&str, T)]) -> Read<T> {
    let found = value.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
    match found {
        Some((_, meaning)) => Ok(*meaning),
        None => {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let hint = value
                .as_str()
                .and_then(|text| nearest(text, known.iter().copied()))
                .map_or(String::new(), |word| format!("; did you mean \"{word}\"?"));
            refuse(value, format!("must be one of {}, not {}{hint}", known.join(", "), kind(value)))
        }
    }
}

/// A length of time such as "500ms", "10s", "5min", "2h"; a bare number means seconds.
pub(crate) fn duration(
    value: &Value,
    allowed: std::ops::RangeInclusive<Duration>,
) -> Read<Duration> {
    let read = match value {
        Value::Integer(seconds) => u64::try_from(*seconds.value()).ok().map(Duration::from_secs),
        Value::String(text) => parse_duration(text.value()),
        _ => None,
    };
    match read {
        Some(duration) if allowed.contains(&duration) => Ok(duration),
        _ => refuse(
            value,
            format!(
                "must be a time from {} to {} such as \"10s\", \"500ms\" or \"5min\", not {}",
                show_duration(*allowed.start()),
                show_duration(*allowed.end()),
                kind(value)
            ),
        ),
    }
}

/// Units of time, longest first.
const TIME_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)];

fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    let (_, millis) = TIME_UNITS.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*millis).map(Duration::from_millis)
}

/// The shortest exact way to write a time of whole milliseconds.
pub(crate) fn show_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let exact = TIME_UNITS.iter().find(|(_, unit)| millis > 0 && millis.is_multiple_of(*unit));
    match exact {
        Some((name, unit)) => format!("{}{name}", millis / unit),
        None => format!("{millis}ms"),
    }
}

/// An amount of bytes such as "512KiB" or "10MiB"; a bare number means bytes.
pub(crate) fn size(value: &Value, allowed: std::ops::RangeInclusive<u64>) -> Read<u64> {
    let read = match value {
        Value::Integer(bytes) => u64::try_from(*bytes.value()).ok(),
        Value::String(text) => parse_size(text.value()),
        _ => None,
    };
    match read {
        Some(bytes) if allowed.contains(&bytes) => Ok(bytes),
        _ => refuse(
            value,
            format!(
                "must be a size from {} to {} such as \"10MiB\", not {}",
                show_size(*allowed.start()),
                show_size(*allowed.end()),
                kind(value)
            ),
        ),
    }
}

/// Units of size, largest first.
const SIZE_UNITS: [(&str, u64); 4] =
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let (_, bytes) = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*bytes)
}

/// The shortest exact way to write a size.
pub(crate) fn show_size(bytes: u64) -> String {
    let exact = SIZE_UNITS.iter().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit));
    exact.map_or_else(|| format!("{bytes}B"), |(name, unit)| format!("{}{name}", bytes / unit))
}

/// "10 s" → (10, "s"): digits, optional space, letters.
fn split_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    Some((text[..digits].parse().ok()?, text[digits..].trim_start()))
}

/// A list of tables, each read with the settings of its kind.
///
/// Where `short` is given, a text with commas (or an array of texts) stands for simple elements.
pub(crate) fn tables<T: Default>(
    value: &Value,
    settings: &[Setting<T>],
    short: fn(&str) -> Result<T, String>,
) -> Read<Vec<T>> {
    let (mut elements, mut faults) = (Vec::new(), Vec::new());
    let mut take = |read: Read<T>| match read {
        Ok(element) => elements.push(element),
        Err(mut found) => faults.append(&mut found),
    };
    let read_short =
        |value: &Value, text: &str| short(text.trim()).or_else(|message| refuse(value, message));
    match value {
        Value::String(line) if line.value().trim().is_empty() => {}
        Value::String(line) => line.value().split(',').for_each(|t| take(read_short(value, t))),
        Value::InlineTable(_) => {
            return refuse(value, "is a list: write its name in [[double]] brackets");
        }
        Value::Array(items) => {
            for item in items {
                take(match item {
                    Value::InlineTable(fields) => table(item, fields, settings),
                    Value::String(text) => read_short(item, text.value()),
                    other => refuse(other, format!("must be a table, not {}", kind(other))),
                });
            }
        }
        other => {
            return refuse(other, format!("must be a list of tables, not {}", kind(other)));
        }
    }
    if faults.is_empty() { Ok(elements) } else { Err(faults) }
}

/// A table inside an element.
pub(crate) fn inner_table<T: Default>(value: &Value, settings: &[Setting<T>]) -> Read<T> {
    match value {
        Value::InlineTable(fields) => table(value, fields, settings),
        other => refuse(other, format!("must be a table, not {}", kind(other))),
    }
}

/// One table: every key known, every value right, every required key there.
fn table<T: Default>(whole: &Value, fields: &InlineTable, settings: &[Setting<T>]) -> Read<T> {
    let (mut element, mut faults) = (T::default(), Vec::new());
    for (name, value) in fields {
        let read = match settings.iter().find(|setting| setting.key == name) {
            Some(setting) => (setting.set)(&mut element, value),
            None => {
                let span = fields.key(name).and_then(toml_edit::Key::span);
                let message = unknown_key(name, settings.iter().map(|s| s.key));
                Err(vec![Fault { span, message }])
            }
        };
        faults.extend(read.err().into_iter().flatten());
    }
    // A table written under its own heading has no span: its first key stands for it.
    let first_key = || fields.iter().find_map(|(name, _)| fields.key(name)?.span());
    for setting in settings.iter().filter(|s| s.required && !fields.contains_key(s.key)) {
        let message = format!("needs a `{}`: {}", setting.key, setting.takes);
        faults.push(Fault { span: whole.span().or_else(first_key), message });
    }
    if faults.is_empty() { Ok(element) } else { Err(faults) }
}

/// Elements back to an array of inline tables, leaving out what is not set.
pub(crate) fn show_tables<T>(elements: &[T], settings: &[Setting<T>]) -> Value {
    let mut array = Array::new();
    for element in elements {
        array.push(show_table(element, settings));
    }
    Value::Array(array)
}

/// One element as an inline table.
pub(crate) fn show_table<T>(element: &T, settings: &[Setting<T>]) -> InlineTable {
    let mut fields = InlineTable::new();
    for setting in settings {
        if let Some(value) = (setting.get)(element) {
            fields.insert(setting.key, value);
        }
    }
    fields
}

/// The message for a key nobody knows, with the nearest right name.
pub(crate) fn unknown_key<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(name, known.clone()) {
        Some(right) => format!("unknown key `{name}`; did you mean `{right}`?"),
        None => {
            format!("unknown key `{name}`; known here: {}", known.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Below this likeness (0 to 1) a guess would only confuse.
const LIKE_ENOUGH: f64 = 0.7;

/// The most similar known name, if any is similar enough.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|right| (strsim::jaro_winkler(&name.to_lowercase(), right), right))
        .filter(|(likeness, _)| *likeness >= LIKE_ENOUGH)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, right)| right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_shown_alike() {
        for (text, millis) in [
            ("10s", 10_000),
            ("500ms", 500),
            ("5min", 300_000),
            ("2h", 7_200_000),
            ("90 s", 90_000),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
            let shown = show_duration(Duration::from_millis(millis));
            assert_eq!(parse_duration(&shown), Some(Duration::from_millis(millis)), "{shown}");
        }
        for text in ["", "s", "10", "10 parsecs", "-1s", "99999999999999999999h", "1.5s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        assert_eq!(show_duration(Duration::ZERO), "0ms");
    }

    #[test]
    fn sizes_are_read_and_shown_alike() {
        for (text, bytes) in
            [("10MiB", 10 << 20), ("512 KiB", 512 << 10), ("7B", 7), ("2GiB", 2 << 30)]
        {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
            assert_eq!(parse_size(&show_size(bytes)), Some(bytes));
        }
        assert_eq!(parse_size("10MB"), None, "only exact binary units");
    }

    #[test]
    fn hosts_are_told_from_rubbish() {
        for good in [
            "gw",
            "gw.example.com",
            "gw.example.com.",
            "10.0.0.1",
            "::1",
            "a_b.c-d",
            "xn--bcher-kva.example",
        ] {
            assert!(is_host(good), "{good}");
        }
        let long = "a".repeat(64);
        for bad in
            ["", ".", "a..b", "-a", "a-", "a b", "gw:443", "http://gw", "bücher.example", &long]
        {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
