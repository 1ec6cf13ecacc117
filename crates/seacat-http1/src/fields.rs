//! The fields of one head: a flat list in the order they came.
//!
//! A head has about ten fields and is asked for as many names. Comparing lengths first finds
//! them in fewer instructions than a hash map needs to be filled, and all text is one piece of
//! memory.

use std::fmt;

use crate::syntax::{VALUE, all, is_token};
use crate::violation::{Rule, Violation, refuse};

/// Names and values as they came. Names keep their spelling and are compared without regard to
/// case.
#[derive(Clone, Default)]
pub struct Fields {
    text: Vec<u8>,
    list: Vec<Span>,
}

/// Where in the text a field is.
#[derive(Clone, Copy)]
struct Span {
    name: (u32, u32),
    value: (u32, u32),
}

impl Fields {
    /// Room for so many fields of so many bytes.
    #[must_use]
    pub fn with_capacity(fields: usize, bytes: usize) -> Self {
        Fields { text: Vec::with_capacity(bytes), list: Vec::with_capacity(fields) }
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds a field behind all others. Nothing is checked: for names and values that were read
    /// by a reader of this crate, or are our own.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        debug_assert!(is_token(name) && all(VALUE, value));
        let name = self.append(name);
        let value = self.append(value);
        self.list.push(Span { name, value });
    }

    /// Adds a field whose name and value come from elsewhere.
    ///
    /// # Errors
    /// The name is not a token, or the value has a control character: written out, it could
    /// become something else.
    pub fn push_checked(&mut self, name: &[u8], value: &[u8]) -> Result<(), Violation> {
        if !is_token(name) {
            return refuse(Rule::Syntax, "A field name is not a valid token.");
        }
        if !all(VALUE, value) {
            return refuse(Rule::Syntax, "A field value has a control character.");
        }
        self.push(name, value);
        Ok(())
    }

    /// Adds text to the value of the last field, after one space: a folded line (RFC 9112
    /// section 5.2).
    pub(crate) fn unfold(&mut self, text: &[u8]) {
        let Some(last) = self.list.last_mut() else { return };
        if last.value.0 < last.value.1 && !text.is_empty() {
            self.text.push(b' ');
        }
        self.text.extend_from_slice(text);
        last.value.1 = self.text.len() as u32;
    }

    fn append(&mut self, text: &[u8]) -> (u32, u32) {
        let start = self.text.len();
        self.text.extend_from_slice(text);
        // The readers take heads of 64 KiB at most, a frame has 16 KiB.
        (start as u32, self.text.len() as u32)
    }

    /// All fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.list.iter().map(|span| (at(&self.text, span.name), at(&self.text, span.value)))
    }

    /// The values of all fields of this name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.iter().filter(move |(it, _)| is(it, name)).map(|(_, value)| value)
    }

    /// The value of the first field of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// Whether there is a field of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether a field of this name lists `token` (RFC 9110 section 5.6.1).
    #[must_use]
    pub fn lists(&self, name: &str, token: &[u8]) -> bool {
        self.all(name).any(|value| crate::syntax::lists(value, token))
    }

    /// Takes all fields of this name off.
    pub fn remove(&mut self, name: &str) {
        self.retain(|it, _| !is(it, name));
    }

    /// Removes the fields for which `keep` is false.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8], &[u8]) -> bool) {
        let text = &self.text;
        self.list.retain(|span| keep(at(text, span.name), at(text, span.value)));
    }

    /// One field of this name, in place of all others.
    pub fn set(&mut self, name: &str, value: &[u8]) {
        self.remove(name);
        self.push(name.as_bytes(), value);
    }
}

fn at(text: &[u8], (start, end): (u32, u32)) -> &[u8] {
    &text[start as usize..end as usize]
}

/// Whether a field's name is this one.
#[inline]
#[must_use]
pub fn is(name: &[u8], known: &str) -> bool {
    // Nearly all names differ in length, and a request looks a dozen up.
    name.len() == known.len() && name.eq_ignore_ascii_case(known.as_bytes())
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
    fn fields_keep_order_and_spelling_and_are_found_in_any_case() {
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
    }

    #[test]
    fn what_would_break_a_head_is_not_taken() {
        let mut fields = Fields::default();
        let cases: [(&[u8], &[u8]); 6] = [
            (b"", b"1"),
            (b"X A", b"1"),
            (b"X\r\nB", b"1"),
            (b"X", b"1\r\nSet-Cookie: a"),
            (b"X", b"1\nb"),
            (b"X", b"\0"),
        ];
        for (name, value) in cases {
            assert!(fields.push_checked(name, value).is_err(), "{name:?} {value:?}");
        }
        assert!(fields.is_empty());
        fields.push_checked(b"X", "é\t".as_bytes()).unwrap();
        assert_eq!(fields.len(), 1);
    }

    #[test]
    fn a_folded_line_joins_the_value_before_it() {
        let mut fields: Fields = [("A", "1"), ("B", "")].into_iter().collect();
        fields.unfold(b"2");
        fields.unfold(b"");
        fields.unfold(b"3");
        assert_eq!(fields.get("b"), Some(&b"2 3"[..]));
        assert_eq!(fields.get("a"), Some(&b"1"[..]));
    }
}
