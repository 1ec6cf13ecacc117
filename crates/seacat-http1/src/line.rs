//! One field line, read strictly. Heads of requests and trailers of request bodies use it.

use memchr::memchr;

use crate::syntax::{VALUE, all, is_token, trim};
use crate::violation::{Rule, Violation, refuse};

/// Splits `name ":" OWS value OWS` (RFC 9112 section 5). `first`: it is the first field.
pub(crate) fn split(line: &[u8], first: bool) -> Result<(&[u8], &[u8]), Violation> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return refuse(
            Rule::Syntax,
            if first {
                "A blank stands before the first field."
            } else {
                "A field is folded over two lines."
            },
        );
    }
    let Some(colon) = memchr(b':', line) else {
        return refuse(Rule::Syntax, "A line of the head has no colon.");
    };
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if !is_token(name) {
        return refuse(
            Rule::Syntax,
            if matches!(name.last(), Some(b' ' | b'\t')) {
                "A blank stands between a field name and its colon."
            } else {
                "A field name is not a valid token."
            },
        );
    }
    if !all(VALUE, value) {
        return refuse(Rule::Syntax, "A field value has a control character.");
    }
    Ok((name, trim(value)))
}
