//! The fields of one head: a flat list in the order they came.
//!
//! A head has about ten fields and is asked for as many names. Comparing lengths first finds them in
//! fewer instructions than a hash map needs to be filled, and all text is one piece of memory.

use std::fmt;

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Names and values as they came; names are compared without regard to case.
#[derive(Clone, Default)]
pub(crate) struct Fields {
    text: Vec<u8>,
    list: Vec<Place>,
}

/// Where in the text a field is.
#[derive(Clone, Copy)]
struct Place {
    name: (u32, u32),
    value: (u32, u32),
}

impl Fields {
    /// Room for so many fields of so many bytes.
    pub(crate) fn with_capacity(fields: usize, bytes: usize) -> Self {
        Fields { text: Vec::with_capacity(bytes), list: Vec::with_capacity(fields) }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Adds a field behind all others.
    pub(crate) fn push(&mut self, name: &[u8], value: &[u8]) {
        let name = self.append(name);
        let value = self.append(value);
        self.list.push(Place { name, value });
    }

    fn append(&mut self, text: &[u8]) -> (u32, u32) {
        let start = self.text.len();
        self.text.extend_from_slice(text);
        // A head is 400 KiB at most: hyper's limit for answers of the direct route.
        (start as u32, self.text.len() as u32)
    }

    /// All fields in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.list.iter().map(|place| (at(&self.text, place.name), at(&self.text, place.value)))
    }

    /// The values of all fields of this name.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.iter().filter(move |(it, _)| is(it, name)).map(|(_, value)| value)
    }

    /// The value of the first field of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Takes all fields of this name off.
    pub(crate) fn remove(&mut self, name: &str) {
        self.list.retain(|place| !is(at(&self.text, place.name), name));
    }

    /// One field of this name, in place of all others.
    pub(crate) fn set(&mut self, name: &str, value: &[u8]) {
        self.remove(name);
        self.push(name.as_bytes(), value);
    }

    /// As hyper wants them. What is not valid is left out: readers of ours let nothing such in.
    pub(crate) fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.len());
        for (name, value) in self.iter() {
            let name = HeaderName::from_bytes(name);
            let value = HeaderValue::from_bytes(value);
            debug_assert!(name.is_ok() && value.is_ok());
            if let (Ok(name), Ok(value)) = (name, value) {
                map.append(name, value);
            }
        }
        map
    }
}

fn at(text: &[u8], (start, end): (u32, u32)) -> &[u8] {
    &text[start as usize..end as usize]
}

/// Whether a field's name is this one.
pub(crate) fn is(name: &[u8], known: &str) -> bool {
    name.eq_ignore_ascii_case(known.as_bytes())
}

impl From<&HeaderMap> for Fields {
    fn from(map: &HeaderMap) -> Self {
        let mut fields = Fields::with_capacity(map.len() + 1, 512);
        for (name, value) in map {
            fields.push(name.as_str().as_bytes(), value.as_bytes());
        }
        fields
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        fields.into_iter().fold(Fields::default(), |mut list, (name, value)| {
            list.push(name.as_ref(), value.as_ref());
            list
        })
    }
}

/// Names alone: values carry secrets.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|(name, _)| name.escape_ascii().to_string()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_are_found_in_any_case() {
        let mut fields: Fields =
            [("A", "1"), ("Cookie", "x"), ("a", ""), ("Cookie", "y")].into_iter().collect();
        assert_eq!(fields.all("cookie").collect::<Vec<_>>(), [b"x", b"y"]);
        assert_eq!((fields.get("A"), fields.get("b")), (Some(&b"1"[..]), None));
        fields.set("cookie", b"z");
        let all: Vec<_> = fields.iter().collect();
        assert_eq!(all, [(&b"A"[..], &b"1"[..]), (b"a", b""), (b"cookie", b"z")]);
        assert_eq!(format!("{fields:?}"), r#"["A", "a", "cookie"]"#);
        fields.remove("A");
        assert!(!fields.contains("a") && fields.len() == 1);
        assert_eq!(fields.to_map()["cookie"], "z");
        assert_eq!(Fields::from(&fields.to_map()).get("Cookie"), Some(&b"z"[..]));
    }
}
