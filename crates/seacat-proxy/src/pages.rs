//! Our own small pages on the proxy port: `/`, `/proxy.pac`, and the answers a proxy gives
//! itself when a request may go no further. Nothing here changes anything.

use std::fmt::Write as _;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, StatusCode};
use seacat_http1::{RequestHead, is};

use crate::errors::Code;
use crate::fault::{Fault, escape, our_fields, page};
use crate::policy::routes::{Action, Routes};
use crate::response::Response;

/// Fields that a TRACE response must not contain (RFC 9110 section 9.3.8).
const PRIVATE: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// Answers an origin-form request to the proxy port. `here` is the address it came to.
pub(crate) fn answer(
    request: &RequestHead,
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
    match without_query(request.target.path()) {
        b"/" => Ok(ok("text/html; charset=utf-8", start_page(here))),
        b"/proxy.pac" => Ok(ok("application/x-ns-proxy-autoconfig", pac(here, routes))),
        _ => Err(Fault::new(Code::NoSuchPage, "The request named no host, only a path.")),
    }
}

/// What this proxy answers to OPTIONS about itself.
pub(crate) fn options() -> Response<Bytes> {
    let fields = [("Allow", "GET, HEAD, OPTIONS")].into_iter().collect();
    Response::new(StatusCode::NO_CONTENT, fields, Bytes::new())
}

/// A path alone: queries carry secrets.
pub(crate) fn without_query(path: &[u8]) -> &[u8] {
    path.split(|&b| b == b'?').next().unwrap_or_default()
}

/// The request as it arrived, for a TRACE that ends here (RFC 9110 section 9.3.8), without
/// what is private.
pub(crate) fn trace(request: &RequestHead) -> Response<Bytes> {
    let host = request.target.authority().map_or("", |it| it.text);
    let scheme = if host.is_empty() { "" } else { "http://" };
    let path = String::from_utf8_lossy(request.target.path());
    let mut echo = format!("{} {scheme}{host}{path} {:?}\r\n", request.method, request.version);
    let private = |name| PRIVATE.iter().any(|known| is(name, known));
    for (name, value) in request.fields.iter().filter(|(name, _)| !private(name)) {
        let [name, value] = [name, value].map(String::from_utf8_lossy);
        // Writing to a String cannot fail.
        let _ = write!(echo, "{name}: {value}\r\n");
    }
    ok("message/http", echo + "\r\n")
}

fn ok(content_type: &'static str, body: String) -> Response<Bytes> {
    Response::new(StatusCode::OK, our_fields(content_type), body.into())
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
        // Hosts of the gateway and refused ones are sent to the proxy; the browser connects to the
        // others directly.
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

    fn request(method: &str, target: &str, fields: &str) -> RequestHead {
        let head = format!("{method} {target} HTTP/1.1\r\nHost: erp\r\n{fields}\r\n");
        seacat_http1::RequestReader::default().read(head.as_bytes()).unwrap().unwrap().0
    }

    fn here() -> SocketAddr {
        "127.0.0.1:3128".parse().unwrap()
    }

    #[test]
    fn pages_are_found_and_only_read() {
        let routes = Routes::default();
        let status = |method, uri| match answer(&request(method, uri, ""), here(), &routes) {
            Ok(reply) => reply.status.as_u16(),
            Err(fault) => fault.status().as_u16(),
        };
        for (method, uri, expected) in [
            ("GET", "/", 200),
            ("GET", "/?x", 200),
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
    fn trace_echoes_without_secrets() {
        let fields = "cookie: secret\r\nauthorization: secret\r\nx-a: 1\r\n";
        let body = trace(&request("TRACE", "http://u:pw@erp/a#b", fields)).body;
        assert_eq!(body, "TRACE http://erp/a HTTP/1.1\r\nHost: erp\r\nx-a: 1\r\n\r\n");
    }
}
