//! Our own small pages on the proxy port: `/`, `/proxy.pac`, and the answers a proxy gives
//! itself when a request may go no further. Nothing here changes anything.

use std::fmt::Write as _;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::errors::Code;
use crate::fields::{Fields, is};
use crate::message::{Reply, RequestHead};
use crate::reply::{Fault, escape, our_fields, page};
use crate::routes::{Action, Routes};
use crate::syntax::authority;
use crate::target::{is_loopback, path, without_query};

/// Fields that a TRACE must not show again (RFC 9110 section 9.3.8).
const PRIVATE: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// Answers an origin-form request to the proxy port. `here` is the address it came to.
pub(crate) fn answer(
    request: &RequestHead,
    here: SocketAddr,
    routes: &Routes,
) -> Result<Reply<Bytes>, Fault> {
    if request.method == Method::OPTIONS {
        return Ok(options());
    }
    if request.method != Method::GET && request.method != Method::HEAD {
        let what = format!("The method was {}.", request.method);
        return Err(Fault::new(Code::PageMethod, what));
    }
    match without_query(&path(&request.target)) {
        "/" => Ok(ok("text/html; charset=utf-8", start_page(here))),
        "/proxy.pac" => Ok(ok("application/x-ns-proxy-autoconfig", pac(here, routes))),
        _ => Err(Fault::new(Code::NoSuchPage, "The request named no host, only a path.")),
    }
}

/// Whether the Host field is a name of this computer, so that no web site is speaking under a
/// name of its own (DNS rebinding). HTTP/1.0 clients that send none are not browsers.
pub(crate) fn host_is_ours(fields: &Fields) -> bool {
    fields
        .get("host")
        .is_none_or(|value| authority(value).is_some_and(|(host, _)| is_loopback(host)))
}

/// What this proxy answers to OPTIONS about itself.
pub(crate) fn options() -> Reply<Bytes> {
    let fields = [("allow", "GET, HEAD, OPTIONS")].into_iter().collect();
    Reply::new(StatusCode::NO_CONTENT, fields, Bytes::new())
}

/// The request as it arrived, for a TRACE that ends here (RFC 9110 section 9.3.8), without
/// what is private.
pub(crate) fn trace(request: &RequestHead) -> Reply<Bytes> {
    let mut echo = format!("{} {} {:?}\r\n", request.method, request.target, request.version);
    let private = |name| PRIVATE.iter().any(|known| is(name, known));
    for (name, value) in request.fields.iter().filter(|(name, _)| !private(name)) {
        let [name, value] = [name, value].map(String::from_utf8_lossy);
        // Writing to a String cannot fail.
        let _ = write!(echo, "{name}: {value}\r\n");
    }
    ok("message/http", echo + "\r\n")
}

fn ok(content_type: &'static str, body: String) -> Reply<Bytes> {
    Reply::new(StatusCode::OK, our_fields(content_type), body.into())
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
    use http::Version;

    fn request(method: &str, target: &str, fields: &[(&str, &str)]) -> RequestHead {
        RequestHead {
            method: method.parse().unwrap(),
            target: target.to_owned(),
            version: Version::HTTP_11,
            fields: fields.iter().copied().collect(),
        }
    }

    fn here() -> SocketAddr {
        "127.0.0.1:3128".parse().unwrap()
    }

    #[test]
    fn pages_are_found_and_only_read() {
        let routes = Routes::default();
        let status = |method, uri| match answer(&request(method, uri, &[]), here(), &routes) {
            Ok(reply) => reply.status.as_u16(),
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
            assert_eq!(host_is_ours(&[("Host", host)].into_iter().collect()), expected, "{host}");
        }
        assert!(host_is_ours(&Fields::default()));
    }

    #[test]
    fn trace_echoes_without_secrets() {
        let fields = [("cookie", "secret"), ("authorization", "secret"), ("x-a", "1")];
        let body = trace(&request("TRACE", "http://erp/", &fields)).body;
        assert_eq!(body, "TRACE http://erp/ HTTP/1.1\r\nx-a: 1\r\n\r\n");
    }
}
