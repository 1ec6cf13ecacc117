//! The two names of one host: the one that the application typed and the back end's own.
//!
//! The Host field sent to the back end is the typed name (RFC 9112 section 3.2.2), unless
//! `host_header` overrides it. Where a response contains the back end's own name, or the typed host
//! with the back end's port as nginx does, it is replaced by the typed name, so that redirects lead
//! back through the gateway.

use std::net::IpAddr;

use seacat_http1::Authority;
use seacat_http1::syntax::trim;

use crate::config::Upstream;

/// The port of `http://` when none is given.
const HTTP_PORT: u16 = 80;

/// The names of one request's host.
pub(crate) struct Names<'a> {
    /// What the application typed, port included.
    typed: Option<Authority<'a>>,
    upstream: &'a Upstream,
}

impl<'a> Names<'a> {
    /// `typed`: the Host field of the request, if it came; `host`: the name of the stream.
    pub(crate) fn new(typed: Option<&'a [u8]>, host: &'a [u8], upstream: &'a Upstream) -> Self {
        let typed = typed.and_then(Authority::parse).filter(|typed| names(typed, host));
        Self { typed: typed.or_else(|| Authority::parse(host)), upstream }
    }

    /// What the application typed.
    pub(crate) fn typed(&self) -> Option<&Authority<'a>> {
        self.typed.as_ref()
    }

    /// The Host field sent to the back end.
    pub(crate) fn asked(&self) -> &[u8] {
        match (&self.upstream.host_header, &self.typed) {
            (Some(given), _) => given.as_bytes(),
            (None, Some(typed)) => typed.text.as_bytes(),
            (None, None) => self.upstream.authority.as_bytes(),
        }
    }

    /// A URL of the back end with the typed name in place of its own; `None` when it stays.
    pub(crate) fn url_to_client(&self, url: &[u8]) -> Option<Vec<u8>> {
        let typed = self.typed.as_ref()?;
        let (scheme, authority, rest) = split(url)?;
        let found = Authority::parse(authority)?;
        self.is_own(&found, typed).then(|| [scheme, typed.text.as_bytes(), rest].concat())
    }

    /// A URL of the client with the Host sent to the back end, where that differs.
    pub(crate) fn url_to_backend(&self, url: &[u8]) -> Option<Vec<u8>> {
        let typed = self.typed.as_ref().filter(|_| self.upstream.host_header.is_some())?;
        let (scheme, authority, rest) = split(url)?;
        let found = Authority::parse(authority)?;
        let same = is_host(&found, typed.host) && port(&found) == port(typed);
        same.then(|| [scheme, self.asked(), rest].concat())
    }

    /// `Refresh: 5; url=http://…`, with or without quotes.
    pub(crate) fn refresh_to_client(&self, value: &[u8]) -> Option<Vec<u8>> {
        let at = value.windows(4).position(|it| it.eq_ignore_ascii_case(b"url="))? + 4;
        let at = at + value[at..].iter().take_while(|it| matches!(it, b'"' | b'\'' | b' ')).count();
        let (start, url) = value.split_at(at);
        Some([start, &self.url_to_client(url)?].concat())
    }

    /// `Set-Cookie: …; Domain=back.end`: the typed host, or no domain where a browser would refuse
    /// the typed one: an address, or a name without a dot.
    pub(crate) fn cookie_to_client(&self, value: &[u8]) -> Option<Vec<u8>> {
        let typed = self.typed.as_ref()?;
        let own = |attribute: &[u8]| {
            let attribute = trim(attribute);
            let (name, domain) = attribute.split_at_checked(7)?;
            let domain = domain.strip_prefix(b".").unwrap_or(domain);
            let domain = std::str::from_utf8(domain).ok()?;
            let ours = is_bare(typed.host, domain);
            (name.eq_ignore_ascii_case(b"domain=") && !ours && self.is_own_host(domain))
                .then_some(())
        };
        let attributes = || value.split(|&byte| byte == b';');
        attributes().find_map(own)?;
        let is_domain = typed.host.contains('.') && typed.host.parse::<IpAddr>().is_err();
        let domain = [b" Domain=", typed.host.as_bytes()].concat();
        let kept: Vec<&[u8]> = attributes()
            .filter_map(|attribute| match own(attribute) {
                None => Some(attribute),
                Some(()) => is_domain.then_some(&domain[..]),
            })
            .collect();
        Some(kept.join(&b';'))
    }

    /// Whether a URL's authority is a name of the back end and not the typed one.
    fn is_own(&self, found: &Authority<'_>, typed: &Authority<'_>) -> bool {
        let is_typed = is_host(found, typed.host);
        if is_typed && port(found) == port(typed) {
            return false;
        }
        let given = self.given();
        let by_own_port = port(found) == self.upstream.endpoint.port
            && (is_typed || self.is_own_host(found.host));
        by_own_port || given.is_some_and(|it| is_host(found, it.host) && port(found) == port(&it))
    }

    fn is_own_host(&self, host: &str) -> bool {
        is_bare(&self.upstream.endpoint.host, host)
            || self.given().is_some_and(|given| is_bare(given.host, host))
    }

    /// `host_header`, if it is set.
    fn given(&self) -> Option<Authority<'_>> {
        Authority::parse(self.upstream.host_header.as_ref()?.as_bytes())
    }
}

/// Whether an application may have typed this for the host of a stream: its name, with or without a
/// domain, or the address of a mapped port on its own computer. Anything else could be another host
/// of the same server, which this gateway does not offer.
fn names(typed: &Authority<'_>, host: &[u8]) -> bool {
    let local = is_bare(typed.host, "localhost") || is_loopback(typed.host);
    let named =
        typed.host.as_bytes().split_at_checked(host.len()).is_some_and(|(start, domain)| {
            start.eq_ignore_ascii_case(host) && matches!(domain.first(), None | Some(b'.'))
        });
    named || local
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    address.is_ok_and(|address| address.to_canonical().is_loopback())
}

/// The scheme with its slashes, the authority, and the rest of an http URL; `//host/…` has none.
fn split(url: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let scheme = match url {
        [b'/', b'/', ..] => 2,
        _ if url.get(..7)?.eq_ignore_ascii_case(b"http://") => 7,
        _ => return None,
    };
    let (scheme, rest) = url.split_at(scheme);
    let end = rest.iter().position(|it| matches!(it, b'/' | b'?' | b'#' | b'"' | b'\''));
    let (authority, rest) = rest.split_at(end.unwrap_or(rest.len()));
    Some((scheme, authority, rest))
}

fn port(authority: &Authority<'_>) -> u16 {
    authority.port.unwrap_or(HTTP_PORT)
}

fn is_host(authority: &Authority<'_>, host: &str) -> bool {
    is_bare(authority.host, host)
}

/// The same host, in any case, with or without the brackets of an IPv6 address.
fn is_bare(one: &str, other: &str) -> bool {
    let bare = |host: &str| host.trim_matches(['[', ']']).to_ascii_lowercase();
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(host_header: Option<&str>) -> Upstream {
        let host_header = host_header.map(|it| it.parse().unwrap());
        Upstream { host_header, ..Upstream::new("http://back.internal:8080").unwrap() }
    }

    fn text(value: Option<Vec<u8>>) -> Option<String> {
        value.map(|it| String::from_utf8(it).unwrap())
    }

    #[test]
    fn the_back_end_is_asked_for_what_was_typed() {
        let plain = upstream(None);
        let given = upstream(Some("erp.example.com"));
        for (typed, host, upstream, asked) in [
            (Some("Erp.seacat:8000"), "erp", &plain, "Erp.seacat:8000"),
            (None, "erp", &plain, "erp"),
            (Some("no host"), "erp", &plain, "erp"),
            (Some("127.0.0.1:8081"), "erp", &plain, "127.0.0.1:8081"),
            (Some("[::1]:8081"), "erp", &plain, "[::1]:8081"),
            // Another host of the same server.
            (Some("admin.internal"), "erp", &plain, "erp"),
            (Some("erpadmin"), "erp", &plain, "erp"),
            (None, "no host", &plain, "back.internal:8080"),
            (Some("erp.seacat"), "erp", &given, "erp.example.com"),
        ] {
            let names = Names::new(typed.map(str::as_bytes), host.as_bytes(), upstream);
            assert_eq!(names.asked(), asked.as_bytes(), "{typed:?} {host}");
        }
    }

    #[test]
    fn urls_of_the_back_end_lead_back_to_what_was_typed() {
        let plain = upstream(None);
        let given = upstream(Some("erp.example.com"));
        let cases: [(&Upstream, &str, Option<&str>); 14] = [
            (&plain, "http://back.internal:8080/docs/", Some("http://erp.seacat/docs/")),
            (&plain, "HTTP://Back.Internal:8080", Some("HTTP://erp.seacat")),
            (&plain, "http://back.internal:8080?a", Some("http://erp.seacat?a")),
            // nginx: the typed host, the port it listens on.
            (&plain, "http://erp.seacat:8080/docs/", Some("http://erp.seacat/docs/")),
            (&plain, "//back.internal:8080/x", Some("//erp.seacat/x")),
            (&plain, "http://erp.seacat/docs/", None),
            (&plain, "http://erp.seacat:80/docs/", None),
            (&plain, "http://back.internal/", None),
            (&plain, "http://other:8080/", None),
            (&plain, "https://back.internal:8080/", None),
            (&plain, "/docs/", None),
            (&plain, "", None),
            (&given, "http://erp.example.com/x", Some("http://erp.seacat/x")),
            (&given, "http://erp.example.com:8080/x", Some("http://erp.seacat/x")),
        ];
        for (upstream, url, expected) in cases {
            let names = Names::new(Some(b"erp.seacat"), b"erp", upstream);
            let got = text(names.url_to_client(url.as_bytes()));
            assert_eq!(got.as_deref(), expected, "{url}");
        }
        let names = Names::new(Some(b"erp.seacat"), b"erp", &plain);
        for (value, expected) in [
            ("0; url=http://back.internal:8080/a", Some("0; url=http://erp.seacat/a")),
            ("0;URL='http://back.internal:8080/a'", Some("0;URL='http://erp.seacat/a'")),
            ("5", None),
            ("5; url=/a", None),
        ] {
            assert_eq!(text(names.refresh_to_client(value.as_bytes())).as_deref(), expected);
        }
    }

    #[test]
    fn urls_of_the_client_follow_host_header() {
        let (plain, given) = (upstream(None), upstream(Some("erp.example.com")));
        for (upstream, url, expected) in [
            (&plain, "http://erp.seacat/x", None),
            (&given, "http://erp.seacat/x", Some("http://erp.example.com/x")),
            (&given, "http://erp.seacat:80/x", Some("http://erp.example.com/x")),
            (&given, "http://other/x", None),
            (&given, "/x", None),
        ] {
            let names = Names::new(Some(b"erp.seacat"), b"erp", upstream);
            assert_eq!(text(names.url_to_backend(url.as_bytes())).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn cookies_of_the_back_ends_domain_stay_with_the_typed_host() {
        let plain = upstream(None);
        for (typed, cookie, expected) in [
            (
                "erp.seacat",
                "a=1; Domain=back.internal; Path=/",
                Some("a=1; Domain=erp.seacat; Path=/"),
            ),
            ("erp.seacat", "a=1;domain=.back.internal", Some("a=1; Domain=erp.seacat")),
            ("erp", "a=1; Domain=back.internal; Path=/", Some("a=1; Path=/")),
            ("127.0.0.1:8081", "a=1; Domain=back.internal", Some("a=1")),
            ("erp.seacat", "a=1; Domain=erp.seacat", None),
            ("erp.seacat", "a=1; Domain=other.internal", None),
            ("erp.seacat", "a=domain=back.internal", None),
            ("erp.seacat", "a=1", None),
        ] {
            let names = Names::new(Some(typed.as_bytes()), b"erp", &plain);
            let got = text(names.cookie_to_client(cookie.as_bytes()));
            assert_eq!(got.as_deref(), expected, "{typed} {cookie}");
        }
    }
}
