//! The request target in its four forms (RFC 9112 section 3.2).

use http::Method;
use memchr::{memchr, memmem};

use crate::authority::{Authority, split_user_information};
use crate::syntax::{TARGET, all};
use crate::violation::{Rule, Violation, refuse};

/// A valid target. What a client may send and a proxy must not forward is removed: user information
/// (RFC 9110 section 4.2.4) and a fragment (RFC 9110 section 4.2.5). An empty path has become `/`,
/// or `*` for OPTIONS (RFC 9112 section 3.2.4).
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// The authority as typed, if there is one, and then the path and query.
    text: Vec<u8>,
    authority: usize,
    user_information: Option<Box<[u8]>>,
}

impl Target {
    /// Reads the target of a request of `method`.
    ///
    /// # Errors
    /// It is in none of the four forms, or in one that this method does not have.
    pub fn parse(method: &Method, target: &[u8]) -> Result<Self, Violation> {
        if *method == Method::CONNECT {
            return match Authority::parse(target) {
                Some(Authority { port: Some(1..), .. }) => Ok(Self::new(&[target], None)),
                _ => refuse(Rule::Target, "The target of CONNECT is not `host:port`."),
            };
        }
        match target {
            b"*" if *method == Method::OPTIONS => Ok(Self::new(&[b"", b"*"], None)),
            [b'/', ..] => Ok(Self::new(&[b"", checked_path(target)?], None)),
            _ => Self::absolute(method, target),
        }
    }

    fn absolute(method: &Method, target: &[u8]) -> Result<Self, Violation> {
        let Some(scheme_end) = memmem::find(target, b"://") else {
            return refuse(Rule::Target, "The target is neither `http://host/path` nor `/path`.");
        };
        let scheme = &target[..scheme_end];
        if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"ws") {
            return refuse(Rule::Scheme, "The scheme of the target is not http.");
        }
        let rest = &target[scheme_end + 3..];
        let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
        let (whole, path) = rest.split_at(end);
        let (user_information, authority) = split_user_information(whole);
        if Authority::parse(authority).is_none() {
            return refuse(Rule::Target, "The host in the target is not valid.");
        }
        let path = checked_path(path)?;
        let start: &[u8] = match path.first() {
            None if *method == Method::OPTIONS => b"*",
            None | Some(b'?') => b"/",
            Some(_) => b"",
        };
        Ok(Self::new(&[authority, start, path], user_information))
    }

    /// The authority, and the parts of the path.
    fn new(parts: &[&[u8]], user_information: Option<&[u8]>) -> Self {
        let authority = parts.first().map_or(0, |it| it.len());
        Target {
            text: parts.concat(),
            authority,
            user_information: user_information.map(Into::into),
        }
    }

    /// The host and port it names; nothing in origin-form and for `*`.
    #[must_use]
    pub fn authority(&self) -> Option<Authority<'_>> {
        Authority::parse(&self.text[..self.authority])
    }

    /// Path and query, at least `/`; `*` for OPTIONS; nothing for CONNECT.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        &self.text[self.authority..]
    }

    /// `user:password`, as typed before the host, if it was.
    #[must_use]
    pub fn user_information(&self) -> Option<&[u8]> {
        self.user_information.as_deref()
    }
}

/// `path [ "?" query ]` without its fragment.
fn checked_path(text: &[u8]) -> Result<&[u8], Violation> {
    let text = &text[..memchr(b'#', text).unwrap_or(text.len())];
    if all(TARGET, text) {
        Ok(text)
    } else {
        refuse(Rule::Target, "The target has a control character.")
    }
}

impl std::fmt::Debug for Target {
    /// The authority and the path: user information and queries carry secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = memchr(b'?', &self.text).unwrap_or(self.text.len());
        write!(f, "Target({})", self.text[..end].escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: &str, target: &str) -> Result<Target, Violation> {
        Target::parse(&method.parse().unwrap(), target.as_bytes())
    }

    #[test]
    fn targets_lose_what_must_not_travel() {
        for (method, target, authority, path, user) in [
            ("GET", "http://erp.seacat/a?b=c", "erp.seacat", "/a?b=c", None),
            ("GET", "http://ERP", "ERP", "/", None),
            ("GET", "http://erp:8080/", "erp:8080", "/", None),
            ("GET", "http://erp:/x", "erp:", "/x", None),
            ("GET", "http://erp?x=1", "erp", "/?x=1", None),
            ("GET", "HTTP://erp/%7e/../a", "erp", "/%7e/../a", None),
            ("GET", "ws://chat.seacat/live", "chat.seacat", "/live", None),
            ("GET", "http://[::1]:81/a", "[::1]:81", "/a", None),
            ("GET", "http://u:p@erp/a", "erp", "/a", Some("u:p")),
            ("GET", "http://u:p@x@erp:80", "erp:80", "/", Some("u:p@x")),
            ("GET", "http://@erp/", "erp", "/", Some("")),
            ("GET", "http://erp/a#top", "erp", "/a", None),
            ("GET", "http://erp#top", "erp", "/", None),
            ("GET", "http://erp/?q#a?b", "erp", "/?q", None),
            ("GET", "http://erp/mailto:a@b", "erp", "/mailto:a@b", None),
            ("GET", "/a#b", "", "/a", None),
            ("GET", "/http://erp/", "", "/http://erp/", None),
            ("GET", "http://erp/é?q={\"<a>\"}`|\\^", "erp", "/é?q={\"<a>\"}`|\\^", None),
            ("OPTIONS", "http://erp", "erp", "*", None),
            ("OPTIONS", "http://erp#top", "erp", "*", None),
            ("OPTIONS", "http://erp/", "erp", "/", None),
            ("OPTIONS", "http://erp?x", "erp", "/?x", None),
            ("OPTIONS", "*", "", "*", None),
            ("CONNECT", "erp.seacat:443", "erp.seacat:443", "", None),
        ] {
            let found = parse(method, target).unwrap();
            assert_eq!(found.authority().map_or("", |it| it.text), authority, "{target}");
            assert_eq!(found.path(), path.as_bytes(), "{target}");
            assert_eq!(found.user_information(), user.map(str::as_bytes), "{target}");
        }
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for (method, target, rule) in [
            ("GET", "*", Rule::Target),
            ("GET", "a/b", Rule::Target),
            ("GET", "erp:80", Rule::Target),
            ("GET", "http:///x", Rule::Target),
            ("GET", "http://u@/x", Rule::Target),
            ("GET", "http://erp:99999/", Rule::Target),
            ("GET", "http://a\\b/", Rule::Target),
            ("GET", "http://a%2fb/", Rule::Target),
            ("GET", "http://erp/\u{1}", Rule::Target),
            ("GET", "https://erp/", Rule::Scheme),
            ("GET", "://erp/", Rule::Scheme),
            ("CONNECT", "erp", Rule::Target),
            ("CONNECT", "erp:0", Rule::Target),
            ("CONNECT", "u@erp:80", Rule::Target),
            ("CONNECT", "http://erp/", Rule::Target),
        ] {
            assert_eq!(parse(method, target).map_err(|it| it.rule), Err(rule), "{target}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", parse("GET", "http://u:pw@erp/a?token=secret").unwrap());
        assert_eq!(shown, "Target(erp/a)");
    }
}
