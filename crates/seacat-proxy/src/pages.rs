//! Our own small pages on the proxy port: `/`, `/proxy.pac`, and the answers a proxy gives
//! itself when a request may go no further. Nothing here changes anything.

use std::fmt::Write as _;
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};

use crate::errors::Code;
use crate::reply::{Fault, escape, page};
use crate::routes::{Action, Routes};
use crate::syntax::authority;
use crate::target::is_loopback;

/// Fields that a TRACE must not show again (RFC 9110 section 9.3.8).
const PRIVATE: [header::HeaderName; 3] =
    [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];

/// Answers an origin-form request to the proxy port. `here` is the address it came to.
pub(crate) fn answer(
    request: &Parts,
    here: SocketAddr,
    routes: &Routes,
) -> Result<Response<Bytes>, Fault> {
    if request.method == Method::OPTIONS {
        return Ok(options());
    }
    if request.method != Method::GET && request.method != Method::HEAD {
        let what = format!("The method was {}.", request.method);
        return Err(Fault::new(Code::PageMethod, what));
    }
    match request.uri.path() {
        "/" => Ok(ok("text/html; charset=utf-8", start_page(here))),
        "/proxy.pac" => Ok(ok("application/x-ns-proxy-autoconfig", pac(here, routes))),
        _ => Err(Fault::new(Code::NoSuchPage, "The request named no host, only a path.")),
    }
}

/// Whether the Host field is a name of this computer, so that no web site is speaking under a
/// name of its own (DNS rebinding). HTTP/1.0 clients that send none are not browsers.
pub(crate) fn host_is_ours(fields: &HeaderMap) -> bool {
    fields
        .get(header::HOST)
        .is_none_or(|value| authority(value.as_bytes()).is_some_and(|(host, _)| is_loopback(host)))
}

/// What this proxy answers to OPTIONS about itself.
pub(crate) fn options() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    response
}

/// The request as it arrived, for a TRACE that ends here (RFC 9110 section 9.3.8), without
/// what is private.
pub(crate) fn trace(request: &Parts) -> Response<Bytes> {
    let mut echo = format!("{} {} {:?}\r\n", request.method, request.uri, request.version);
    for (name, value) in request.headers.iter().filter(|(name, _)| !PRIVATE.contains(name)) {
        // Writing to a String cannot fail.
        let _ = write!(echo, "{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes()));
    }
    ok("message/http", echo + "\r\n")
}

fn ok(content_type: &'static str, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn start_page(here: SocketAddr) -> String {
    page(
        "SeaCat Proxy",
        &format!(
            "<h1>This is a proxy</h1>\n\
             <p>It works. It is meant for applications, not for reading: enter <code>{here}</code> \
             as the HTTP proxy of your application, then ask it for \
             <code>http://NAME.seacat/</code>.</p>\n\
             <p>From a shell:</p>\n<pre>curl -x http://{here} http://hello.seacat/</pre>\n\
             <p>For a whole system: <a href=\"/proxy.pac\">automatic configuration</a>.</p>",
            here = escape(&here.to_string())
        ),
    )
}

/// Proxy auto-configuration: the routes, as a browser can follow them. It fails open, except
/// for `.seacat` names, which only the gateway knows.
fn pac(here: SocketAddr, routes: &Routes) -> String {
    let mut script = format!(
        "// SeaCat Proxy\nfunction FindProxyForURL(url, host) {{\n  \
         host = host.toLowerCase();\n  var seacat = \"PROXY {here}\";\n  \
         if (host == \"localhost\" || shExpMatch(host, \"127.*\") || host == \"::1\")\n    \
         return \"DIRECT\";\n  if (dnsDomainIs(host, \".seacat\")) return seacat;\n"
    );
    for (pattern, action) in routes.rules() {
        // The gateway's and the refused ones come to us; the browser itself does the rest.
        let way = match action {
            Action::Gateway => "seacat + \"; DIRECT\"",
            Action::Refuse => "seacat",
            Action::Direct => "\"DIRECT\"",
        };
        // A pattern holds letters, digits and `-._~*[]:` only: it cannot leave the string.
        let pattern = pattern.to_string().to_ascii_lowercase();
        let _ = writeln!(script, "  if (shExpMatch(host, \"{pattern}\")) return {way};");
    }
    script + "  return seacat + \"; DIRECT\";\n}\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn parts(method: &str, uri: &str, fields: &[(&str, &str)]) -> Parts {
        let request = Request::builder().method(method).uri(uri);
        let request =
            fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    fn here() -> SocketAddr {
        "127.0.0.1:3128".parse().unwrap()
    }

    #[test]
    fn pages_are_found_and_only_read() {
        let routes = Routes::default();
        let status = |method, uri| match answer(&parts(method, uri, &[]), here(), &routes) {
            Ok(response) => response.status().as_u16(),
            Err(fault) => fault.status().as_u16(),
        };
        for (method, uri, expected) in [
            ("GET", "/", 200),
            ("HEAD", "/proxy.pac", 200),
            ("OPTIONS", "*", 204),
            ("GET", "/other", 404),
            ("POST", "/", 405),
            ("DELETE", "/proxy.pac", 405),
        ] {
            assert_eq!(status(method, uri), expected, "{method} {uri}");
        }
    }

    #[test]
    fn the_pac_file_follows_the_routes() {
        let routes: Routes = [("*.Example.com", Action::Direct), ("bad", Action::Refuse)]
            .into_iter()
            .map(|(pattern, action)| (pattern.parse().unwrap(), action))
            .collect();
        let text = pac("[::1]:3128".parse().unwrap(), &routes);
        assert!(text.contains("var seacat = \"PROXY [::1]:3128\";"), "{text}");
        assert!(text.contains("shExpMatch(host, \"*.example.com\")) return \"DIRECT\";"), "{text}");
        assert!(text.contains("shExpMatch(host, \"bad\")) return seacat;"), "{text}");
        assert!(text.ends_with("  return seacat + \"; DIRECT\";\n}\n"), "{text}");
    }

    #[test]
    fn foreign_hosts_are_told_apart() {
        for (host, expected) in [
            ("127.0.0.1:3128", true),
            ("localhost", true),
            ("[::1]:3128", true),
            ("evil.example:3128", false),
            ("127.0.0.1.evil.example", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(
                host_is_ours(&parts("GET", "/", &[("host", host)]).headers),
                expected,
                "{host}"
            );
        }
        assert!(host_is_ours(&HeaderMap::new()));
    }

    #[test]
    fn trace_echoes_without_secrets() {
        let fields = [("cookie", "secret"), ("authorization", "secret"), ("x-a", "1")];
        let body = trace(&parts("TRACE", "http://erp/", &fields)).into_body();
        assert_eq!(body, "TRACE http://erp/ HTTP/1.1\r\nx-a: 1\r\n\r\n");
    }
}
