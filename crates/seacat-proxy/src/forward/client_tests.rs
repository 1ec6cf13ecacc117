//! Requests of real programs to a proxy, and their form at the gateway.
//!
//! The heads are those of the named programs, without fields that change nothing. A row is the
//! input (`~` for CR LF), and either what is sent on (`METHOD host path | fields | body`, without
//! Via) or the code of the refusal.

use http::Method;
use seacat_http1::{Framing, RequestReader};

use crate::errors::Code;
use crate::fault::Fault;
use crate::forward::fields::{Outgoing, Pseudonym};
use crate::policy::Destination;
use crate::policy::host::gateway_name;

/// What is done with the row's request.
type Row = (&'static str, &'static str, Result<&'static str, Code>);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // Plain requests, one of each program.
    ("curl 8", "GET http://erp.seacat/ HTTP/1.1~Host: erp.seacat~User-Agent: curl/8~Accept: */*~Proxy-Connection: Keep-Alive~~", Ok("GET erp / | Host: erp.seacat | User-Agent: curl/8 | Accept: */*")),
    ("curl --http1.0", "GET http://erp.seacat/ HTTP/1.0~Host: erp.seacat~Proxy-Connection: Keep-Alive~~", Ok("GET erp / | Host: erp.seacat")),
    ("wget 1.21", "GET http://erp.seacat/a HTTP/1.1~Referer: http://erp.seacat/~User-Agent: Wget/1.21~Accept-Encoding: identity~Host: erp.seacat~Proxy-Connection: Keep-Alive~~", Ok("GET erp /a | Host: erp.seacat | Referer: http://erp.seacat/ | User-Agent: Wget/1.21 | Accept-Encoding: identity")),
    ("wget, a user", "GET http://ann:pw@erp.seacat/ HTTP/1.1~Host: erp.seacat~~", Ok("GET erp / | Host: erp.seacat | Authorization: Basic YW5uOnB3")),
    ("wget, a user and its own field", "GET http://ann:pw@erp.seacat/ HTTP/1.1~Host: erp.seacat~Authorization: Basic eA==~~", Ok("GET erp / | Host: erp.seacat | Authorization: Basic eA==")),
    ("BusyBox wget", "GET http://erp.seacat/a#top HTTP/1.1~Host: erp.seacat~User-Agent: Wget~Connection: close~~", Ok("GET erp /a | Host: erp.seacat | User-Agent: Wget")),
    ("BusyBox wget, old", "GET http://erp.seacat/ HTTP/1.0~User-Agent: Wget~~", Ok("GET erp / | Host: erp.seacat | User-Agent: Wget")),
    ("aria2", "GET http://ann:p%40w@erp.seacat/f.iso HTTP/1.1~User-Agent: aria2/1.36~Accept: */*,application/metalink4+xml~Host: erp.seacat~Pragma: no-cache~Cache-Control: no-cache~Connection: close~Range: bytes=0-~~", Ok("GET erp /f.iso | Host: erp.seacat | User-Agent: aria2/1.36 | Accept: */*,application/metalink4+xml | Pragma: no-cache | Cache-Control: no-cache | Range: bytes=0- | Authorization: Basic YW5uOnBAdw==")),
    ("LWP", "GET http://ann:pw@erp.seacat/#top HTTP/1.1~TE: deflate,gzip;q=0.3~Connection: TE, close~Host: erp.seacat~User-Agent: lwp-request/6~~", Ok("GET erp / | Host: erp.seacat | User-Agent: lwp-request/6 | Authorization: Basic YW5uOnB3")),
    ("lynx", "GET http://erp.seacat/ HTTP/1.0~Host: erp.seacat~Accept: text/html, text/plain~Accept-Encoding: gzip, compress, bzip2~User-Agent: Lynx/2.9~~", Ok("GET erp / | Host: erp.seacat | Accept: text/html, text/plain | Accept-Encoding: gzip, compress, bzip2 | User-Agent: Lynx/2.9")),
    ("w3m", "GET http://ann:pw@erp.seacat/ HTTP/1.0~User-Agent: w3m/0.5~Host: erp.seacat~Pragma: no-cache~~", Ok("GET erp / | Host: erp.seacat | User-Agent: w3m/0.5 | Pragma: no-cache | Authorization: Basic YW5uOnB3")),
    ("lftp", "HEAD http://ann:pw@erp.seacat/pub/ HTTP/1.1~Host: erp.seacat~User-Agent: lftp/4~Connection: keep-alive~Proxy-Connection: keep-alive~~", Ok("HEAD erp /pub/ | Host: erp.seacat | User-Agent: lftp/4 | Authorization: Basic YW5uOnB3")),
    ("urllib", "GET http://erp.seacat/a#b HTTP/1.1~Accept-Encoding: identity~Host: erp.seacat~User-Agent: Python-urllib/3.11~Connection: close~~", Ok("GET erp /a | Host: erp.seacat | Accept-Encoding: identity | User-Agent: Python-urllib/3.11")),
    ("urllib, a user in both places", "GET http://ann:pw@erp.seacat/ HTTP/1.1~Accept-Encoding: identity~Host: ann:pw@erp.seacat~Connection: close~~", Ok("GET erp / | Host: erp.seacat | Accept-Encoding: identity | Authorization: Basic YW5uOnB3")),
    ("requests", "GET http://erp.seacat/ HTTP/1.1~Host: erp.seacat~User-Agent: python-requests/2~Accept-Encoding: gzip, deflate~Accept: */*~Connection: keep-alive~~", Ok("GET erp / | Host: erp.seacat | User-Agent: python-requests/2 | Accept-Encoding: gzip, deflate | Accept: */*")),
    ("aiohttp", "GET http://erp.seacat/ HTTP/1.1~Host: erp.seacat~Accept: */*~Accept-Encoding: gzip, deflate~User-Agent: Python/3.11 aiohttp/3~~", Ok("GET erp / | Host: erp.seacat | Accept: */* | Accept-Encoding: gzip, deflate | User-Agent: Python/3.11 aiohttp/3")),
    ("httpx", "GET http://erp.seacat/ HTTP/1.1~Host: erp.seacat~accept: */*~connection: keep-alive~~", Ok("GET erp / | Host: erp.seacat | accept: */*")),
    ("Go", "GET http://erp.seacat/ HTTP/1.1~Host: erp.seacat~User-Agent: Go-http-client/1.1~Accept-Encoding: gzip~~", Ok("GET erp / | Host: erp.seacat | User-Agent: Go-http-client/1.1 | Accept-Encoding: gzip")),
    ("Java HttpURLConnection", "GET http://erp.seacat/ HTTP/1.1~User-Agent: Java/17~Host: erp.seacat~Accept: text/html, image/gif, *; q=.2~Proxy-Connection: keep-alive~~", Ok("GET erp / | Host: erp.seacat | User-Agent: Java/17 | Accept: text/html, image/gif, *; q=.2")),
    ("Java HttpClient", "GET http://erp.seacat/ HTTP/1.1~Host: erp.seacat~User-Agent: Java-http-client/17~Connection: Upgrade, HTTP2-Settings~Upgrade: h2c~HTTP2-Settings: AAEAAEAA~~", Ok("GET erp / | Host: erp.seacat | User-Agent: Java-http-client/17")),
    ("Apache HttpClient", "GET http://erp.seacat/ HTTP/1.1~Accept-Encoding: gzip, x-gzip, deflate~Host: erp.seacat~Proxy-Connection: keep-alive~~", Ok("GET erp / | Host: erp.seacat | Accept-Encoding: gzip, x-gzip, deflate")),
    ("Mono", "GET http://erp.seacat/ HTTP/1.1~Host: erp.seacat~Proxy-Connection: keep-alive~~", Ok("GET erp / | Host: erp.seacat")),
    ("PHP streams", "GET http://ann:pw@erp.seacat/a HTTP/1.0~Host: erp.seacat~Connection: close~~", Ok("GET erp /a | Host: erp.seacat | Authorization: Basic YW5uOnB3")),
    ("Ruby", "GET http://erp.seacat/ HTTP/1.1~Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3~Accept: */*~User-Agent: Ruby~Host: erp.seacat~~", Ok("GET erp / | Host: erp.seacat | Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3 | Accept: */* | User-Agent: Ruby")),
    ("apt", "GET http://deb.seacat/dists/stable/InRelease HTTP/1.1~Host: deb.seacat~Cache-Control: max-age=0~Accept: text/*~User-Agent: Debian APT-HTTP/1.3 (2.6)~~", Ok("GET deb /dists/stable/InRelease | Host: deb.seacat | Cache-Control: max-age=0 | Accept: text/* | User-Agent: Debian APT-HTTP/1.3 (2.6)")),
    ("Firefox", "GET http://erp.seacat/ HTTP/1.1~Host: erp.seacat~User-Agent: Mozilla/5.0~DNT: 1~Connection: keep-alive~Upgrade-Insecure-Requests: 1~Sec-Fetch-Site: none~~", Ok("GET erp / | Host: erp.seacat | User-Agent: Mozilla/5.0 | DNT: 1 | Upgrade-Insecure-Requests: 1 | Sec-Fetch-Site: none")),
    ("Chromium", "GET http://erp.seacat/ HTTP/1.1~Host: erp.seacat~Proxy-Connection: keep-alive~sec-ch-ua: \"x\"~~", Ok("GET erp / | Host: erp.seacat | sec-ch-ua: \"x\"")),
    ("a host without its suffix and with a port", "GET http://ERP:8080/ HTTP/1.1~Host: ERP:8080~~", Ok("GET ERP / | Host: ERP:8080")),
    ("a dot behind the host", "GET http://erp.seacat./ HTTP/1.1~Host: erp.seacat.~~", Ok("GET erp / | Host: erp.seacat.")),
    ("another Host than in the URL", "GET http://erp.seacat/ HTTP/1.1~Host: other~~", Ok("GET erp / | Host: erp.seacat")),
    // Addresses as they are typed.
    ("curl -g, Prometheus", "GET http://prom.seacat/api/v1/query?query=up{job=\"x\"} HTTP/1.1~Host: prom.seacat~~", Ok("GET prom /api/v1/query?query=up{job=\"x\"} | Host: prom.seacat")),
    ("curl, UTF-8", "GET http://erp.seacat/žluť?ů=é HTTP/1.1~Host: erp.seacat~~", Ok("GET erp /žluť?ů=é | Host: erp.seacat")),
    ("PHP, angle brackets", "GET http://erp.seacat/?x=<a>&y=`b` HTTP/1.0~Host: erp.seacat~~", Ok("GET erp /?x=<a>&y=`b` | Host: erp.seacat")),
    ("Java, a pipe and a backslash", "GET http://erp.seacat/?a|b\\c^d[e] HTTP/1.1~Host: erp.seacat~~", Ok("GET erp /?a|b\\c^d[e] | Host: erp.seacat")),
    ("percent and dots stay", "GET http://erp.seacat/%7e/../%2F//a?b?c HTTP/1.1~Host: erp.seacat~~", Ok("GET erp /%7e/../%2F//a?b?c | Host: erp.seacat")),
    ("no path", "GET http://erp.seacat HTTP/1.1~Host: erp.seacat~~", Ok("GET erp / | Host: erp.seacat")),
    ("a query without a path", "GET http://erp.seacat?a=b HTTP/1.1~Host: erp.seacat~~", Ok("GET erp /?a=b | Host: erp.seacat")),
    ("a URL in the query", "GET http://erp.seacat/go?to=http://a@b/ HTTP/1.1~Host: erp.seacat~~", Ok("GET erp /go?to=http://a@b/ | Host: erp.seacat")),
    ("a blank in the address", "GET http://erp.seacat/a b HTTP/1.1~Host: erp.seacat~~", Err(Code::BadRequest)),
    ("a backslash before the host", "GET http://a\\@erp.seacat/ HTTP/1.1~Host: erp.seacat~~", Err(Code::BadTarget)),
    ("https without CONNECT", "GET https://erp.seacat/ HTTP/1.1~Host: erp.seacat~~", Err(Code::Scheme)),
    // Bodies.
    ("curl -d", "POST http://erp.seacat/ HTTP/1.1~Host: erp.seacat~Content-Length: 3~Content-Type: application/x-www-form-urlencoded~~abc", Ok("POST erp / | Host: erp.seacat | Content-Length: 3 | Content-Type: application/x-www-form-urlencoded | Length(3)")),
    ("curl -T -", "PUT http://erp.seacat/f HTTP/1.1~Host: erp.seacat~Transfer-Encoding: chunked~Expect: 100-continue~~", Ok("PUT erp /f | Host: erp.seacat | Chunked")),
    ("Java, an empty chunked body", "POST http://erp.seacat/ HTTP/1.1~Transfer-Encoding: chunked~Host: erp.seacat~~0~~", Ok("POST erp / | Host: erp.seacat | Content-Length: 0 | Chunked")),
    ("an empty POST", "POST http://erp.seacat/ HTTP/1.1~Host: erp.seacat~Content-Length: 0~~", Ok("POST erp / | Host: erp.seacat | Content-Length: 0")),
    ("PHP SoapClient", "POST http://erp.seacat/soap HTTP/1.1~Host: erp.seacat~Connection: Keep-Alive~SOAPAction: \"urn:a#b\"~Content-Type: text/xml; charset=utf-8~Content-Length: 5~~<a/>~", Ok("POST erp /soap | Host: erp.seacat | SOAPAction: \"urn:a#b\" | Content-Type: text/xml; charset=utf-8 | Content-Length: 5 | Length(5)")),
    ("svn", "REPORT http://svn.seacat/!svn/vcc/default HTTP/1.1~Host: svn.seacat~Content-Type: text/xml~DAV: http://subversion.tigris.org/xmlns/dav/svn/depth~Transfer-Encoding: chunked~~", Ok("REPORT svn /!svn/vcc/default | Host: svn.seacat | Content-Type: text/xml | DAV: http://subversion.tigris.org/xmlns/dav/svn/depth | Chunked")),
    ("git push", "POST http://git.seacat/r.git/git-receive-pack HTTP/1.1~Host: git.seacat~Content-Type: application/x-git-receive-pack-request~Content-Encoding: gzip~Transfer-Encoding: chunked~~", Ok("POST git /r.git/git-receive-pack | Host: git.seacat | Content-Type: application/x-git-receive-pack-request | Content-Encoding: gzip | Chunked")),
    ("hg", "GET http://hg.seacat/?cmd=batch HTTP/1.1~Accept-Encoding: identity~Vary: X-HgArg-1,X-HgProto-1~X-HgArg-1: cmds=heads+%3B~X-HgProto-1: 0.1 0.2~accept: application/mercurial-0.1~host: hg.seacat~~", Ok("GET hg /?cmd=batch | Host: hg.seacat | Accept-Encoding: identity | Vary: X-HgArg-1,X-HgProto-1 | X-HgArg-1: cmds=heads+%3B | X-HgProto-1: 0.1 0.2 | accept: application/mercurial-0.1")),
    ("WebDAV MOVE", "MOVE http://dav.seacat/a HTTP/1.1~Host: dav.seacat~Destination: http://dav.seacat/b~Overwrite: F~~", Ok("MOVE dav /a | Host: dav.seacat | Destination: http://dav.seacat/b | Overwrite: F")),
    ("a length with zeros in front", "POST http://erp.seacat/ HTTP/1.1~Host: erp.seacat~Content-Length: 003~~abc", Ok("POST erp / | Host: erp.seacat | Content-Length: 003 | Length(3)")),
    ("a length and chunks", "POST http://erp.seacat/ HTTP/1.1~Host: erp.seacat~Content-Length: 3~Transfer-Encoding: chunked~~", Err(Code::AmbiguousLength)),
    ("two equal lengths", "POST http://erp.seacat/ HTTP/1.1~Host: erp.seacat~Content-Length: 3~Content-Length: 3~~", Err(Code::AmbiguousLength)),
    ("a coded body", "POST http://erp.seacat/ HTTP/1.1~Host: erp.seacat~Transfer-Encoding: gzip, chunked~~", Err(Code::NotImplemented)),
    ("a body to its end", "POST http://erp.seacat/ HTTP/1.1~Host: erp.seacat~Transfer-Encoding: identity~~", Err(Code::AmbiguousLength)),
    // Tunnels and upgrades.
    ("CONNECT", "CONNECT erp.seacat:443 HTTP/1.1~Host: erp.seacat:443~User-Agent: curl/8~Proxy-Connection: Keep-Alive~~", Ok("CONNECT erp erp.seacat:443 | User-Agent: curl/8 | Tunnel")),
    ("CONNECT of undici", "CONNECT erp.seacat:80 HTTP/1.1~host: erp.seacat~connection: close~~", Ok("CONNECT erp erp.seacat:80 | Tunnel")),
    ("ws", "GET http://chat.seacat/live HTTP/1.1~Sec-WebSocket-Version: 13~Sec-WebSocket-Key: x~Connection: Upgrade~Upgrade: websocket~Host: chat.seacat~~", Ok("GET chat /live | Host: chat.seacat | Sec-WebSocket-Version: 13 | Sec-WebSocket-Key: x | Upgrade: websocket | Tunnel")),
    ("ws:// in the URL", "GET ws://chat.seacat/live HTTP/1.1~Host: chat.seacat~Connection: keep-alive, Upgrade~Upgrade: websocket~~", Ok("GET chat /live | Host: chat.seacat | Upgrade: websocket | Tunnel")),
    ("TLS by upgrade (CUPS)", "OPTIONS http://cups.seacat/ HTTP/1.1~Host: cups.seacat~Connection: upgrade~Upgrade: TLS/1.0~~", Ok("OPTIONS cups / | Host: cups.seacat | Upgrade: TLS/1.0 | Tunnel")),
    // Odd heads.
    ("OPTIONS of a host", "OPTIONS http://erp.seacat HTTP/1.1~Host: erp.seacat~~", Ok("OPTIONS erp * | Host: erp.seacat")),
    ("HTTP/1.2", "GET http://erp.seacat/ HTTP/1.2~Host: erp.seacat~~", Ok("GET erp / | Host: erp.seacat")),
    ("an empty line before", "~GET http://erp.seacat/ HTTP/1.1~Host: erp.seacat~~", Ok("GET erp / | Host: erp.seacat")),
    ("Latin-1 in a value", "GET http://erp.seacat/ HTTP/1.1~Host: erp.seacat~X-Name: Žofie~X-Empty:~~", Ok("GET erp / | Host: erp.seacat | X-Name: Žofie | X-Empty: ")),
    ("a field named in Connection", "GET http://erp.seacat/ HTTP/1.1~Host: erp.seacat~Connection: close, X-Trace~X-Trace: 1~~", Ok("GET erp / | Host: erp.seacat")),
    ("names that imitate", "GET http://erp.seacat/ HTTP/1.1~Host: erp.seacat~X_Forwarded_For: 1~X_Mine: 2~~", Ok("GET erp / | Host: erp.seacat | X_Mine: 2")),
    ("an old proxy's own fields", "GET http://erp.seacat/ HTTP/1.1~Host: erp.seacat~X-Forwarded-For: 192.0.2.1~Proxy-Authorization: Basic eA==~Proxy-Status: x~~", Ok("GET erp / | Host: erp.seacat | X-Forwarded-For: 192.0.2.1 | Proxy-Status: x")),
    ("a folded field", "GET http://erp.seacat/ HTTP/1.1~Host: erp.seacat~X-A: 1~ 2~~", Err(Code::BadRequest)),
    ("a blank before the colon", "GET http://erp.seacat/ HTTP/1.1~Host : erp.seacat~~", Err(Code::BadRequest)),
    ("LF alone (printf | nc)", "GET http://erp.seacat/ HTTP/1.1\nHost: erp.seacat\n\n", Err(Code::BadRequest)),
    ("no Host", "GET http://erp.seacat/ HTTP/1.1~~", Err(Code::BadHost)),
    ("HTTP/0.9", "GET http://erp.seacat/~", Err(Code::NotHttp)),
    ("a TLS handshake", "\u{16}\u{3}\u{1}", Err(Code::NotHttp)),
    ("HTTP/2 without a question", "PRI * HTTP/2.0~~SM~~", Err(Code::NotHttp)),
];

fn sent_on(input: &str) -> Result<String, Fault> {
    let input = input.replace('~', "\r\n");
    let read = RequestReader::default().read(input.as_bytes())?;
    let (request, length) = read.expect("the head is complete");
    let destination = Destination::named(&request).expect("the target names a host");
    let pseudonym = Pseudonym::random();
    let outgoing = Outgoing {
        request: &request,
        host: destination.typed,
        connection: None,
        upgrade: request.framing == Framing::Tunnel && request.method != Method::CONNECT,
        empty: request.framing == Framing::Chunked && input[length..].starts_with("0\r\n\r\n"),
        max_forwards: None,
        pseudonym: &pseudonym,
    };
    let host = gateway_name(destination.host).expect("a host of the gateway");
    let head = outgoing.seacat(host, request.method.as_str(), destination.path).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let [method, host, path] = [head.method(), head.host(), head.path()].map(text);
    let mut parts = vec![format!("{method} {host} {path}")];
    let fields = head.fields().filter(|(name, _)| *name != b"Via");
    parts.extend(fields.map(|(name, value)| format!("{}: {}", text(name), text(value))));
    if request.framing != Framing::Length(0) {
        parts.push(format!("{:?}", request.framing));
    }
    Ok(parts.join(" | "))
}

#[test]
fn what_clients_send_is_passed_on_mended_or_refused() {
    assert!(ROWS.len() >= 60);
    for (client, input, expected) in ROWS {
        let found = sent_on(input).map_err(|fault| fault.code);
        assert_eq!(found.as_deref().map_err(|code| *code), *expected, "{client}");
    }
}
